//! Process 1: runs the program that the boot line names, adopts orphans, and ends the machine with the program's status.
//!
//! `init PROGRAM ARG...` starts the program, waits for it and for every orphan, and exits as the program did (128 +
//! signal if a signal ended it; 127 if it could not be started). `init` alone waits for orphans for ever: its `waitpid` waits even while
//! it has no child.
#![no_std]
#![no_main]

use ulib::{Arguments, Pid, process};

ulib::program!(main);

fn main(arguments: Arguments) -> i32 {
    let Some(name) = arguments.get(1) else {
        wait_for_orphans()
    };
    match process::spawn_words(name, arguments.operands().skip(1)) {
        Ok(program) => wait_for(program),
        Err(errno) => {
            ulib::eprintln!("init: cannot run {name}: {errno}");
            127
        }
    }
}

/// Waits for orphans until `program` has ended.
fn wait_for(program: Pid) -> i32 {
    loop {
        match process::wait_any() {
            Ok((ended, status)) if ended == program => return i32::from(status.shell_code()),
            Ok(_orphan) => {}
            Err(errno) => panic!("cannot wait: {errno}"),
        }
    }
}

fn wait_for_orphans() -> ! {
    loop {
        if let Err(errno) = process::wait_any() {
            panic!("cannot wait: {errno}");
        }
    }
}
