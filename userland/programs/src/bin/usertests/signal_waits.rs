//! Signals that come while a thread waits in the kernel: what it waits for ends with `EINTR`, and the next wait is
//! whole.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::{COMMON_PIPE_LEN, decode};
use alloc::vec;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Errno, ExitStatus, Signal, common_pipe, file, futex, process, system_call, thread};

use crate::caught::{self, catch, has_caught, has_ended, interrupt, whole};
use crate::check::{join, kill, ok, start, start_spinner};
use crate::runner::tests;
use crate::thread_tools::{exit_thread, spawn};

tests![
    a_signal_ends_a_sleep,
    a_signal_ends_a_read_of_an_empty_pipe,
    a_signal_ends_a_write_to_a_full_pipe,
    a_signal_cuts_a_long_write_short,
    a_signal_ends_a_wait_for_a_child,
    a_signal_ends_a_wait_for_a_thread,
    a_signal_ends_a_wait_for_a_word,
    a_signal_ends_a_read_of_the_console,
    a_signal_ends_a_read_of_the_empty_common_pipe,
    a_signal_ends_a_write_to_the_full_common_pipe,
    a_signal_ends_the_filling_of_a_very_long_mask,
    a_signal_ends_the_wait_of_one_thread_only,
    a_signal_to_a_process_ends_what_its_first_thread_waits_for,
    sigkill_ends_a_wait_for_a_word_a_thread_or_a_line,
];

/// Has another thread call `wait`, which has to be ended by a signal, and then `again`, which has to wait as if there
/// had been none. Returns what came of both.
#[track_caller]
fn interrupted<T: Send + 'static, U: Send + 'static>(
    wait: impl FnOnce() -> T + Send + 'static,
    again: impl FnOnce() -> U + Send + 'static,
) -> (T, U) {
    static IS_ABOUT_TO: AtomicBool = AtomicBool::new(false);
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    catch(&[Signal::SIGUSR1]);
    // Relaxed, all: nothing else follows from it.
    let waiter = spawn(|| {
        IS_ABOUT_TO.store(true, Ordering::Relaxed);
        let outcome = wait();
        IS_OVER.store(true, Ordering::Relaxed);
        (outcome, again())
    });
    let tid = waiter.tid();
    caught::wait_until("it is about to wait", || {
        IS_ABOUT_TO.load(Ordering::Relaxed)
    });
    interrupt(tid, Signal::SIGUSR1, || IS_OVER.load(Ordering::Relaxed));
    assert!(has_caught(tid), "the handler has not run");
    match waiter.join() {
        Some(outcomes) => outcomes,
        None => panic!("the thread has gone"),
    }
}

fn sleep_ms(duration_ms: u64) -> Result<usize, Errno> {
    // SAFETY: the call touches no memory.
    decode(unsafe { system_call::sleep_ms(duration_ms) })
}

fn a_signal_ends_a_sleep() {
    let (first, slept_ns) = interrupted(
        || sleep_ms(1_000_000),
        || {
            let start_ns = process::clock_ns();
            whole(|| sleep_ms(10)).map(|_| process::clock_ns() - start_ns)
        },
    );
    assert_eq!(first, Err(Errno::EINTR));
    assert!(slept_ns.is_ok_and(|slept_ns| slept_ns >= 10_000_000));
}

fn a_signal_ends_a_read_of_an_empty_pipe() {
    let (reader, writer) = ok(file::pipe());
    let fd = reader.descriptor();
    let outcomes = interrupted(
        move || file::read(fd, &mut [0]),
        move || {
            let mut byte = [0];
            ok(writer.write_all(&[7]));
            (whole(|| reader.read(&mut byte)), byte)
        },
    );
    assert_eq!(outcomes, (Err(Errno::EINTR), (Ok(1), [7])));
}

const LONGER_THAN_A_PIPE: usize = 1 << 20;

/// Long writes wait for half of the pipe at least, and short ones for a byte.
fn a_signal_cuts_a_long_write_short() {
    let (reader, writer) = ok(file::pipe());
    let fd = writer.descriptor();
    let (written, nothing) =
        interrupted(move || file::write(fd, &vec![7; LONGER_THAN_A_PIPE]), || ());
    let written = ok(written);
    assert!((1..LONGER_THAN_A_PIPE).contains(&written), "{written}");
    drop(writer);
    // So much is in the pipe, and no more.
    let mut buffer = vec![0; LONGER_THAN_A_PIPE];
    assert_eq!((reader.read_full(&mut buffer), nothing), (Ok(written), ()));
}

fn a_signal_ends_a_write_to_a_full_pipe() {
    let (reader, writer) = ok(file::pipe());
    let fd = writer.descriptor();
    let fill = move || {
        loop {
            match file::write(fd, &[1; 512]) {
                Ok(512) => {}
                outcome => return outcome,
            }
        }
    };
    let (outcome, written) = interrupted(fill, move || {
        ok(reader.read(&mut vec![0; LONGER_THAN_A_PIPE]));
        whole(|| file::write(fd, &[3; 512]))
    });
    assert_eq!((outcome, written), (Err(Errno::EINTR), Ok(512)));
    drop(writer);
}

