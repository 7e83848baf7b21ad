//! Signals that are refused, and that then change nothing.

use core::sync::atomic::{AtomicBool, Ordering};

use abi::{INIT_PID, decode};
use ulib::{Errno, ExitStatus, Pid, Signal, file, process, signal, system_call, thread};

use crate::caught::{self, catch, catchable, has_ended, in_handler, note, wait_until, whole};
use crate::check::{join, ok, start, status_of};
use crate::runner::tests;
use crate::thread_tools::spawn;

tests![
    in_a_handler_every_signal_but_sigkill_is_refused,
    in_a_handler_signals_without_handlers_are_refused_too,
    sigkill_works_in_a_handler,
    a_handler_that_never_returns_can_be_killed_and_not_interrupted,
    signal_0_only_checks_in_a_handler_too,
    a_process_whose_threads_are_all_in_handlers_refuses_signals,
    being_in_a_handler_belongs_to_the_thread,
    who_never_was_gets_no_signal,
    a_process_that_has_ended_gets_no_signal,
    a_thread_that_has_ended_gets_no_signal,
    init_gets_no_signal,
    a_process_of_the_kernel_gets_no_signal,
];

fn kill_self(signal: Signal) -> Result<(), Errno> {
    process::kill(process::getpid(), signal)
}

/// `kill` as it is, with a number that ends nothing.
fn send(pid: Pid, number: i32) -> Result<usize, Errno> {
    // SAFETY: it is refused, or checks only.
    decode(unsafe { system_call::kill(pid, number) })
}

/// For threads that stay in their handlers until then.
static IS_RELEASED: AtomicBool = AtomicBool::new(false);

fn release() {
    // Relaxed, both: nothing else follows from it.
    IS_RELEASED.store(true, Ordering::Relaxed);
}

fn is_released() -> bool {
    IS_RELEASED.load(Ordering::Relaxed)
}

/// Starts a thread that is in a handler until [`release`], and waits until it is there.
fn start_held() -> thread::JoinHandle<()> {
    static IS_HELD: AtomicBool = AtomicBool::new(false);
    IS_HELD.store(false, Ordering::Relaxed);
    let held = spawn(|| {
        in_handler(|| {
            IS_HELD.store(true, Ordering::Relaxed);
            wait_until("released", is_released);
        });
    });
    wait_until("in the handler", || IS_HELD.load(Ordering::Relaxed));
    held
}

fn in_a_handler_every_signal_but_sigkill_is_refused() {
    ok(signal::handle_all(Some(note)));
    in_handler(|| {
        for signal in catchable() {
            assert_eq!(kill_self(signal), Err(Errno::EAGAIN), "{signal:?}");
        }
    });
    // What has been refused does not come later either.
    assert_eq!(caught::signals(), []);
    ok(kill_self(Signal::SIGUSR1));
    assert_eq!(caught::signals(), [Signal::SIGUSR1]);
}

fn in_a_handler_signals_without_handlers_are_refused_too() {
    in_handler(|| {
        for signal in catchable() {
            assert_eq!(kill_self(signal), Err(Errno::EAGAIN), "{signal:?}");
        }
    });
    let status = status_of(|| {
        ok(kill_self(Signal::SIGTERM));
        0
    });
    assert_eq!(status, ExitStatus::killed(Signal::SIGTERM));
}

fn sigkill_works_in_a_handler() {
    let status = status_of(|| {
        in_handler(|| ok(kill_self(Signal::SIGKILL)));
        0
    });
    assert_eq!(status, ExitStatus::killed(Signal::SIGKILL));
}

fn a_handler_that_never_returns_can_be_killed_and_not_interrupted() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        catch(&[Signal::SIGUSR1]);
        in_handler(|| {
            ok(writer.write_all(&[0]));
            loop {
                core::hint::spin_loop();
            }
        });
    });
    assert_eq!(reader.read(&mut [0]), Ok(1));
    for signal in [Signal::SIGUSR1, Signal::SIGINT, Signal::SIGCHLD] {
        assert_eq!(process::kill(child, signal), Err(Errno::EAGAIN));
    }
    assert_eq!(process::try_wait(child), Ok(None));
    crate::check::kill(child);
}

