//! Prints a greeting with the CPU that it runs on.
#![no_std]
#![no_main]

use ulib::{Arguments, process};

ulib::program!(main);

fn main(arguments: Arguments) {
    let (cpu, cpus) = (process::getcpu(), process::cpu_count());
    ulib::println!(
        "Hello from process {} on CPU {cpu} of {cpus}!",
        process::getpid()
    );
    for word in arguments.operands() {
        ulib::println!("I was given: {word}");
    }
}
