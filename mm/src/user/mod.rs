//! Access to user memory.
//!
//! **Guarantee.** Whatever a user passes as an address, the kernel reads or writes nothing but memory that this user
//! could read or write itself, does not crash, and sees each byte once.
//!
//! A user's pointer is a claim until something has been copied through it. So [`UserPtr`], [`UserSlice`] and
//! [`UserString`] are addresses without `Deref`: the only thing to do with them is to copy, and what is checked is the
//! kernel's copy, which no other thread can change behind the check.
//!
//! How:
//! - USER-1: the range lies wholly in user space, does not wrap, and ends before [`USER_END`](crate::addr::USER_END);
//!   checked here before the first access, so that no user address can name the kernel (unless `break=usercopy` has
//!   turned that off on purpose).
//! - USER-2: only the copy itself runs with SMAP open (`stac` to `clac`, in one block of assembly). A stray access
//!   to user memory anywhere else in the kernel faults and is a bug that shows.
//! - USER-3: a fault on the user's side of the loop is an error, not a panic. The page-fault handler first lets the
//!   address space bring the page in; if it refuses, [`fixup`] tells where the loop wants to go on, and that is its
//!   exit with an error. The table has an entry for each instruction that touches user memory and for no other: a fault
//!   on the kernel's side stays a bug.
//! - USER-4: a copy may fault, and a fault may wait for a lock, another CPU or a file. So no spinlock is held during a
//!   copy and interrupts are on; debug builds check both.

mod check;
mod copy;
mod plain_data;
mod pointer;
mod string;

pub use crate::hw::user_access::{fixup, set_smap};
pub use check::break_user_copies;
pub use plain_data::PlainData;
pub use pointer::{UserPtr, UserSlice, copy_out_prefix};
pub use string::{UserString, UserStringError};

#[cfg(test)]
mod tests;

use abi::Errno;

/// A user's address that names no memory the user may access so. A system call reports `EFAULT`.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct BadUserAddress;

impl From<BadUserAddress> for Errno {
    fn from(_: BadUserAddress) -> Errno {
        Errno::EFAULT
    }
}
