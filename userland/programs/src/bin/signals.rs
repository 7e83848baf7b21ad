//! Signals: handlers that are called and return, signals that are refused, and those that end a process.
//!
//! `signals` shows each in turn, and fails if something is not as it should be. `signals wait` waits for Ctrl-C, twice,
//! and says what it was doing.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use abi::layout::PAGE_SIZE;
use programs::all_registers::{self, handler};
use ulib::signal::FaultKind;
use ulib::{Arguments, Errno, ExitStatus, Pid, Signal, file, println, process, signal, thread};

ulib::program!(main);

fn main(arguments: Arguments) -> Result<(), Errno> {
    if arguments.get(1) == Some("wait") {
        return wait_for_control_c();
    }
    show_registers()?;
    show_refusal()?;
    show_kill()?;
    show_repair()?;
    show_thread()?;
    println!("signals: everything is as it should be");
    Ok(())
}

/// How often each handler is called in [`show_registers`], each time with other registers.
const SEEDS: core::ops::Range<u64> = 1..9;

/// A handler may do to the registers what it likes, and even to its stack.
fn show_registers() -> Result<(), Errno> {
    let handlers = [
        (
            "leaves other values in all registers",
            handler::return_with_other_registers as signal::Handler,
        ),
        (
            "also overwrites its stack and calls sigreturn",
            handler::sigreturn_with_nothing_left,
        ),
    ];
    let own = process::getpid();
    for (how, handler) in handlers {
        signal::handle(Signal::SIGUSR1, Some(handler))?;
        for seed in SEEDS {
            all_registers::reset();
            let sender = thread::spawn(move || {
                while !all_registers::is_loaded() {
                    process::yield_now();
                }
                process::kill(own, Signal::SIGUSR1)
            })?;
            let changed = all_registers::changed_while_spinning(seed);
            assert!(changed.is_none(), "a signal has changed {changed:?}");
            assert_eq!(sender.join(), Some(Ok(())), "the thread that sends");
        }
        for seed in SEEDS {
            let arguments = [own as usize, Signal::SIGUSR1.number() as usize];
            // SAFETY: the call touches no memory.
            let (result, changed) =
                unsafe { all_registers::changed_by_system_call(seed, abi::Sysno::Kill, arguments) };
            assert_eq!(result, 0, "kill");
            assert!(changed.is_none(), "a signal has changed {changed:?}");
        }
        println!(
            "A handler {how}: the loop or system call that it interrupted goes on with its own registers."
        );
    }
    Ok(())
}

/// What `kill` has said within [`send_another`]: 0 or an error's number. Relaxed, here and for what other handlers
/// store: they run in the thread that looks, or it waits for nothing else.
static ANSWER: AtomicUsize = AtomicUsize::new(usize::MAX);
/// How often [`send_another`] was called.
static CALLS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn send_another(_: i32, _: usize, _: usize) {
    let sent = process::kill(process::getpid(), Signal::SIGUSR2);
    let answer = sent.map_or_else(Errno::number, |()| 0);
    ANSWER.store(answer, Ordering::Relaxed);
    CALLS.fetch_add(1, Ordering::Relaxed);
}

fn show_refusal() -> Result<(), Errno> {
    signal::handle_all(Some(send_another))?;
    process::kill(process::getpid(), Signal::SIGUSR1)?;
    let answer = ANSWER.load(Ordering::Relaxed);
    assert_eq!(answer, Errno::EAGAIN.number(), "a signal in a handler");
    let calls = CALLS.load(Ordering::Relaxed);
    assert_eq!(calls, 1, "calls of the handler");
    println!(
        "A signal that comes while the handler runs is refused with EAGAIN, and does not come later."
    );
    signal::handle_all(None)
}

extern "C" fn never_return(_: i32, _: usize, _: usize) {
    loop {
        core::hint::spin_loop();
    }
}

fn show_kill() -> Result<(), Errno> {
    let caught = signal::handle(Signal::SIGKILL, Some(never_return));
    assert_eq!(caught, Err(Errno::EINVAL), "a handler for SIGKILL");
    let child = process::start(|| {
        let raised = signal::handle_all(Some(never_return))
            .and_then(|()| process::kill(process::getpid(), Signal::SIGTERM));
        panic!("a handler that does not return has: {raised:?}");
    })?;
    while process::kill(child, Signal::SIGCHLD) != Err(Errno::EAGAIN) {
        process::yield_now();
    }
    process::kill(child, Signal::SIGKILL)?;
    let status = process::wait(child)?;
    assert!(status == ExitStatus::killed(Signal::SIGKILL), "{status}");
    println!("SIGKILL has no handler, and ends a process whose handler never returns: {status}.");
    Ok(())
}

