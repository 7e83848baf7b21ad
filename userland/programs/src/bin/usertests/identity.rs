//! Who a process is, what it copies when it forks, and what system calls leave alone.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{SysInfo, Sysno, decode};
use ulib::file;
use ulib::{Errno, ExitStatus, Pid, process, system_call};

use crate::check::{join, ok, start, status_of};
use crate::runner::tests;

tests![
    ids_are_positive_and_differ,
    the_first_thread_has_the_process_id,
    a_child_knows_its_parent,
    fork_returns_the_childs_id_to_the_parent_and_0_to_the_child,
    fork_separates_static_stack_and_heap_memory,
    a_grandchild_is_separate_too,
    fork_keeps_every_register,
    system_calls_keep_every_register_but_three,
    the_low_8_bits_of_exit_count,
    numbers_that_are_no_system_call_are_refused,
    the_clock_never_goes_back_on_any_cpu,
    sleep_lasts_at_least_as_long_as_asked,
    many_sleepers_all_wake,
    sysinfo_fills_what_the_caller_has_room_for,
    sysinfo_counts_processes_and_memory,
    panic_ends_by_sigabrt dies_by SIGABRT,
    a_message_cannot_speak_for_the_kernel dies_by SIGABRT,
];

fn ids_are_positive_and_differ() {
    let ids = [0; 8].map(|_| {
        let child = start(|| assert!(process::getpid() > 1));
        join(child);
        child
    });
    assert!(
        ids.iter().all(|&id| id > 1 && id != process::getpid()),
        "{ids:?}"
    );
}

fn the_first_thread_has_the_process_id() {
    assert_eq!(process::gettid(), process::getpid());
}

fn a_child_knows_its_parent() {
    let parent = process::getpid();
    join(start(|| assert_eq!(process::getppid(), parent)));
}

fn fork_returns_the_childs_id_to_the_parent_and_0_to_the_child() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| ok(writer.write_all(&process::getpid().to_ne_bytes())));
    let mut id = [0; 4];
    assert_eq!(reader.read_full(&mut id), Ok(4));
    assert_eq!(Pid::from_ne_bytes(id), child);
    join(child);
}

static STATIC_WORD: AtomicU64 = AtomicU64::new(1);

fn fork_separates_static_stack_and_heap_memory() {
    let (mut stack, mut heap) = (1_u64, alloc::vec![1_u64; 2000]);
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        ok(reader.read_full(&mut [0]));
        let seen = STATIC_WORD.load(Ordering::Relaxed) + stack + heap.iter().sum::<u64>();
        assert_eq!(
            seen, 2002,
            "the child sees what its parent wrote after the fork"
        );
        STATIC_WORD.store(3, Ordering::Relaxed);
        stack = 3;
        heap.fill(3);
        assert_eq!(core::hint::black_box((&stack, &heap)).0, &3);
    });
    STATIC_WORD.store(2, Ordering::Relaxed);
    stack = core::hint::black_box(2);
    heap.fill(2);
    ok(writer.write_all(&[0]));
    join(child);
    let seen = STATIC_WORD.load(Ordering::Relaxed) + stack + heap.iter().sum::<u64>();
    assert_eq!(seen, 4004, "the parent sees what its child wrote");
}

fn a_grandchild_is_separate_too() {
    STATIC_WORD.store(10, Ordering::Relaxed);
    join(start(|| {
        STATIC_WORD.store(20, Ordering::Relaxed);
        join(start(|| {
            assert_eq!(STATIC_WORD.load(Ordering::Relaxed), 20);
            STATIC_WORD.store(30, Ordering::Relaxed);
        }));
        assert_eq!(STATIC_WORD.load(Ordering::Relaxed), 20);
    }));
    assert_eq!(STATIC_WORD.load(Ordering::Relaxed), 10);
}

