//! Fills the process table, and is refused by each call that needs an entry of it.
//!
//! `crowd` starts children that sleep until `fork` is refused. Then every other call that needs an entry must be refused,
//! too, and for want of one (`EAGAIN`); and when the children have gone, each must work again. `table=64` on the boot
//! line makes a table that is soon full. With a large one memory ends first, and then so does this program.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Arguments, Errno, Pid, Signal, accounts, println, process, thread};

ulib::program!(main);

/// A child is asleep for so long at a time, until it is killed.
const SLEEP_MS: u64 = 1000;
const STACK_LEN: usize = 4 * PAGE_SIZE;

/// Makes a system call that needs an entry, and gives the entry back.
type Call<'a> = &'a dyn Fn() -> Result<(), Errno>;

fn main(_arguments: Arguments) -> Result<(), Errno> {
    let stack = Mapping::new(&MapRequest::anonymous(STACK_LEN))?;
    let stack_top = stack.address() + STACK_LEN;
    let calls: [(&str, Call<'_>); 5] = [
        ("fork", &|| process::start(|| 0).and_then(reap)),
        ("spawn", &|| process::spawn("nop").and_then(reap)),
        ("spawn_with", &|| {
            process::spawn_with("nop", "").and_then(reap)
        }),
        ("create_thread", &|| {
            // SAFETY: 1. the stack is one thread's at a time, which is joined. 2. the function may be called with anything.
            unsafe { thread::create(do_nothing, 0, stack_top) }
                .and_then(thread::join)
                .map(drop)
        }),
        ("create_thread_registers", &|| {
            thread::spawn(|| ()).map(|thread| assert!(thread.join().is_some()))
        }),
    ];
    // Each once, for the memory that this program needs for it.
    calls.iter().try_for_each(|(_, call)| call())?;
    let mut children = Vec::with_capacity(process::sysinfo().table_capacity as usize);
    let before = accounts::now();

    let refusal = loop {
        match process::start(|| -> i32 {
            loop {
                process::sleep_ms(SLEEP_MS);
            }
        }) {
            Ok(child) => children.push(child),
            Err(errno) => break errno,
        }
    };
    println!("crowd: {} children, then {refusal}", children.len());
    let full = process::sysinfo();
    println!(
        "crowd: {} of {} entries in use",
        full.table_entries, full.table_capacity
    );
    let refused = calls.map(|(name, call)| (name, call()));
    for child in children {
        process::kill(child, Signal::SIGKILL)?;
        reap(child)?;
    }
    for (name, outcome) in refused {
        assert_eq!(outcome, Err(Errno::EAGAIN), "{name} with a full table");
    }
    for (name, call) in calls {
        assert_eq!(call(), Ok(()), "{name} when there is room again");
    }
    assert_eq!(accounts::check_settled(&before, SLEEP_MS), Ok(()));
    println!("crowd: each call was refused, and works again");
    Ok(())
}

fn reap(child: Pid) -> Result<(), Errno> {
    process::wait(child).map(drop)
}

extern "C" fn do_nothing(_argument: usize) -> usize {
    0
}
