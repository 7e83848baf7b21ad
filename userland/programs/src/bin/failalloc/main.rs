//! Has each allocation fail that the kernel makes for an operation, one after the other, and checks what comes of it.
//!
//! `failalloc [NAME...] [--list]`, in a kernel that was booted with `fail=alloc:driver`: for all operations, or those
//! named. For each operation, and for N = 1, 2, 3, ... until it does not ask for N pieces of memory any more, the N-th
//! allocation fails; then once more all from the N-th on. After each the operation has reported that there is no
//! memory, or has done its work all the same (who does not get a big page takes small ones); the kernel's accounts are
//! where they were; and the operation works when it is tried again.
//!
//! Prints for each operation how many allocations failed, and exits with 1 if anything was otherwise.
#![no_std]
#![no_main]

mod faults;
mod files;
mod memory;
mod offers;
mod processes;
mod signals;
mod sweep;
mod waits;

use ulib::{Arguments, eprintln, failures, println};

use crate::sweep::Operation;

ulib::program!(main);

const GROUPS: [&[Operation]; 7] = [
    processes::OPERATIONS,
    memory::OPERATIONS,
    faults::OPERATIONS,
    files::OPERATIONS,
    offers::OPERATIONS,
    signals::OPERATIONS,
    waits::OPERATIONS,
];

fn main(arguments: Arguments) -> i32 {
    let operations = || GROUPS.iter().copied().flatten();
    if arguments.get(1) == Some("--list") {
        operations().for_each(|operation| println!("{}", operation.name));
        return 0;
    }
    let named = |name: &str| operations().any(|operation| operation.name == name);
    if let Some(unknown) = arguments.operands().find(|name| !named(name)) {
        eprintln!("failalloc: no operation is called {unknown}");
        return 2;
    }
    let is_wanted = |operation: &&Operation| {
        arguments.operands().next().is_none()
            || arguments.operands().any(|name| name == operation.name)
    };
    if let Err(errno) = failures::disarm() {
        eprintln!("failalloc: the kernel was booted without fail=alloc:driver: {errno}");
        return 2;
    }
    if let Err(errno) = files::prepare() {
        eprintln!("failalloc: cannot prepare its files: {errno}");
        return 2;
    }
    let (mut failed, mut wrong) = (0, 0);
    for operation in operations().filter(is_wanted) {
        match sweep::sweep(operation) {
            Ok(tally) => {
                println!("{:<28} {tally}", operation.name);
                failed += tally.failed;
            }
            Err(reason) => {
                println!("{:<28} WRONG: {reason}", operation.name);
                wrong += 1;
            }
        }
    }
    println!("failalloc: {failed} allocations failed, {wrong} operations went wrong");
    i32::from(wrong != 0)
}
