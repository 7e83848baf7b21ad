//! Process 1: starts programs, adopts orphans, and ends the machine with the status of the program that the boot line
//! names.
//!
//! `init PROGRAM ARG...` starts the program, waits for it and for every orphan, and exits as the program did (128 +
//! signal if a signal ended it; 127 if it could not be started). `init` alone starts what the kernel shell's `urun`
//! asks for (`abi::init`), tells how that ends, and waits for orphans for ever: its `waitpid` waits even while it has
//! no child.
#![no_std]
#![no_main]

use abi::init::{ANSWERS, READY, REQUEST_MAX, REQUESTS};
use ulib::sync::{Barrier, Mutex};
use ulib::{Arguments, Errno, Pid, file, process, thread};

ulib::program!(main);

fn main(arguments: Arguments) -> i32 {
    let Some(name) = arguments.get(1) else {
        serve_kernel_shell()
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

/// The program that the kernel shell waits for. Locked from before it is started until it stands here: whoever finds
/// that it has ended finds it here.
static ASKED_FOR: Mutex<Option<Pid>> = Mutex::new(None);

/// Where the two threads meet before the kernel hears that they are ready.
static READY_TO_WAIT: Barrier = Barrier::new(2);

/// One thread waits for requests, this one for whatever ends.
fn serve_kernel_shell() -> ! {
    if let Err(errno) = thread::spawn(start_what_is_asked_for) {
        panic!("no thread for the kernel shell's requests: {errno}");
    }
    READY_TO_WAIT.wait();
    answer(READY);
    loop {
        let (ended, status) = match process::wait_any() {
            Ok(child) => child,
            Err(errno) => panic!("cannot wait: {errno}"),
        };
        let mut asked_for = ASKED_FOR.lock();
        if *asked_for == Some(ended) {
            *asked_for = None;
            answer(status.raw());
        }
    }
}

fn start_what_is_asked_for() {
    let mut buffer = [0; REQUEST_MAX];
    READY_TO_WAIT.wait();
    loop {
        let len = match file::read(REQUESTS, &mut buffer) {
            Ok(len) => len,
            Err(errno) => panic!("cannot read a request: {errno}"),
        };
        let request = buffer.get(..len).unwrap_or_default();
        let mut asked_for = ASKED_FOR.lock();
        match start(request) {
            Ok(program) => {
                *asked_for = Some(program);
                answer(program);
            }
            Err(errno) => answer(-(errno.number() as i32)),
        }
    }
}

fn start(request: &[u8]) -> Result<Pid, Errno> {
    let command = str::from_utf8(request).map_err(|_| Errno::EINVAL)?;
    let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
    process::spawn_with(name, argument)
}

/// Answers with one number.
fn answer(number: i32) {
    if let Err(errno) = file::write_all(ANSWERS, &number.to_ne_bytes()) {
        panic!("cannot answer the kernel shell: {errno}");
    }
}
