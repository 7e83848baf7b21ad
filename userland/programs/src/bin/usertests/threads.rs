//! Threads: how they begin, and what they share.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::layout::USER_END;
use abi::{Sysno, decode};
use ulib::sync::Mutex;
use ulib::thread::{self, JoinHandle};
use ulib::{CpuMask, Errno, Pid, file, process, system_call};

use crate::check::{KERNEL_TEXT, NOT_CANONICAL, join, ok, start};
use crate::runner::tests;
use crate::thread_tools::{Arrivals, create, exit_thread, new_stack, result, spawn, spawn_pinned};

tests![
    a_thread_gets_its_argument_and_gives_its_result,
    a_thread_has_an_id_of_its_own_and_the_process_of_its_creator,
    ids_of_threads_and_processes_come_from_one_table,
    a_thread_function_finds_its_stack_as_after_a_call,
    a_stack_may_end_where_user_space_does,
    a_function_outside_of_user_space_is_refused,
    a_stack_outside_of_user_space_is_refused,
    a_thread_may_run_where_its_creator_may,
    pinned_threads_of_one_process_run_on_all_cpus,
    threads_share_memory,
    threads_share_descriptors,
    threads_start_threads,
    a_hundred_threads_run_and_end,
    a_closure_brings_its_values_and_gives_one_back,
];

extern "C" fn next_number(argument: usize) -> usize {
    argument.wrapping_add(1)
}

/// The functions return, by the vector that the library has put on their stacks.
fn a_thread_gets_its_argument_and_gives_its_result() {
    for argument in [0, 41, 1 << 63, usize::MAX] {
        let tid = create(next_number, argument);
        assert_eq!(thread::join(tid), Ok(argument.wrapping_add(1)));
    }
}

fn a_thread_has_an_id_of_its_own_and_the_process_of_its_creator() {
    let process = process::getpid();
    let thread = spawn(|| (process::getpid(), process::gettid(), process::getppid()));
    let tid = thread.tid();
    assert!(tid > 1 && tid != process, "{tid}");
    assert_eq!(result(thread), (process, tid, process::getppid()));
    assert_eq!(process::gettid(), process);
}

fn ids_of_threads_and_processes_come_from_one_table() {
    static DONE: Arrivals = Arrivals::new();
    let entries = || process::sysinfo().table_entries;
    let before = entries();
    let threads: Vec<JoinHandle<()>> = (0..4).map(|_| spawn(|| DONE.await_count(1))).collect();
    assert_eq!(entries(), before + 4);
    let child = start(|| ());
    let mut ids: Vec<Pid> = threads.iter().map(JoinHandle::tid).collect();
    ids.extend([child, process::getpid()]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "{ids:?}");
    join(child);
    DONE.arrive();
    threads.into_iter().for_each(result);
    assert_eq!(entries(), before);
}

#[unsafe(naked)]
extern "C" fn stack_pointer(_: usize) -> usize {
    core::arch::naked_asm!("mov rax, rsp", "ret")
}

fn a_thread_function_finds_its_stack_as_after_a_call() {
    let top = new_stack();
    // SAFETY: 1. the stack is new. 2. the function does nothing.
    let tid = ok(unsafe { thread::create(stack_pointer, 0, top) });
    let found = ok(thread::join(tid));
    assert_eq!(found, top - 8);
    assert_eq!(found % 16, 8);
}