fn signal_0_only_checks_in_a_handler_too() {
    catch(&[Signal::SIGUSR1]);
    in_handler(|| assert_eq!(send(process::getpid(), 0), Ok(0)));
    assert_eq!(send(process::getpid(), 0), Ok(0));
    assert_eq!(caught::signals(), []);
}

fn a_process_whose_threads_are_all_in_handlers_refuses_signals() {
    catch(&[Signal::SIGUSR1]);
    let (questions, question) = ok(file::pipe());
    let (answers, answer) = ok(file::pipe());
    let target = process::getpid();
    let sender = start(|| {
        for expected in [Err(Errno::EAGAIN), Ok(())] {
            assert_eq!(questions.read(&mut [0]), Ok(1));
            assert_eq!(process::kill(target, Signal::SIGUSR1), expected);
            ok(answer.write_all(&[0]));
        }
    });
    let let_sender_try = || {
        ok(question.write_all(&[0]));
        // The signal may come before the answer.
        assert_eq!(whole(|| answers.read(&mut [0])), Ok(1));
    };
    let held = start_held();
    in_handler(let_sender_try);
    assert_eq!(caught::signals(), []);
    let_sender_try();
    assert_eq!(caught::last().tid, process::gettid());
    join(sender);
    release();
    held.join();
    assert_eq!(caught::signals(), [Signal::SIGUSR1]);
}

fn being_in_a_handler_belongs_to_the_thread() {
    catch(&[Signal::SIGUSR1]);
    let held = start_held();
    let other = spawn(|| wait_until("released", is_released));
    let kill_thread = |tid| process::kill(tid, Signal::SIGUSR1);
    assert_eq!(kill_thread(held.tid()), Err(Errno::EAGAIN));
    assert_eq!(kill_thread(process::gettid()), Ok(()));
    assert_eq!(caught::last().tid, process::gettid());
    in_handler(|| assert_eq!(kill_thread(other.tid()), Ok(())));
    wait_until("the other thread takes it", || {
        caught::has_caught(other.tid())
    });
    release();
    let (held_tid, _) = (held.tid(), held.join());
    other.join();
    assert!(!caught::has_caught(held_tid));
}

/// With and without a handler there is nobody to take these.
const TRIED: [Signal; 4] = [
    Signal::SIGKILL,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGCHLD,
];

#[track_caller]
fn expect_refused(pid: Pid, errno: Errno) {
    for signal in TRIED {
        assert_eq!(
            process::kill(pid, signal),
            Err(errno),
            "{signal:?} to {pid}"
        );
    }
    assert_eq!(send(pid, 0), Err(errno), "0 to {pid}");
}

fn who_never_was_gets_no_signal() {
    let own = process::getpid();
    for pid in [0, -1, -own, i32::MIN, 0x7fff_fff0, i32::MAX] {
        expect_refused(pid, Errno::ESRCH);
    }
}

fn a_process_that_has_ended_gets_no_signal() {
    catch(&[Signal::SIGUSR1]);
    let child = ok(process::start(|| 6));
    wait_until("the child has ended", || has_ended(child));
    expect_refused(child, Errno::ESRCH);
    assert_eq!(process::wait(child), Ok(ExitStatus::exited(6)));
    expect_refused(child, Errno::ESRCH);
}

fn a_thread_that_has_ended_gets_no_signal() {
    catch(&[Signal::SIGUSR1]);
    let thread = spawn(|| ());
    let tid = thread.tid();
    wait_until("the thread has ended", || has_ended(tid));
    expect_refused(tid, Errno::ESRCH);
    assert_eq!(thread.join(), Some(()));
    expect_refused(tid, Errno::ESRCH);
}

fn init_gets_no_signal() {
    expect_refused(INIT_PID, Errno::EPERM);
}

/// On one CPU, so that it does not end before it has been tried.
fn a_process_of_the_kernel_gets_no_signal() {
    process::pin(0);
    let child = ok(process::spawn_with("hunt", "100"));
    expect_refused(child, Errno::EPERM);
    assert_eq!(process::wait(child), Ok(ExitStatus::exited(0)));
    expect_refused(child, Errno::ESRCH);
}