/// Where nothing is mapped.
const FAR_AWAY: usize = 0xffff_c000_0000_0000;

extern "C" fn map_missing_page(signal: i32, address: usize, kind: usize) {
    if let Some(kind) = FaultKind::from_number(kind) {
        println!("  Handler: signal {signal}, {kind:?} at {address:#x}. I map it.");
    }
    // SAFETY: nothing was there.
    let mapped = unsafe { ulib::memory::page_alloc_range(address & !(PAGE_SIZE - 1), 1) };
    assert_eq!(mapped, Ok(()), "a page at {address:#x}");
}

fn show_repair() -> Result<(), Errno> {
    signal::handle(Signal::SIGSEGV, Some(map_missing_page))?;
    println!("Storing 42 where nothing is mapped...");
    let place = core::ptr::with_exposed_provenance_mut::<u64>(FAR_AWAY + 0x128);
    // SAFETY: when the store succeeds, the handler has mapped the page, for this.
    let found = unsafe {
        place.write_volatile(42);
        place.read_volatile()
    };
    assert_eq!(found, 42, "after the store");
    for (seed, page) in SEEDS.zip(1..) {
        signal::handle(Signal::SIGSEGV, Some(handler::return_with_other_registers))?;
        // SAFETY: as above.
        let changed = unsafe { all_registers::changed_by_store(seed, FAR_AWAY + page * PAGE_SIZE) };
        assert!(changed.is_none(), "a fault has changed {changed:?}");
    }
    println!(
        "The store was repeated when the handler had returned: I find {found} there. No register has changed."
    );
    signal::handle(Signal::SIGSEGV, None)
}

/// How many signals [`show_thread`] sends.
const SIGNALS: usize = 10;
static TAKER: AtomicI32 = AtomicI32::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_thread(_: i32, _: usize, _: usize) {
    TAKER.store(process::gettid(), Ordering::Relaxed);
    // Release pairs with the Acquire of who counts: he sees who it was.
    TAKEN.fetch_add(1, Ordering::Release);
}

/// A signal for one thread, which runs on another CPU if there is one, and makes no system call.
fn show_thread() -> Result<(), Errno> {
    signal::handle(Signal::SIGUSR1, Some(note_thread))?;
    process::pin(0);
    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    let spinner = thread::spawn(|| {
        process::pin(process::cpu_count() - 1);
        HAS_BEGUN.store(true, Ordering::Relaxed);
        while TAKEN.load(Ordering::Acquire) < SIGNALS {
            core::hint::spin_loop();
        }
    })?;
    let tid: Pid = spinner.tid();
    while !HAS_BEGUN.load(Ordering::Relaxed) {
        process::yield_now();
    }
    let start_ns = process::clock_ns();
    let mut sent = 0;
    while sent < SIGNALS {
        match process::kill(tid, Signal::SIGUSR1) {
            Ok(()) => sent += 1,
            // Its handler has not quite returned.
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
        }
        while TAKEN.load(Ordering::Acquire) < sent {
            process::yield_now();
        }
        let taker = TAKER.load(Ordering::Relaxed);
        assert_eq!(taker, tid, "the thread that has taken a signal");
    }
    let duration_us = (process::clock_ns() - start_ns) / 1000;
    spinner.join();
    println!(
        "Thread {tid} spins and has taken {SIGNALS} signals, one by one, in {duration_us} us. I am thread {}.",
        process::gettid()
    );
    Ok(())
}

fn wait_for_control_c() -> Result<(), Errno> {
    signal::handle(Signal::SIGINT, Some(note_thread))?;
    println!("I spin until you press Ctrl-C.");
    while TAKEN.load(Ordering::Acquire) == 0 {
        core::hint::spin_loop();
    }
    println!("That was SIGINT. I wait for a line until you press Ctrl-C.");
    let read = file::read(0, &mut [0]);
    assert_eq!(read, Err(Errno::EINTR), "a read that Ctrl-C has ended");
    assert_eq!(TAKEN.load(Ordering::Acquire), 2, "calls of the handler");
    println!("That was SIGINT: the read has ended with EINTR.");
    Ok(())
}