/// Ends the thread with its stack pointer as value, without using the stack.
#[unsafe(naked)]
extern "C" fn exit_with_stack_pointer() -> ! {
    core::arch::naked_asm!(
        "mov rdi, rsp",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

/// The system call, without what the library adds.
fn create_raw(function: usize, stack_top: usize) -> Result<Pid, Errno> {
    // SAFETY: the tests pass what is refused, or `exit_with_stack_pointer`.
    decode(unsafe { system_call::create_thread(function, 0, stack_top) }).map(|tid| tid as Pid)
}

fn a_stack_may_end_where_user_space_does() {
    for stack_top in [USER_END, USER_END - 1, USER_END - 8, new_stack()] {
        let tid = ok(create_raw(
            exit_with_stack_pointer as *const () as usize,
            stack_top,
        ));
        assert_eq!(thread::join(tid), Ok(stack_top));
    }
}

/// Checks that no thread is made with what `create` is given.
fn expect_refusal(addresses: &[usize], create: impl Fn(usize) -> Result<Pid, Errno>) {
    let before = process::sysinfo().table_entries;
    for &address in addresses {
        assert_eq!(create(address), Err(Errno::EINVAL), "{address:#x}");
    }
    assert_eq!(process::sysinfo().table_entries, before);
}

fn a_function_outside_of_user_space_is_refused() {
    let bad = [
        0,
        1,
        KERNEL_TEXT,
        0x7fff_ffff_ffff,
        0x8000_0000_0000,
        NOT_CANONICAL,
        USER_END,
        usize::MAX,
    ];
    let stack_top = new_stack();
    expect_refusal(&bad, |function| create_raw(function, stack_top));
}

fn a_stack_outside_of_user_space_is_refused() {
    let bad = [
        0,
        1,
        KERNEL_TEXT,
        0x7fff_ffff_fff8,
        0x8000_0000_0000,
        NOT_CANONICAL,
        USER_END + 1,
        USER_END + 8,
        usize::MAX,
    ];
    let function = exit_with_stack_pointer as *const () as usize;
    expect_refusal(&bad, |stack_top| create_raw(function, stack_top));
}

fn a_thread_may_run_where_its_creator_may() {
    let last = process::cpu_count() - 1;
    process::pin(last);
    let seen = result(spawn(|| (process::getcpu(), process::get_affinity(0))));
    assert_eq!(seen, (last, Ok(CpuMask::single(last))));
    // From here on each has its own.
    let other = spawn(|| process::pin(0));
    result(other);
    assert_eq!(process::get_affinity(0), Ok(CpuMask::single(last)));
}

fn pinned_threads_of_one_process_run_on_all_cpus() {
    let cpus = process::cpu_count();
    let threads = spawn_pinned(2 * cpus, |_| process::getcpu());
    for (number, thread) in threads.into_iter().enumerate() {
        assert_eq!(result(thread), number % cpus);
    }
}

static SUM: AtomicU64 = AtomicU64::new(0);

fn threads_share_memory() {
    const ROUNDS: u64 = 2000;
    static PLAIN: Mutex<u64> = Mutex::new(0);
    let threads = spawn_pinned(8, |number| {
        for _ in 0..ROUNDS {
            // Relaxed: the threads are joined before anybody looks.
            SUM.fetch_add(number as u64, Ordering::Relaxed);
            *PLAIN.lock() += 1;
        }
    });
    threads.into_iter().for_each(result);
    assert_eq!(SUM.load(Ordering::Relaxed), 28 * ROUNDS);
    assert_eq!(*PLAIN.lock(), 8 * ROUNDS);
}

fn threads_share_descriptors() {
    let (reader, writer) = ok(file::pipe());
    let descriptor = reader.descriptor();
    let thread = spawn(move || {
        let mut text = [0; 4];
        assert_eq!(reader.read_full(&mut text), Ok(4));
        text // and the end for reading is closed, for all
    });
    ok(writer.write_all(b"both"));
    assert_eq!(&result(thread), b"both");
    assert_eq!(file::read(descriptor, &mut [0]), Err(Errno::EBADF));
}

fn threads_start_threads() {
    fn count_down(generations: usize) -> usize {
        match generations {
            0 => 0,
            _ => 1 + result(spawn(move || count_down(generations - 1))),
        }
    }
    assert_eq!(count_down(10), 10);
}

fn a_hundred_threads_run_and_end() {
    static DONE: Arrivals = Arrivals::new();
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let threads: Vec<JoinHandle<usize>> = (0..100)
        .map(|_| {
            spawn(|| {
                // Relaxed: only the numbers matter.
                let number = RUNNING.fetch_add(1, Ordering::Relaxed);
                while DONE.count() == 0 {
                    process::sleep_ms(1);
                }
                number
            })
        })
        .collect();
    crate::thread_tools::yield_until(|| RUNNING.load(Ordering::Relaxed) == 100);
    DONE.arrive();
    let mut numbers: Vec<usize> = threads.into_iter().map(result).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..100));
}

fn a_closure_brings_its_values_and_gives_one_back() {
    let (text, list) = (String::from("brought"), Box::new([1_u64, 2, 3]));
    let thread = spawn(move || (text + " back", list.iter().sum::<u64>()));
    assert_eq!(result(thread), (String::from("brought back"), 6));
    let thread: JoinHandle<usize> = spawn(|| exit_thread(3));
    assert_eq!(thread.join(), None, "it has ended before it had a result");
}
