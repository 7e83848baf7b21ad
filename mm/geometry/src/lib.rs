//! Page tables of any shape: how an address falls into indices, the walk that every translation makes, how large a
//! table gets, and which accesses fault.
//!
//! The kernel walks its own page tables with [`walk`]; so do user programs, over tables that they build in their
//! memory, for machines that they do not run on:
//!
//! | machine | page | levels | virtual address | physical address | an entry |
//! |---|---|---|---|---|---|
//! | [`X86::FOUR_LEVELS`] | 4 KiB | 4 | 48 bits: 9 + 9 + 9 + 9 + 12 | 52 bits | 8 bytes |
//! | [`X86::FIVE_LEVELS`] | 4 KiB | 5 | 57 bits: 9 + 9 + 9 + 9 + 9 + 12 | 52 bits | 8 bytes |
//! | [`Pae`] | 4 KiB | 3 | 32 bits: 2 + 9 + 9 + 12 | 52 bits | 8 bytes |
//! | [`Ia32`] | 4 KiB | 2 | 32 bits: 10 + 10 + 12 | 32 bits | 4 bytes |
//! | [`Teensy`] | 4 KiB | 1 | 16 bits: 4 + 12 | 20 bits | 2 bytes |
//! | [`Tag`] | 256 bytes | 2 | 22 bits: 7 + 7 + 8 | 16 bits | 2 bytes |
//!
//! What a machine looks like is [`Geometry`]; what its entries allow is [`Protection`]. A machine of one's own is a
//! type that implements the two.
#![no_std]
#![forbid(unsafe_code)]

mod fault;
mod geometry;
mod plx;
mod sizes;
mod tag;
mod teensy;
mod walk;
mod x86;
mod x86_32;

#[cfg(test)]
mod tests;

pub use fault::{Access, ErrorCode, Intent, Mode, Protection, Rights, Rules};
pub use geometry::{Decoded, Geometry};
pub use plx::{Plx, PlxError};
pub use sizes::{TableSize, TooManyPages};
pub use tag::Tag;
pub use teensy::Teensy;
pub use walk::{Lookup, Stop, virtual_to_physical, walk};
pub use x86::{ADDRESS_BITS, ENTRIES, X86};
pub use x86_32::{Ia32, Pae};
