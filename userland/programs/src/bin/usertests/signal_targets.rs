//! Which thread takes a signal.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloc::vec::Vec;
use ulib::{Errno, ExitStatus, Signal, file, process, signal, thread};

use crate::caught::{self, catch, has_caught, in_handler, wait_until};
use crate::check::{join, ok, start, start_spinner};
use crate::runner::tests;
use crate::thread_tools::{exit_thread, spawn};

tests![
    a_signal_to_a_thread_is_handled_by_that_thread,
    a_signal_to_a_process_is_handled_by_its_first_thread,
    a_signal_to_a_process_goes_to_another_thread_if_the_first_is_in_a_handler,
    a_process_whose_first_thread_has_ended_takes_signals,
    spinners_on_every_cpu_take_signals,
    more_spinners_than_cpus_take_signals,
    a_thread_whose_turn_it_is_not_takes_its_signal_when_it_is,
    a_process_that_spins_on_another_cpu_takes_signals,
    every_signal_that_is_accepted_is_handled_however_soon_it_follows,
    a_thread_can_end_in_a_handler,
    what_a_thread_has_not_taken_when_it_ends_goes_to_another,
    a_thread_that_is_made_in_a_handler_is_in_none,
];

/// Starts a thread that runs, without a system call, until it has handled a signal; `cpu` is where.
fn start_spinning(cpu: usize) -> thread::JoinHandle<()> {
    spawn(move || {
        process::pin(cpu);
        let tid = process::gettid();
        STARTED.fetch_add(1, Ordering::Relaxed);
        while !has_caught(tid) {
            core::hint::spin_loop();
        }
    })
}

/// How many of these have begun. Relaxed: nothing else follows from it.
static STARTED: AtomicUsize = AtomicUsize::new(0);

#[track_caller]
fn kill_thread(thread: &thread::JoinHandle<()>, signal: Signal) {
    ok(process::kill(thread.tid(), signal));
}

#[track_caller]
fn expect_signals_to_spinners(count: usize) {
    catch(&[Signal::SIGUSR1]);
    let cpus = process::cpu_count();
    let threads: Vec<_> = (0..count)
        .map(|number| start_spinning(number % cpus))
        .collect();
    wait_until("all spin", || STARTED.load(Ordering::Relaxed) == count);
    threads
        .iter()
        .for_each(|thread| kill_thread(thread, Signal::SIGUSR1));
    threads
        .into_iter()
        .for_each(|thread| assert_eq!(thread.join(), Some(())));
    assert_eq!(caught::all().count(), count);
}

fn spinners_on_every_cpu_take_signals() {
    expect_signals_to_spinners(process::cpu_count().min(8));
}

fn more_spinners_than_cpus_take_signals() {
    expect_signals_to_spinners((2 * process::cpu_count() + 1).min(12));
}

/// They share the sender's CPU, so they are in its queue when the signals come.
fn a_thread_whose_turn_it_is_not_takes_its_signal_when_it_is() {
    catch(&[Signal::SIGUSR1]);
    process::pin(0);
    let threads = [(); 3].map(|()| start_spinning(0));
    wait_until("all spin", || STARTED.load(Ordering::Relaxed) == 3);
    threads
        .iter()
        .for_each(|thread| kill_thread(thread, Signal::SIGUSR1));
    threads
        .into_iter()
        .for_each(|thread| assert_eq!(thread.join(), Some(())));
}

fn a_process_that_spins_on_another_cpu_takes_signals() {
    const CODE: i32 = 7;
    extern "C" fn exit(signal: i32, _: usize, _: usize) {
        process::exit(CODE + signal);
    }
    ok(ulib::signal::handle(Signal::SIGUSR1, Some(exit)));
    let cpus = process::cpu_count();
    for cpu in 0..cpus.min(8) {
        process::pin(cpu);
        let spinner = start_spinner();
        process::pin((cpu + 1) % cpus);
        process::sleep_ms(2);
        ok(process::kill(spinner, Signal::SIGUSR1));
        let expected = ExitStatus::exited(CODE + Signal::SIGUSR1.number());
        assert_eq!(process::wait(spinner), Ok(expected));
    }
}

fn a_signal_to_a_thread_is_handled_by_that_thread() {
    catch(&[Signal::SIGUSR1, Signal::SIGUSR2]);
    let threads = [(); 4].map(|()| start_spinning(0));
    for (thread, count) in threads.iter().rev().zip(1..) {
        kill_thread(thread, Signal::SIGUSR1);
        wait_until("it is handled", || caught::all().count() == count);
        assert_eq!(caught::last().tid, thread.tid());
    }
    threads
        .into_iter()
        .for_each(|thread| assert_eq!(thread.join(), Some(())));
}