fn a_signal_ends_a_wait_for_a_child() {
    let child = start_spinner();
    let outcomes = interrupted(
        move || process::wait(child),
        move || {
            ok(process::kill(child, Signal::SIGKILL));
            whole(|| process::wait(child))
        },
    );
    let killed = Ok(ExitStatus::killed(Signal::SIGKILL));
    assert_eq!(outcomes, (Err(Errno::EINTR), killed));
}

fn a_signal_ends_a_wait_for_a_thread() {
    static MAY_END: AtomicBool = AtomicBool::new(false);
    // Relaxed, both: nothing else follows from it.
    let other = spawn(|| {
        while !MAY_END.load(Ordering::Relaxed) {
            process::yield_now();
        }
        exit_thread(5);
    });
    let tid = other.tid();
    let outcomes = interrupted(
        move || thread::join(tid),
        move || {
            MAY_END.store(true, Ordering::Relaxed);
            whole(|| thread::join(tid))
        },
    );
    assert_eq!(outcomes, (Err(Errno::EINTR), Ok(5)));
    // It has been joined by its id.
    core::mem::forget(other);
}

fn a_signal_ends_a_wait_for_a_word() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static IS_WAITING: AtomicBool = AtomicBool::new(false);
    // Relaxed, all: the kernel's locks order the word and the wake-ups.
    let waker = spawn(|| {
        caught::wait_until("it waits again", || IS_WAITING.load(Ordering::Relaxed));
        WORD.store(1, Ordering::Relaxed);
        futex::wake(&WORD, 1);
    });
    let (first, ()) = interrupted(
        || futex::wait(&WORD, 0),
        || {
            IS_WAITING.store(true, Ordering::Relaxed);
            while WORD.load(Ordering::Relaxed) == 0 {
                // Any end is a reason to look again.
                let _ = futex::wait(&WORD, 0);
            }
        },
    );
    assert_eq!(first, Err(Errno::EINTR));
    waker.join();
    // Who was interrupted is in no list any more.
    assert_eq!(futex::wake(&WORD, 1), 0);
}

/// Nobody types while tests run.
fn a_signal_ends_a_read_of_the_console() {
    let (outcome, ()) = interrupted(|| file::read(0, &mut [0]), || ());
    assert_eq!(outcome, Err(Errno::EINTR));
}

fn a_signal_ends_the_wait_of_one_thread_only() {
    let (reader, writer) = ok(file::pipe());
    let fd = reader.descriptor();
    let other = spawn(move || file::read(fd, &mut [0]));
    let (outcome, ()) = interrupted(move || file::read(fd, &mut [0]), || ());
    assert_eq!(outcome, Err(Errno::EINTR));
    assert!(!has_caught(other.tid()));
    ok(writer.write_all(&[0]));
    assert_eq!(other.join(), Some(Ok(1)));
}

fn a_signal_to_a_process_ends_what_its_first_thread_waits_for() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        catch(&[Signal::SIGUSR1]);
        let _other = spawn(|| process::sleep_ms(1_000_000));
        assert_eq!(sleep_ms(1_000_000), Err(Errno::EINTR));
        assert_eq!(caught::last().tid, process::getpid());
        ok(writer.write_all(&[0]));
        process::exit(0);
    });
    interrupt(child, Signal::SIGUSR1, || has_ended(child));
    join(child);
    assert_eq!(reader.read(&mut [0]), Ok(1));
}

fn sigkill_ends_a_wait_for_a_word_a_thread_or_a_line() {
    let word = AtomicU32::new(0);
    let spin = || {
        loop {
            core::hint::spin_loop();
        }
    };
    let waits: [&dyn Fn(); 3] = [
        &|| assert_eq!(futex::wait(&word, 0), Ok(())),
        &|| {
            spawn(spin).join();
        },
        &|| assert_eq!(file::read(0, &mut [0]), Ok(0)),
    ];
    for wait in waits {
        let child = start(wait);
        process::sleep_ms(5);
        kill(child);
    }
}

fn a_signal_ends_a_read_of_the_empty_common_pipe() {
    let outcomes = interrupted(
        || common_pipe::read(&mut [0]),
        || {
            ok(whole(|| common_pipe::write(b"x")));
            whole(|| common_pipe::read(&mut [0]))
        },
    );
    assert_eq!(outcomes, (Err(Errno::EINTR), Ok(1)));
}

fn a_signal_ends_a_write_to_the_full_common_pipe() {
    ok(common_pipe::write(&[7; COMMON_PIPE_LEN]));
    let outcomes = interrupted(
        || common_pipe::write(b"x"),
        || whole(|| common_pipe::read(&mut [0; 2 * COMMON_PIPE_LEN])),
    );
    assert_eq!(outcomes, (Err(Errno::EINTR), Ok(COMMON_PIPE_LEN)));
}

fn a_signal_ends_the_filling_of_a_very_long_mask() {
    const LEN: usize = 64 << 20;
    let mask = ok(Mapping::new(&MapRequest::anonymous(LEN)));
    let address = mask.address();
    // SAFETY: the kernel writes to the mapping, which nobody reads.
    let fill = move || decode(unsafe { system_call::get_affinity(0, address as *mut u8, LEN) });
    let wait = move || {
        loop {
            if let Err(errno) = fill() {
                return errno;
            }
        }
    };
    assert_eq!(interrupted(wait, || ()), (Errno::EINTR, ()));
}
