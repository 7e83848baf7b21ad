//! Tries to get at what is not its own: memory that others had, memory of the kernel, and instructions that are the
//! kernel's only.
//!
//! Every attempt but the first is stopped by the processor, and calls this program's handler for SIGSEGV with the
//! address and the kind of the fault; then the program goes on. It says of each attempt what came of it, and exits with
//! 1 if one got through. With `break=zero` the first does.
#![no_std]
#![no_main]

mod attempt;
mod fresh_memory;
mod instructions;
mod kernel_memory;

use ulib::{Arguments, Errno, Signal, println, signal};

ulib::program!(main);

fn main(_arguments: Arguments) -> i32 {
    match attack() {
        Ok(0) => 0,
        Ok(_) => 1,
        Err(errno) => panic!("cannot try: {errno}"),
    }
}

/// Returns the number of holes.
fn attack() -> Result<usize, Errno> {
    signal::handle(Signal::SIGSEGV, Some(attempt::stopped))?;
    let holes = fresh_memory::search()? + kernel_memory::attack()? + instructions::try_all()?;
    match holes {
        0 => println!("hack: nothing is to be had here"),
        _ => println!("hack: FAILED: {holes} attempts got through"),
    }
    Ok(holes)
}
