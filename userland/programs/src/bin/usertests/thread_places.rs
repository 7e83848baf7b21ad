//! The end of a process, wherever its threads are: each place, and each way to end.

use core::hint::spin_loop;
use core::sync::atomic::AtomicU32;

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, map};
use ulib::{Errno, ExitStatus, MapFlags, Signal, SysInfo, file, futex, process, thread};

use crate::check::{UNMAPPED, ok, poke, start};
use crate::runner::tests;
use crate::thread_tools::{Arrivals, spawn, spawn_pinned};

tests![
    threads_that_run_end_with_their_process,
    threads_that_call_the_kernel_end_with_their_process,
    threads_that_sleep_end_with_their_process,
    threads_that_read_a_pipe_end_with_their_process,
    threads_that_write_a_pipe_end_with_their_process,
    threads_that_wait_for_a_child_end_with_their_process,
    threads_that_join_another_end_with_their_process,
    threads_that_wait_for_a_word_end_with_their_process,
    threads_that_have_not_run_end_with_their_process,
    threads_that_nobody_has_joined_are_forgotten,
    a_kill_from_outside_ends_threads_wherever_they_are,
];

/// How many threads are in the place, besides the first: one on each CPU, if those are few.
fn thread_count() -> usize {
    process::cpu_count().min(4)
}

/// Where a thread is when its process ends. Such a function does not return.
type Place = fn();

/// The ways to end, and what `waitpid` says then.
const ENDS: [(fn(), ExitStatus); 3] = [
    (|| process::exit(7), ExitStatus::exited(7)),
    (
        || ok(process::kill(process::getpid(), Signal::SIGKILL)),
        ExitStatus::killed(Signal::SIGKILL),
    ),
    (|| poke(UNMAPPED, 1), ExitStatus::killed(Signal::SIGSEGV)),
];

/// Starts processes with threads in `place`, the first one too, and lets another of their threads end them; or with all
/// but the first there, which ends them. What they had is free as soon as their parent knows.
fn expect_end_in(place: Place) {
    for (end, status) in ENDS {
        expect_end(place, end, status, true);
    }
    let (exit, status) = ENDS[0];
    expect_end(place, exit, status, false);
}

#[track_caller]
fn expect_end(place: Place, end: fn(), status: ExitStatus, is_first_there: bool) {
    let before = process::sysinfo();
    let child = start(|| fill_and_end(place, end, is_first_there));
    assert_eq!(process::wait(child), Ok(status));
    expect_nothing_left(&before);
    assert_eq!(process::wait(child), Err(Errno::ECHILD), "a second time");
}

/// What is taken for threads and processes. Of frames the runner may just have got some, as copies of those that it
/// shares with the test.
fn kernel_accounts(info: &SysInfo) -> [u64; 4] {
    [
        info.table_entries,
        info.kernel_stack_frames,
        info.pipe_frames,
        info.heap_bytes,
    ]
}

/// How many pages the processes have that must be gone at once: far more than the runner's.
const LEN_PAGES: usize = 128;

#[track_caller]
fn expect_nothing_left(before: &SysInfo) {
    let after = process::sysinfo();
    assert_eq!(kernel_accounts(&after), kernel_accounts(before));
    let limit = before.anonymous_frames + LEN_PAGES as u64 / 2;
    let frames = after.anonymous_frames;
    assert!(frames < limit, "{frames} frames of anonymous memory");
}

static THERE: Arrivals = Arrivals::new();

/// Puts threads into the place. Then one that is not there ends the process.
fn fill_and_end(place: Place, end: fn(), is_first_there: bool) {
    map_pages();
    drop(spawn_pinned(thread_count(), move |_| go(place)));
    let end_soon = move |count| {
        THERE.await_count(count);
        process::sleep_ms(1);
        end();
    };
    if is_first_there {
        drop(spawn(move || end_soon(thread_count() + 1)));
        go(place);
    } else {
        end_soon(thread_count());
    }
}

