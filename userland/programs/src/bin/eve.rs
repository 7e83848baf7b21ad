//! Eve greets once and then loops for ever in user mode, without a single system call.
#![no_std]
#![no_main]

use core::hint::black_box;

use ulib::{Arguments, process};

ulib::program!(main);

fn main(_arguments: Arguments) {
    ulib::println!("Hi, I'm Eve! I keep CPU {} for myself.", process::getcpu());
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