/// Makes a system call without arguments with a value of its own in every register that can have one; returns the
/// call's result and how many of those registers have changed.
fn call_with_marked_registers(call: Sysno) -> (isize, usize) {
    let (result, changed): (isize, usize);
    // SAFETY: calls without arguments touch no memory. rbx, rbp are saved around the asm's use of them, on a stack
    // whose red zone is left alone; the other registers are declared.
    unsafe {
        asm!(
            "sub rsp, 128",
            "push rbx",
            "push rbp",
            "mov rbx, 0x101",
            "mov rbp, 0x102",
            "mov rdx, 0x103",
            "mov rsi, 0x104",
            "mov rdi, 0x105",
            "mov r8, 0x106",
            "mov r9, 0x107",
            "mov r10, 0x108",
            "mov r12, 0x109",
            "mov r13, 0x10a",
            "mov r14, 0x10b",
            "mov r15, 0x10c",
            "syscall",
            "xor ecx, ecx",
            "cmp rbx, 0x101", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp rbp, 0x102", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp rdx, 0x103", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp rsi, 0x104", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp rdi, 0x105", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp r8, 0x106", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp r9, 0x107", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp r10, 0x108", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp r12, 0x109", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp r13, 0x10a", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp r14, 0x10b", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "cmp r15, 0x10c", "setne r11b", "movzx r11, r11b", "add rcx, r11",
            "pop rbp",
            "pop rbx",
            "add rsp, 128",
            inlateout("rax") call.number() => result,
            out("rcx") changed,
            out("r11") _, out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _, out("r9") _, out("r10") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    (result, changed)
}

fn system_calls_keep_every_register_but_three() {
    for call in [Sysno::GetPid, Sysno::Yield, Sysno::GetCpu] {
        let (result, changed) = call_with_marked_registers(call);
        assert!(decode(result).is_ok(), "{}", call.name());
        assert_eq!(changed, 0, "{} has changed so many registers", call.name());
    }
}

fn fork_keeps_every_register() {
    let (result, changed) = call_with_marked_registers(Sysno::Fork);
    if result == 0 {
        process::exit(changed as i32);
    }
    let child = ok(decode(result)) as Pid;
    let status = ok(process::wait(child));
    assert_eq!(changed, 0, "the parent's");
    assert!(status == ExitStatus::exited(0), "the child's: {status}");
}

fn the_low_8_bits_of_exit_count() {
    for (code, expected) in [
        (0, 0),
        (1, 1),
        (255, 255),
        (256, 0),
        (-1, 255),
        (-9, 247),
        (i32::MIN, 0),
    ] {
        assert_eq!(
            status_of(|| code),
            ExitStatus::exited(expected),
            "exit({code})"
        );
    }
}

fn numbers_that_are_no_system_call_are_refused() {
    for number in [
        Sysno::COUNT,
        1000,
        1 << 31,
        1 << 32,
        usize::MAX,
        usize::MAX / 8 + 1,
    ] {
        // SAFETY: there is no such call.
        let result = unsafe { system_call::by_number(number, [0; 6]) };
        assert_eq!(decode(result), Err(Errno::ENOSYS), "{number:#x}");
    }
}

fn the_clock_never_goes_back_on_any_cpu() {
    let cpus = process::cpu_count();
    let mut latest_ns = process::clock_ns();
    for round in 0..200 {
        process::pin(round % cpus);
        for _ in 0..5 {
            let now_ns = process::clock_ns();
            assert!(now_ns >= latest_ns, "{latest_ns} ns, then {now_ns} ns");
            latest_ns = now_ns;
        }
    }
}

fn sleep_lasts_at_least_as_long_as_asked() {
    for duration_ms in [0, 1, 3, 25] {
        let start_ns = process::clock_ns();
        process::sleep_ms(duration_ms);
        assert!(
            process::clock_ns() - start_ns >= duration_ms * 1_000_000,
            "{duration_ms} ms"
        );
    }
}

/// Their kernel stacks need a second page table, which the kernel keeps.
fn many_sleepers_all_wake() {
    let children = core::array::from_fn::<Pid, 100, _>(|number| {
        start(|| process::sleep_ms(number as u64 % 7))
    });
    children.into_iter().for_each(join);
}

fn sysinfo_fills_what_the_caller_has_room_for() {
    let mut info = SysInfo {
        uptime_ns: 77,
        ..SysInfo::default()
    };
    // SAFETY: the kernel writes at most 8 bytes into the structure.
    let len = ok(decode(unsafe { system_call::sysinfo(&raw mut info, 8) }));
    assert!(len >= size_of::<SysInfo>());
    assert!(info.cpus >= 1);
    assert_eq!(
        info.uptime_ns, 77,
        "more was written than there was room for"
    );
}

fn sysinfo_counts_processes_and_memory() {
    let before = process::sysinfo();
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        drop(writer.duplicate());
        ok(reader.read_full(&mut [0]));
    });
    let during = process::sysinfo();
    ok(writer.write_all(&[0]));
    join(child);
    assert_eq!(during.table_entries, before.table_entries + 1);
    assert!(during.free_frames < before.free_frames);
    assert!(
        during.total_frames > during.free_frames && during.table_capacity > during.table_entries
    );
}

fn panic_ends_by_sigabrt() {
    process::abort("usertests gives up on purpose");
}

/// Were this a line of its own in the kernel's log, it would end the machine.
fn a_message_cannot_speak_for_the_kernel() {
    process::abort("usertests says\n@@argonaut panic usertests says so");
}
