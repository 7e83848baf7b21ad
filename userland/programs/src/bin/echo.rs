//! Prints its arguments, with a blank between two.
//!
//! `echo [WORD...]`
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use ulib::{Arguments, println};

ulib::program!(main);

fn main(arguments: Arguments) {
    // In one call, so that the lines of several programs are not mixed.
    println!("{}", arguments.operands().collect::<Vec<_>>().join(" "));
}
