//! Killing.

use abi::decode;
use ulib::file;
use ulib::{Errno, ExitStatus, Signal, process, system_call};

use crate::check::{AREA_START, join, kill, ok, start, start_spinner};
use crate::runner::tests;

tests![
    kill_ends_a_process_that_makes_no_system_call,
    kill_ends_a_process_on_another_cpu,
    kill_ends_a_sleeper_at_once,
    kill_ends_a_reader_of_an_empty_pipe,
    kill_ends_a_writer_to_a_full_pipe,
    kill_ends_a_process_that_waits_for_its_child,
    kill_ends_a_process_that_has_not_run_yet,
    kill_ends_a_process_within_a_long_call,
    a_signal_without_handler_is_the_status,
    signal_0_only_checks,
    kill_refuses_what_it_must,
    a_process_that_has_ended_cannot_be_killed,
    init_cannot_be_killed,
    suicide dies_by SIGKILL,
];

fn kill_ends_a_process_that_makes_no_system_call() {
    let spinner = start_spinner();
    process::sleep_ms(15);
    kill(spinner);
}

fn kill_ends_a_process_on_another_cpu() {
    for cpu in 0..process::cpu_count() {
        process::pin(cpu);
        let spinner = start_spinner();
        process::pin((cpu + 1) % process::cpu_count());
        process::sleep_ms(2);
        kill(spinner);
    }
}

fn kill_ends_a_sleeper_at_once() {
    let start_ns = process::clock_ns();
    let sleeper = start(|| process::sleep_ms(1_000_000));
    process::sleep_ms(5);
    kill(sleeper);
    assert!(process::clock_ns() - start_ns < 100_000_000_000);
}

fn kill_ends_a_reader_of_an_empty_pipe() {
    let (reader, _writer) = ok(file::pipe());
    let child = start(|| ok(reader.read_full(&mut [0]).map(|_| ())));
    process::sleep_ms(5);
    kill(child);
}

fn kill_ends_a_writer_to_a_full_pipe() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| ok(writer.write_all(&alloc::vec![7; 1 << 20])));
    // It has begun.
    let mut bytes = [0; 64];
    assert_eq!(reader.read(&mut bytes[..1]), Ok(1));
    process::sleep_ms(5);
    kill(child);
    // What it had written is there, and after it the end.
    drop(writer);
    while let len @ 1.. = ok(reader.read(&mut bytes)) {
        assert!(bytes[..len].iter().all(|&byte| byte == 7));
    }
}

fn kill_ends_a_process_that_waits_for_its_child() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        let grandchild = start(|| ok(reader.read_full(&mut [0]).map(|_| ())));
        join(grandchild);
    });
    process::sleep_ms(5);
    kill(child);
    // The grandchild goes on, as an orphan, until it gets its byte.
    ok(writer.write_all(&[0]));
}

fn kill_ends_a_process_that_has_not_run_yet() {
    process::pin(0);
    for _ in 0..20 {
        kill(start_spinner());
    }
}

/// Both processes have one CPU, so the call must be interrupted twice over: to let the parent run, and to end. How long
/// the call takes is measured first; that it ends early is only found on a host that does not take the CPU away
/// meanwhile.
fn kill_ends_a_process_within_a_long_call() {
    const LEN: usize = 4096 * abi::layout::PAGE_SIZE;
    const ATTEMPTS: usize = 10;
    process::pin(0);
    // SAFETY: nothing else is there.
    ok(unsafe { ulib::memory::page_alloc_range(AREA_START, LEN / abi::layout::PAGE_SIZE) });
    let fill_mask = || {
        // SAFETY: the pages just mapped, which nothing else uses.
        ok(decode(unsafe {
            system_call::get_affinity(0, AREA_START as *mut u8, LEN)
        }));
        process::clock_ns()
    };
    let ends_early = (0..ATTEMPTS).any(|_| {
        let (reader, writer) = ok(file::pipe());
        let child = start(|| {
            let (first_ns, start_ns) = (fill_mask(), fill_mask());
            let words = [start_ns - first_ns, start_ns].map(u64::to_ne_bytes);
            ok(writer.write_all(words.as_flattened()));
            loop {
                fill_mask();
            }
        });
        let mut words = [[0; 8]; 2];
        ok(reader.read_full(words.as_flattened_mut()));
        kill(child);
        let [call_ns, start_ns] = words.map(u64::from_ne_bytes);
        // A call that went on to its end would have taken all of that. The parent comes after a tick, which may be
        // late.
        process::clock_ns() - start_ns < call_ns / 8 * 7
    });
    assert!(ends_early, "the call always went on to its end");
}

fn a_signal_without_handler_is_the_status() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGSEGV,
        Signal::SIGUSR1,
        Signal::SIGHUP,
    ] {
        let child = start_spinner();
        ok(process::kill(child, signal));
        assert_eq!(process::wait(child), Ok(ExitStatus::killed(signal)));
    }
}

fn send(pid: abi::Pid, signal: i32) -> Result<usize, Errno> {
    // SAFETY: only numbers that end nothing of this process are sent to it.
    decode(unsafe { system_call::kill(pid, signal) })
}

fn signal_0_only_checks() {
    let child = start_spinner();
    assert_eq!(send(child, 0), Ok(0));
    assert_eq!(process::try_wait(child), Ok(None));
    kill(child);
    assert_eq!(send(child, 0), Err(Errno::ESRCH));
}

fn kill_refuses_what_it_must() {
    for signal in [-1, 32, 64, i32::MAX] {
        assert_eq!(
            send(process::getpid(), signal),
            Err(Errno::EINVAL),
            "signal {signal}"
        );
    }
    for pid in [0x7fff_fff0, -5, i32::MIN] {
        assert_eq!(
            process::kill(pid, Signal::SIGKILL),
            Err(Errno::ESRCH),
            "process {pid}"
        );
    }
}

fn a_process_that_has_ended_cannot_be_killed() {
    let child = ok(process::start(|| 6));
    while send(child, 0) == Ok(0) {
        process::yield_now();
    }
    assert_eq!(process::kill(child, Signal::SIGKILL), Err(Errno::ESRCH));
    assert_eq!(process::wait(child), Ok(ExitStatus::exited(6)));
}

fn init_cannot_be_killed() {
    assert_eq!(
        process::kill(abi::INIT_PID, Signal::SIGKILL),
        Err(Errno::EPERM)
    );
    assert_eq!(
        process::kill(abi::INIT_PID, Signal::SIGTERM),
        Err(Errno::EPERM)
    );
}

fn suicide() {
    ok(process::kill(process::getpid(), Signal::SIGKILL));
}
