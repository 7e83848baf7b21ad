//! The library of C programs: start-up, `printf` and its kin, `malloc`, threads. `include/argonaut.h` declares all of
//! it.
//!
//! `tools/build.sh` makes it a static library, `libargonaut.a`. String functions, `qsort` and `rand` are those of
//! `tinyrlibc`; the heap, and what a `fork` has to hold off, are `ulib`'s.

#![no_std]

extern crate alloc;

use tinyrlibc as _;

mod memory;
mod output;
mod print;
mod process;
mod screen;
mod start;
mod tls;
