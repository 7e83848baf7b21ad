//! Signals: which handler a process has for each, and what a signal does without one.

use core::sync::atomic::{AtomicI32, Ordering};

use abi::{NO_HANDLER, decode};
use ulib::signal::FaultKind;
use ulib::{Errno, ExitStatus, Signal, file, process, signal, system_call};

use crate::caught::{self, catch, catchable, note};
use crate::check::{KERNEL_TEXT, LAST_PAGE, NOT_CANONICAL, join, kill, ok, start, status_of};
use crate::helper;
use crate::runner::tests;
use crate::thread_tools::spawn;

tests![
    signal_catches_every_signal_but_sigkill,
    sigaction_catches_one_signal_and_returns_the_handler_before,
    sigkill_cannot_be_caught,
    a_handler_is_in_user_space,
    only_numbers_of_signals_have_handlers,
    handler_0_gives_a_signal_its_effect_back,
    without_a_handler_every_signal_but_sigchld_ends_the_process,
    sigchld_without_a_handler_interrupts_no_sleep,
    sigchld_without_a_handler_interrupts_no_waitpid,
    fork_copies_handlers,
    spawn_starts_without_handlers,
    threads_share_handlers,
    two_signals_that_wait_are_handled_lowest_first,
    a_signal_to_oneself_is_handled_before_kill_returns,
];

/// `sigaction` as it is.
pub(crate) fn sigaction(signal: i32, handler: usize) -> Result<usize, Errno> {
    // SAFETY: what is no handler is not called, or ends the process, which is the test.
    decode(unsafe { system_call::sigaction(signal, handler) })
}

fn raise(signal: Signal) {
    ok(process::kill(process::getpid(), signal));
}

fn note_address() -> usize {
    note as extern "C" fn(i32, usize, usize) as usize
}

/// How a child that sends this to itself ends, if that does not end it.
const SURVIVED: i32 = 3;

fn status_after(signal: Signal) -> ExitStatus {
    status_of(|| {
        raise(signal);
        SURVIVED
    })
}

fn signal_catches_every_signal_but_sigkill() {
    ok(signal::handle_all(Some(note)));
    for signal in catchable() {
        raise(signal);
        let caught = caught::last();
        assert_eq!(caught.signal, signal);
        assert_eq!((caught.address, caught.kind), (0, FaultKind::NotPageFault));
    }
    assert_eq!(caught::all().count(), catchable().count());
    assert_eq!(
        status_after(Signal::SIGKILL),
        ExitStatus::killed(Signal::SIGKILL)
    );
}

static OTHER: AtomicI32 = AtomicI32::new(0);

extern "C" fn other(signal: i32, _: usize, _: usize) {
    // Relaxed: the thread that looks is the one that was interrupted.
    OTHER.store(signal, Ordering::Relaxed);
}

fn sigaction_catches_one_signal_and_returns_the_handler_before() {
    let number = Signal::SIGUSR1.number();
    let other = other as extern "C" fn(i32, usize, usize) as usize;
    assert_eq!(sigaction(number, note_address()), Ok(NO_HANDLER));
    raise(Signal::SIGUSR1);
    assert_eq!(caught::signals(), [Signal::SIGUSR1]);
    assert_eq!(sigaction(number, other), Ok(note_address()));
    raise(Signal::SIGUSR1);
    assert_eq!(OTHER.load(Ordering::Relaxed), number);
    assert_eq!(caught::all().count(), 1);
    assert_eq!(sigaction(number, NO_HANDLER), Ok(other));
    assert_eq!(sigaction(number, NO_HANDLER), Ok(NO_HANDLER));
    assert_eq!(sigaction(Signal::SIGUSR2.number(), 0), Ok(NO_HANDLER));
}

fn sigkill_cannot_be_caught() {
    for handler in [note_address(), NO_HANDLER] {
        let result = sigaction(Signal::SIGKILL.number(), handler);
        assert_eq!(result, Err(Errno::EINVAL));
    }
}

fn a_handler_is_in_user_space() {
    catch(&[Signal::SIGUSR1]);
    for address in [
        1,
        KERNEL_TEXT,
        0x7fff_ffff_ffff,
        NOT_CANONICAL,
        LAST_PAGE,
        usize::MAX,
    ] {
        let number = Signal::SIGUSR1.number();
        assert_eq!(sigaction(number, address), Err(Errno::EINVAL));
        // SAFETY: as in `sigaction`.
        let result = decode(unsafe { system_call::signal(address) });
        assert_eq!(result, Err(Errno::EINVAL), "{address:#x}");
    }
    // Nothing has changed.
    assert_eq!(sigaction(Signal::SIGUSR1.number(), 0), Ok(note_address()));
    assert_eq!(sigaction(Signal::SIGUSR2.number(), 0), Ok(NO_HANDLER));
}

fn only_numbers_of_signals_have_handlers() {
    for number in [0, -1, 32, 64, i32::MAX, i32::MIN] {
        let result = sigaction(number, note_address());
        assert_eq!(result, Err(Errno::EINVAL), "signal {number}");
    }
}

