//! Nothing that a program is loaded with can be both written and executed.
//!
//! Children try: one overwrites its own code, two execute data and the stack. Each must die of SIGSEGV. With `break=wx`
//! none does: whoever can make a program store something can make it execute that.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;
use core::hint::black_box;

use ulib::{Arguments, Errno, ExitStatus, Signal, println, process};

ulib::program!(main);

/// The instruction `ret`.
const RETURN: u8 = 0xc3;

/// Data that can be written, with an instruction in it.
struct Data(UnsafeCell<[u8; 16]>);

// SAFETY: a process of this program has one thread.
unsafe impl Sync for Data {}

static DATA: Data = Data(UnsafeCell::new([RETURN; 16]));

fn main(_arguments: Arguments) -> Result<(), Errno> {
    let attempts: [(&str, fn()); 3] = [
        ("overwrites its code", overwrite_code),
        ("executes its data", || execute(DATA.0.get().addr())),
        ("executes its stack", || {
            let bytes = black_box([RETURN; 16]);
            execute(bytes.as_ptr().addr());
        }),
    ];
    let mut broken = 0;
    for (what, attempt) in attempts {
        let child = process::start(|| {
            attempt();
            0
        })?;
        let status = process::wait(child)?;
        println!("A child that {what}: {status}");
        broken += usize::from(status != ExitStatus::killed(Signal::SIGSEGV));
    }
    assert!(broken == 0, "{broken} of them went on");
    println!("What can be written cannot be executed.");
    Ok(())
}

/// What [`overwrite_code`] overwrites.
extern "C" fn victim() {
    black_box(());
}

fn overwrite_code() {
    let code = victim as extern "C" fn() as usize;
    // SAFETY: nobody executes it: this process ends here or soon.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(code).write_volatile(RETURN) };
}

/// Calls what lies at `address`.
fn execute(address: usize) {
    // SAFETY: there is the instruction `ret`, so that the call does nothing, if it can be executed.
    let function: extern "C" fn() = unsafe { core::mem::transmute(address) };
    function();
}