fn map_pages() {
    let request = MapRequest::anonymous(LEN_PAGES * PAGE_SIZE).flags(MapFlags::EAGER);
    ok(map(&request));
}

fn go(place: Place) {
    THERE.arrive();
    place();
    unreachable!("a thread goes on where it should wait for ever");
}

fn run() {
    loop {
        spin_loop();
    }
}

fn call_the_kernel() {
    loop {
        process::getppid();
    }
}

fn sleep() {
    process::sleep_ms(1_000_000);
}

fn read_a_pipe() {
    let (reader, _writer) = ok(file::pipe());
    let _ = reader.read(&mut [0]);
}

fn write_a_pipe() {
    let (_reader, writer) = ok(file::pipe());
    let _ = writer.write_all(&alloc::vec![0; 1 << 20]);
}

/// The child ends when it has become an orphan.
fn wait_for_a_child() {
    let parent = process::getpid();
    let child = start(|| {
        while process::getppid() == parent {
            process::sleep_ms(1);
        }
    });
    let _ = process::wait(child);
}

fn join_another() {
    let sleeper = spawn(sleep);
    let _ = thread::join(sleeper.tid());
}

fn wait_for_a_word() {
    static WORD: AtomicU32 = AtomicU32::new(5);
    let _ = futex::wait(&WORD, 5);
}

fn threads_that_run_end_with_their_process() {
    expect_end_in(run);
}

fn threads_that_call_the_kernel_end_with_their_process() {
    expect_end_in(call_the_kernel);
}

fn threads_that_sleep_end_with_their_process() {
    expect_end_in(sleep);
}

fn threads_that_read_a_pipe_end_with_their_process() {
    expect_end_in(read_a_pipe);
}

fn threads_that_write_a_pipe_end_with_their_process() {
    expect_end_in(write_a_pipe);
}

/// The orphans end a little later.
fn threads_that_wait_for_a_child_end_with_their_process() {
    for (end, status) in ENDS {
        let child = start(|| fill_and_end(wait_for_a_child, end, true));
        assert_eq!(process::wait(child), Ok(status));
    }
}

fn threads_that_join_another_end_with_their_process() {
    expect_end_in(join_another);
}

fn threads_that_wait_for_a_word_end_with_their_process() {
    expect_end_in(wait_for_a_word);
}

fn threads_that_have_not_run_end_with_their_process() {
    for (end, status) in ENDS {
        let before = process::sysinfo();
        let child = start(|| {
            map_pages();
            drop(spawn_pinned(thread_count(), |_| run()));
            end();
        });
        assert_eq!(process::wait(child), Ok(status));
        expect_nothing_left(&before);
    }
}

fn threads_that_nobody_has_joined_are_forgotten() {
    for (end, status) in ENDS {
        let before = process::sysinfo();
        let child = start(|| {
            map_pages();
            let threads = spawn_pinned(thread_count(), |_| THERE.arrive());
            THERE.await_count(thread_count());
            process::sleep_ms(1);
            end();
            drop(threads);
        });
        assert_eq!(process::wait(child), Ok(status));
        expect_nothing_left(&before);
    }
}

fn a_kill_from_outside_ends_threads_wherever_they_are() {
    const PLACES: [Place; 7] = [
        run,
        call_the_kernel,
        sleep,
        read_a_pipe,
        write_a_pipe,
        join_another,
        wait_for_a_word,
    ];
    let (reader, writer) = ok(file::pipe());
    ok(writer.write_all(&[0])); // the first byte brings the pipe's memory
    ok(reader.read_full(&mut [0]));
    for (first_place, delay_ms) in PLACES.into_iter().zip([0, 1].into_iter().cycle()) {
        let before = process::sysinfo();
        let child = start(|| {
            map_pages();
            drop(spawn_pinned(PLACES.len(), |number| go(PLACES[number])));
            THERE.await_count(PLACES.len());
            ok(writer.write_all(&[0]));
            go(first_place);
        });
        ok(reader.read_full(&mut [0]));
        process::sleep_ms(delay_ms);
        crate::check::kill(child);
        expect_nothing_left(&before);
    }
}
