//! Alice greets STEPS times (10), and gives others a turn after each greeting.
#![no_std]
#![no_main]

use ulib::{Arguments, process};

ulib::program!(main);

fn main(arguments: Arguments) {
    for step in 1..=arguments.number(1, 10) {
        ulib::println!("Hi, I'm Alice! #{step} (CPU {})", process::getcpu());
        process::yield_now();
    }
}
