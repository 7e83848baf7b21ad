//! Exits at once: what starting a program costs.
#![no_std]
#![no_main]

ulib::program!(main);

fn main(_arguments: ulib::Arguments) {}
