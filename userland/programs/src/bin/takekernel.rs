//! Asks `page_alloc` for pages of the kernel, and tries to use them.
//!
//! It must get none, and die if it tries all the same. With `break=pagealloc` it gets them: it can read the kernel's
//! code, and could write there what the kernel is to execute.
#![no_std]
#![no_main]

use abi::decode;
use ulib::{Arguments, Errno, ExitStatus, Signal, println, process, system_call};

ulib::program!(main);

/// Pages of the kernel: its code, and what the firmware has left.
const KERNEL_PAGES: [(&str, usize); 2] = [("the kernel's code", 0x20_0000), ("low memory", 0x8000)];

fn main(_arguments: Arguments) -> Result<(), Errno> {
    let mut taken = 0;
    for (what, page) in KERNEL_PAGES {
        // SAFETY: nothing of this program is there.
        let result = decode(unsafe { system_call::page_alloc(page) });
        println!("page_alloc({page:#x}), {what}: {result:?}");
        let child = process::start(|| {
            // SAFETY: nothing of this program depends on it.
            let word = unsafe { core::ptr::with_exposed_provenance::<u64>(page).read_volatile() };
            println!("  Its first word is {word:#018x}.");
            // SAFETY: as above; what was there stays.
            unsafe { core::ptr::with_exposed_provenance_mut::<u64>(page).write_volatile(word) };
            println!("  It can be written.");
            0
        })?;
        let status = process::wait(child)?;
        println!("  A child that uses it: {status}");
        let is_kept = result == Err(Errno::EINVAL) && status == ExitStatus::killed(Signal::SIGSEGV);
        taken += usize::from(!is_kept);
    }
    assert!(taken == 0, "{taken} pages of the kernel have been taken");
    println!("The kernel has kept its pages.");
    Ok(())
}