fn handler_0_gives_a_signal_its_effect_back() {
    ok(signal::handle_all(Some(note)));
    ok(signal::handle(Signal::SIGUSR1, None));
    assert_eq!(
        status_after(Signal::SIGUSR1),
        ExitStatus::killed(Signal::SIGUSR1)
    );
    assert_eq!(status_after(Signal::SIGUSR2), ExitStatus::exited(SURVIVED));
    ok(signal::handle_all(None));
    for signal in [Signal::SIGUSR2, Signal::SIGSEGV] {
        assert_eq!(status_after(signal), ExitStatus::killed(signal));
    }
}

fn without_a_handler_every_signal_but_sigchld_ends_the_process() {
    for signal in (1..=Signal::MAX).filter_map(Signal::from_number) {
        let expected = match signal {
            Signal::SIGCHLD => ExitStatus::exited(SURVIVED),
            signal => ExitStatus::killed(signal),
        };
        assert_eq!(status_after(signal), expected);
    }
}

fn sigchld_without_a_handler_interrupts_no_sleep() {
    const SLEEP_MS: u64 = 40;
    let parent = process::getpid();
    let children = [5, 10, 15].map(|delay_ms| {
        start(|| {
            process::sleep_ms(delay_ms);
            ok(process::kill(parent, Signal::SIGCHLD));
        })
    });
    let start_ns = process::clock_ns();
    // SAFETY: the call touches no memory.
    let slept = decode(unsafe { system_call::sleep_ms(SLEEP_MS) });
    assert_eq!(slept, Ok(0));
    assert!(process::clock_ns() - start_ns >= SLEEP_MS * 1_000_000);
    children.into_iter().for_each(join);
}

fn sigchld_without_a_handler_interrupts_no_waitpid() {
    let (reader, writer) = ok(file::pipe());
    let parent = process::getpid();
    let last = start(|| assert_eq!(reader.read(&mut [0]), Ok(1)));
    let children = [5, 10].map(|delay_ms| start(|| process::sleep_ms(delay_ms)));
    let sender = start(|| {
        process::sleep_ms(15);
        ok(process::kill(parent, Signal::SIGCHLD));
        ok(writer.write_all(&[0]));
    });
    join(last);
    children.into_iter().chain([sender]).for_each(join);
}

fn fork_copies_handlers() {
    catch(&[Signal::SIGUSR1, Signal::SIGUSR2]);
    join(start(|| {
        raise(Signal::SIGUSR1);
        assert_eq!(caught::last().tid, process::getpid());
        // From here on they are its own.
        ok(signal::handle(Signal::SIGUSR2, None));
    }));
    assert_eq!(caught::all().count(), 0, "the child's signal is its own");
    raise(Signal::SIGUSR2);
    assert_eq!(caught::signals(), [Signal::SIGUSR2]);
}

fn spawn_starts_without_handlers() {
    ok(signal::handle_all(Some(note)));
    let child = ok(process::spawn_words(
        "usertests",
        [helper::OPTION, "handlers"],
    ));
    assert_eq!(process::wait(child), Ok(ExitStatus::exited(helper::FINE)));
}

fn threads_share_handlers() {
    let other = spawn(|| {
        catch(&[Signal::SIGUSR1]);
    });
    assert_eq!(other.join(), Some(()));
    raise(Signal::SIGUSR1);
    assert_eq!(caught::last().tid, process::gettid());
    let other = spawn(|| {
        ok(process::kill(process::gettid(), Signal::SIGUSR1));
        assert_eq!(caught::last().tid, process::gettid());
    });
    assert_eq!(other.join(), Some(()));
    assert_eq!(caught::all().count(), 2);
}

/// Both processes have one CPU, so the child takes what the parent has sent while it ran; unless the parent loses its
/// turn in between.
fn two_signals_that_wait_are_handled_lowest_first() {
    const ATTEMPTS: usize = 20;
    process::pin(0);
    let are_lowest_first = (0..ATTEMPTS).any(|_| {
        let (reader, writer) = ok(file::pipe());
        let child = start(|| {
            catch(&[Signal::SIGUSR1, Signal::SIGUSR2]);
            ok(writer.write_all(&[0]));
            while caught::all().count() < 2 {}
            let order = caught::signals();
            ok(writer.write_all(&[u8::from(order == [Signal::SIGUSR1, Signal::SIGUSR2])]));
        });
        assert_eq!(reader.read(&mut [0]), Ok(1));
        let sent = [Signal::SIGUSR2, Signal::SIGUSR1].map(|signal| process::kill(child, signal));
        if sent.contains(&Err(Errno::EAGAIN)) {
            // The first was being handled.
            kill(child);
            return false;
        }
        assert_eq!(sent, [Ok(()); 2]);
        let mut is_lowest_first = [0];
        assert_eq!(reader.read(&mut is_lowest_first), Ok(1));
        join(child);
        is_lowest_first == [1]
    });
    assert!(are_lowest_first);
}

fn a_signal_to_oneself_is_handled_before_kill_returns() {
    catch(&[Signal::SIGUSR1]);
    for count in 1..=100 {
        raise(Signal::SIGUSR1);
        assert_eq!(caught::all().count(), count);
    }
}
