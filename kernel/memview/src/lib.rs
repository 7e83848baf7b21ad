//! The memory view: what the kernel has seen of memory, processes and CPUs, as a picture of coloured characters.
//!
//! The kernel looks ([`PhysicalMap::add_run`], [`PhysicalMap::add_page`], [`VirtualMap::add_page`]); here it is decided
//! what that comes to on 80 columns ([`layout`]). [`differences`] carries a picture to a terminal. Nothing here touches
//! the machine, so all of it is tested on the host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod ansi;
pub mod layout;
mod physical;
mod picture;
mod symbol;
mod virtual_map;

pub use ansi::differences;
pub use physical::PhysicalMap;
pub use picture::{COLUMNS, Picture, ROWS};
pub use symbol::Pid;
pub use virtual_map::VirtualMap;
