//! Two processes share one page: one offers it, the other attaches it, and a third gets nothing.
//!
//! The owner has a page with a message and one with a secret. It offers the first to its partner, which answers on it.
//! An eavesdropper knows both addresses, and is refused. With `break=share` it is not, and reads the secret.
#![no_std]
#![no_main]

use abi::layout::PAGE_SIZE;
use core::sync::atomic::{AtomicU64, Ordering};
use ulib::mapping::{MapRequest, Mapping};
use ulib::offer::{attach, share};
use ulib::{Arguments, Errno, ExitStatus, MapFlags, Pid, println, process};

ulib::program!(main);

/// Where others attach.
const LOCAL: usize = 0xffff_b000_0000_0000;

const MESSAGE: u64 = 1001;
const ANSWER: u64 = 1002;
const SECRET: u64 = 4711;

fn main(_arguments: Arguments) -> Result<(), Errno> {
    let owner = process::getpid();
    let pages = Mapping::new(&MapRequest::anonymous(2 * PAGE_SIZE))?;
    let [message, secret] = [0, PAGE_SIZE].map(|offset| pages.address() + offset);
    let words = pages.words();
    // Relaxed: the processes meet in system calls.
    words[0].store(MESSAGE, Ordering::Relaxed);
    words[PAGE_SIZE / 8].store(SECRET, Ordering::Relaxed);
    println!("Process {owner} has a message at {message:#x} and a secret at {secret:#x}.");

    let stage = Mapping::new(&MapRequest::anonymous(PAGE_SIZE).flags(MapFlags::SHARED))?;
    let is_offered = || stage.words()[0].load(Ordering::Acquire) == 1;
    let partner = process::start(|| {
        while !is_offered() {
            process::yield_now();
        }
        partner(owner, message)
    })?;
    share(partner, message)?;
    println!("It offers the message to process {partner}.");
    // Release pairs with the Acquire above: the offer comes first.
    stage.words()[0].store(1, Ordering::Release);
    expect_success(partner, "the partner")?;
    let answer = words[0].load(Ordering::Relaxed);
    assert!(answer == ANSWER, "the answer is {answer}");
    println!("It finds the partner's answer.");

    let eavesdropper = process::start(|| eavesdropper(owner, [message, secret]))?;
    expect_success(eavesdropper, "the eavesdropper")?;
    println!("Only who was offered a page has got it.");
    Ok(())
}

fn expect_success(child: Pid, who: &str) -> Result<(), Errno> {
    let status = process::wait(child)?;
    assert!(status == ExitStatus::exited(0), "{who} ended with {status}");
    Ok(())
}

fn partner(owner: Pid, message: usize) -> i32 {
    if let Err(errno) = attach(owner, message, LOCAL) {
        panic!("the offered page was refused: {errno}");
    }
    let word = attached_word();
    let found = word.load(Ordering::Relaxed);
    assert!(found == MESSAGE, "the message is {found}");
    println!(
        "Process {} reads the message, and answers.",
        process::getpid()
    );
    word.store(ANSWER, Ordering::Relaxed);
    0
}

fn eavesdropper(owner: Pid, pages: [usize; 2]) -> i32 {
    for (page, local) in pages.into_iter().zip([LOCAL + PAGE_SIZE, LOCAL]) {
        match attach(owner, page, local) {
            Err(errno) => println!(
                "Process {} wants the page at {page:#x}: {errno:?}",
                process::getpid()
            ),
            Ok(()) if local == LOCAL => panic!(
                "an eavesdropper reads the secret: {}",
                attached_word().load(Ordering::Relaxed)
            ),
            Ok(()) => println!("An eavesdropper has got a page that was not offered to it."),
        }
    }
    0
}

/// The first word of the page that is attached at [`LOCAL`].
fn attached_word() -> &'static AtomicU64 {
    // SAFETY: a page is attached there, for good, and others use it by atomic accesses only.
    unsafe { &*core::ptr::with_exposed_provenance(LOCAL) }
}