fn a_signal_to_a_process_is_handled_by_its_first_thread() {
    catch(&[Signal::SIGUSR1, Signal::SIGUSR2]);
    let other = start_spinning(process::cpu_count() - 1);
    let first = process::getpid();
    for count in 1..=5 {
        let sender = start(|| ok(process::kill(first, Signal::SIGUSR1)));
        wait_until("it is handled", || caught::all().count() == count);
        assert_eq!(caught::last().tid, first);
        join(sender);
    }
    kill_thread(&other, Signal::SIGUSR2);
    other.join();
}

fn a_signal_to_a_process_goes_to_another_thread_if_the_first_is_in_a_handler() {
    catch(&[Signal::SIGUSR1]);
    let other = start_spinning(process::cpu_count() - 1);
    in_handler(|| ok(process::kill(process::getpid(), Signal::SIGUSR1)));
    let tid = other.tid();
    other.join();
    assert_eq!(caught::last().tid, tid);
    assert_eq!(caught::all().count(), 1);
}

fn a_process_whose_first_thread_has_ended_takes_signals() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        catch(&[Signal::SIGUSR1]);
        let _other = spawn(move || {
            assert_eq!(thread::join(process::getpid()), Ok(0));
            ok(writer.write_all(&[0]));
            wait_until("a signal", || has_caught(process::gettid()));
            process::exit(0);
        });
        exit_thread(0);
    });
    assert_eq!(reader.read(&mut [0]), Ok(1));
    ok(process::kill(child, Signal::SIGUSR1));
    join(child);
}

fn a_thread_can_end_in_a_handler() {
    catch(&[Signal::SIGUSR1]);
    let thread = spawn(|| in_handler(|| exit_thread(7)));
    assert_eq!(thread::join(thread.tid()), Ok(7));
    // The others take signals as before.
    ok(process::kill(process::getpid(), Signal::SIGUSR1));
    assert_eq!(caught::last().tid, process::gettid());
}

/// The end of a child is told even if all threads are in handlers: the first takes it when it has left that.
fn what_a_thread_has_not_taken_when_it_ends_goes_to_another() {
    static IS_HELD: AtomicBool = AtomicBool::new(false);
    let child = start(|| {
        catch(&[Signal::SIGCHLD]);
        let _other = spawn(|| {
            in_handler(|| {
                // Relaxed, both: nothing else follows from it.
                IS_HELD.store(true, Ordering::Relaxed);
                assert_eq!(thread::join(process::getpid()), Ok(0));
            });
            wait_until("the signal has come", || has_caught(process::gettid()));
            process::exit(0);
        });
        wait_until("the other is in a handler", || {
            IS_HELD.load(Ordering::Relaxed)
        });
        in_handler(|| {
            join(start(|| ()));
            exit_thread(0);
        });
    });
    join(child);
}

fn a_thread_that_is_made_in_a_handler_is_in_none() {
    catch(&[Signal::SIGUSR1]);
    in_handler(|| {
        let thread = spawn(|| {
            ok(process::kill(process::gettid(), Signal::SIGUSR1));
            process::gettid()
        });
        let tid = thread.join();
        assert_eq!(tid, Some(caught::last().tid));
    });
    assert_eq!(caught::signals(), [Signal::SIGUSR1]);
}

/// The next one is sent as soon as the handler has been called: it may still be in there, or have just left it.
fn every_signal_that_is_accepted_is_handled_however_soon_it_follows() {
    const SIGNALS: usize = 200;
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    extern "C" fn count(_signal: i32, _address: usize, _kind: usize) {
        HANDLED.fetch_add(1, Ordering::Release);
    }
    ok(signal::handle(Signal::SIGUSR1, Some(count)));
    process::pin(0);
    let spinner = spawn(|| {
        process::pin(process::cpu_count() - 1);
        STARTED.fetch_add(1, Ordering::Relaxed);
        while !IS_OVER.load(Ordering::Relaxed) {
            core::hint::spin_loop();
        }
    });
    wait_until("the spinner runs", || STARTED.load(Ordering::Relaxed) == 1);
    for sent in 1..=SIGNALS {
        while let Err(errno) = process::kill(spinner.tid(), Signal::SIGUSR1) {
            assert!(errno == Errno::EAGAIN, "{errno:?}");
        }
        while HANDLED.load(Ordering::Acquire) < sent {
            process::yield_now();
        }
    }
    IS_OVER.store(true, Ordering::Relaxed);
    spinner.join();
}
