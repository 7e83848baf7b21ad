//! A stack that grows by faults, and what ends its growth.
//!
//! `recurse [DEPTH]` (400 calls, each with a frame of half a KiB). The stack begins with a few pages. A touch below it
//! makes it longer, whoever touches: the kernel, which stores there what it has read, or the program by its calls. Two
//! children go too far, one to the stack's limit and one to the guard gap before a mapping in its way. Each must die of
//! SIGSEGV, and not before.
#![no_std]
#![no_main]

use core::fmt::{self, Display};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::layout::{PAGE_SIZE, STACK_BOTTOM, STACK_LEN_PAGES, STACK_TOP};
use abi::{GUARD_GAP_LEN, OpenFlags, decode};
use ulib::file::File;
use ulib::mapping::{MapRequest, Mapping, map, mapping};
use ulib::{Arguments, Errno, ExitStatus, MapFlags, Signal, println, process, system_call};

ulib::program!(main);

const USUAL_DEPTH: usize = 400;

/// Words of a call's own, which it fills.
const FRAME_WORDS: usize = 64;

/// A call needs no more than this: its words, and what the compiler puts between them.
const FRAME_MAX_LEN: usize = 2 * FRAME_WORDS * size_of::<u64>();

fn main(arguments: Arguments) -> Result<(), Errno> {
    let at_first = Stack::now()?;
    println!("The stack has {at_first} of {STACK_LEN_PAGES}.");
    assert!(at_first.pages < STACK_LEN_PAGES, "nothing is left to grow");
    read_below(&at_first)?;
    fall("its limit", STACK_BOTTOM, || Ok(()))?;
    let in_the_way = STACK_BOTTOM + 4 * PAGE_SIZE;
    let end_of_gap = in_the_way + PAGE_SIZE + GUARD_GAP_LEN;
    fall("the guard gap before a mapping", end_of_gap, || {
        map(&MapRequest::anonymous(PAGE_SIZE).at(in_the_way)).map(drop)
    })?;
    go_down(arguments.number(1, USUAL_DEPTH))
}

/// How long the stack is.
struct Stack {
    bottom: usize,
    pages: usize,
}

impl Stack {
    fn now() -> Result<Stack, Errno> {
        let info = mapping(STACK_TOP - 1)?;
        Ok(Stack {
            bottom: info.start as usize,
            pages: info.len as usize / PAGE_SIZE,
        })
    }
}

impl Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.pages == 1 { "" } else { "s" };
        write!(f, "{} page{plural}", self.pages)
    }
}

/// Has the kernel store something two pages below the stack, where nobody has been.
fn read_below(stack: &Stack) -> Result<(), Errno> {
    let file = File::open("recurse", OpenFlags::READ)?;
    let place = stack.bottom - 2 * PAGE_SIZE;
    // SAFETY: the stack goes down to its `bottom` at most, so nothing of the program's is there.
    decode(unsafe { system_call::read(file.descriptor(), place as *mut u8, 4) })?;
    // SAFETY: the kernel has just stored something there.
    let found = unsafe { (place as *const [u8; 4]).read_volatile() };
    assert_eq!(&found, b"\x7fELF", "the kernel's bytes are lost");
    let now = Stack::now()?;
    println!("A read() into the second page below it: {now}.");
    assert_eq!(now.pages, stack.pages + 2);
    Ok(())
}

/// Calls itself so often, and says how far the stack has grown.
fn go_down(depth: usize) -> Result<(), Errno> {
    let before = Stack::now()?;
    let deepest = AtomicU64::new(0);
    let sum = call(depth, &deepest);
    assert_eq!(sum, (1..=depth as u64).sum(), "a frame has lost its words");
    let needed = (STACK_TOP - deepest.load(Ordering::Relaxed) as usize).div_ceil(PAGE_SIZE);
    let now = Stack::now()?;
    println!(
        "{depth} calls, {needed} pages deep: {now}, {} more.",
        now.pages - before.pages
    );
    assert!(now.pages >= needed && now.pages >= before.pages);
    Ok(())
}

/// Fills a frame and goes on in the next, `depth` times. `deepest` gets the address of the last that was filled.
/// Returns the sum of what the frames hold when all have been filled.
#[inline(never)]
fn call(depth: usize, deepest: &AtomicU64) -> u64 {
    if depth == 0 {
        return 0;
    }
    let mut words = [depth as u64; FRAME_WORDS];
    let words = black_box(&mut words);
    deepest.store(words.as_ptr().addr() as u64, Ordering::Relaxed);
    let below = call(depth - 1, deepest);
    let is_kept = words.iter().all(|&word| word == depth as u64);
    below + if is_kept { words[0] } else { 0 }
}

/// A child that does `before` and then calls itself without end. It must die, but only below the address `boundary`.
fn fall(
    what: &str,
    boundary: usize,
    before: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    let shared = Mapping::new(&MapRequest::anonymous(PAGE_SIZE).flags(MapFlags::SHARED))?;
    let [deepest, ..] = shared.words() else {
        return Err(Errno::EFAULT);
    };
    let child = process::start(|| match before() {
        Ok(()) => call(usize::MAX, deepest) as i32,
        Err(errno) => panic!("cannot map: {errno}"),
    })?;
    let status = process::wait(child)?;
    let lowest = deepest.load(Ordering::Relaxed) as usize;
    println!(
        "A child that falls to {what} at {boundary:#x}: its last frame was at {lowest:#x}; {status}."
    );
    assert_eq!(status, ExitStatus::killed(Signal::SIGSEGV));
    assert!(
        (boundary..boundary + 2 * FRAME_MAX_LEN).contains(&lowest),
        "that is not where it should have ended"
    );
    Ok(())
}
