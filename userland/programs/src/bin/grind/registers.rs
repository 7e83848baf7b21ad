//! Sets of registers by chance for `create_thread_registers`, none of which may give a thread a right.
//!
//! A set that starts outside of user space, has its stack there, or a base of FS that is no address, must be refused,
//! and every other one taken. Most start code that tells what it found: then it must be the user's segments, the flags
//! that a user may choose and no other, and each general register as it was asked for. Now and then the thread runs an
//! instruction that only the kernel may, or starts in the middle of nothing, and its process must have ended by a
//! signal.

use alloc::vec::Vec;
use core::cell::UnsafeCell;

use abi::layout::{STACK_TOP, USER_END, USER_START};
use abi::{Errno, Sysno, ThreadRegisters, decode};
use programs::found_registers::{FoundRegisters, find_registers, general_of, push_registers};
use programs::random::Random;
use ulib::{ExitStatus, Outcome, accounts, println, process, system_call, thread};

use crate::grinder::derive;
use crate::place::BAD;

/// Bits of RFLAGS by which a thread would have a right, or be no user's: IF must be set, and none of the others: IOPL,
/// NT, RF, VM, VIF, VIP. Source: Intel SDM volume 1, 3.4.3.
const INTERRUPTS: u64 = 1 << 9;
const TRAP: u64 = 1 << 8;
const FORBIDDEN: u64 = 3 << 12 | 1 << 14 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 20;
/// What a user may choose: CF, PF, AF, ZF, SF, TF, DF, OF, AC and ID.
const FREE: u64 = 0x24_0dd5;
/// Always reads as one.
const FIXED: u64 = 1 << 1;
/// The privilege level in a selector.
const LEVEL: u64 = 3;

/// One set in so many is tried in a process of its own, which it ends.
const SETS_PER_VICTIM: u64 = 256;
const PATIENCE_MS: u64 = 20_000;

const STACK_LEN: usize = 4096;

#[repr(align(16))]
struct Stack(UnsafeCell<[u8; STACK_LEN]>);

// SAFETY: only the threads that are made here use it, one at a time.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_LEN]));

/// Tries so many sets, on all CPUs.
///
/// # Panics
/// If a set has given a right, or anything is left afterwards.
pub(crate) fn run(seed: u64, count: u64) -> Result<(), Errno> {
    let cpus = process::cpu_count() as u64;
    let mut parts = Vec::with_capacity(cpus as usize);
    let before = accounts::now();
    for cpu in 0..cpus {
        let share = count / cpus + u64::from(cpu < count % cpus);
        parts.push(process::start(|| {
            process::pin(cpu as usize);
            try_sets(derive(seed, cpu), share);
            0
        })?);
    }
    for part in parts {
        let status = process::wait(part)?;
        assert!(
            status == ExitStatus::exited(0),
            "a part of the sets: {status}"
        );
    }
    if let Err(difference) = accounts::check_settled(&before, PATIENCE_MS) {
        panic!("not everything has come back: {difference}");
    }
    println!("grind: seed {seed}: {count} sets of registers, none of which gave a right");
    Ok(())
}

fn try_sets(seed: u64, count: u64) {
    let mut random = Random::new(seed);
    for number in 0..count {
        let set = draw(&mut random);
        let is_good =
            is_user(set.rip) && is_user(set.rsp.wrapping_sub(1)) && is_canonical(set.tls_base);
        let is_victim = random.below(SETS_PER_VICTIM) == 0;
        let forbidden = FORBIDDEN_CODE[random.below(FORBIDDEN_CODE.len() as u64) as usize];
        if !is_good {
            let made = create(&set);
            assert!(
                made == Err(Errno::EINVAL),
                "set {number} of {seed:#x}: {made:?} for {set:#x?}"
            );
        } else if set.rip != push_registers as *const () as u64 || !is_own_stack(set.rsp) {
            expect_end(&set, number, seed);
        } else if is_victim {
            expect_end(
                &ThreadRegisters {
                    rip: forbidden as *const () as u64,
                    ..set
                },
                number,
                seed,
            );
        } else {
            check(&set, number, seed);
        }
    }
}

/// A set that may be refused.
fn draw(random: &mut Random) -> ThreadRegisters {
    let mut words = [0; 21];
    words.iter_mut().for_each(|word| *word = random.word());
    let [
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        ..,
    ] = words;
    let [.., rip, cs, rflags, rsp, ss, tls_base] = words;
    let stack = STACK.0.get().addr() + size_of::<FoundRegisters>();
    let room = (STACK_LEN - size_of::<FoundRegisters>()) as u64;
    let observer = push_registers as *const () as u64;
    ThreadRegisters {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip: if random.below(16) == 0 {
            somewhere(rip, random)
        } else {
            observer
        },
        cs: selector(cs, random),
        rflags: rflags >> random.below(64) & !TRAP,
        rsp: if random.below(16) == 0 {
            somewhere(rsp, random)
        } else {
            stack as u64 + rsp % (room + 1)
        },
        ss: selector(ss, random),
        tls_base: if random.below(4) == 0 {
            somewhere(tls_base, random)
        } else {
            0
        },
    }
}

/// An address that is in user space only if nothing is mapped there.
fn somewhere(word: u64, random: &mut Random) -> u64 {
    match random.below(4) {
        0 => word,
        1 => word >> random.below(64),
        2 => 0xffff_c000_0000_0000 | word >> 24,
        _ => match BAD[random.below(BAD.len() as u64) as usize] {
            // There is the stack of the first thread.
            STACK_TOP => 0,
            address => address as u64,
        },
    }
}

fn selector(word: u64, random: &mut Random) -> u64 {
    match random.below(4) {
        0 => word,
        _ => word % 0x48,
    }
}

fn create(set: &ThreadRegisters) -> Result<usize, Errno> {
    // SAFETY: the set is one that is refused, or the process is there to be ended by it.
    decode(unsafe { system_call::create_thread_registers(set) })
}

/// Checks what a thread finds.
fn check(set: &ThreadRegisters, number: u64, seed: u64) {
    let found = match find_registers(set) {
        Ok(found) => found,
        Err(errno) => panic!("set {number} of {seed:#x}: {errno} for {set:#x?}"),
    };
    let is_users = found.cs & LEVEL == LEVEL
        && found.ss & LEVEL == LEVEL
        && (found.cs, found.ss) == own_segments()
        && found.rflags & FORBIDDEN == 0
        && found.rflags & INTERRUPTS != 0
        && found.rflags == set.rflags & FREE | INTERRUPTS | FIXED
        && found.general == general_of(set);
    assert!(
        is_users,
        "set {number} of {seed:#x}: {found:#x?} for {set:#x?}"
    );
}

fn own_segments() -> (u64, u64) {
    let (cs, ss);
    // SAFETY: the instructions only read the two registers.
    unsafe {
        core::arch::asm!("mov {:e}, cs", "mov {:e}, ss", out(reg) cs, out(reg) ss,
            options(nomem, nostack, preserves_flags));
    }
    (cs, ss)
}

/// Checks that a process with such a thread is ended by a signal.
fn expect_end(set: &ThreadRegisters, number: u64, seed: u64) {
    let child = process::start(|| {
        if let Ok(tid) = create(set) {
            let _ = thread::join(tid as ulib::Pid);
        }
        0
    });
    let status = child.and_then(process::wait);
    let is_killed = status.is_ok_and(|status| matches!(status.outcome(), Outcome::Killed(_)));
    assert!(
        is_killed,
        "set {number} of {seed:#x}: {status:?} after {set:#x?}"
    );
}

/// Whether there is room for what [`push_registers`] pushes.
fn is_own_stack(stack_pointer: u64) -> bool {
    let start = STACK.0.get().addr();
    (start + size_of::<FoundRegisters>()..=start + STACK_LEN).contains(&(stack_pointer as usize))
}

fn is_canonical(address: u64) -> bool {
    let sign_extended =
        |bits: u32| ((address << (64 - bits)).cast_signed() >> (64 - bits)).cast_unsigned();
    sign_extended(48) == address
}

fn is_user(address: u64) -> bool {
    (USER_START as u64..USER_END as u64).contains(&address)
}

/// A function that is one instruction, and ends the process well if that gets through.
macro_rules! one_instruction {
    ($($name:ident: $($instruction:literal),+;)+) => {
        $(#[unsafe(naked)]
        extern "C" fn $name() {
            core::arch::naked_asm!(
                $($instruction,)+
                "xor edi, edi",
                "mov eax, {exit}",
                "syscall",
                "ud2",
                exit = const Sysno::Exit as usize,
            )
        })+

        /// What only the kernel may do.
        const FORBIDDEN_CODE: &[extern "C" fn()] = &[$($name),+];
    };
}

one_instruction! {
    forbid_interrupts: "cli";
    read_port: "in al, 0x60";
    write_port: "out 0xf4, al";
    read_page_table: "mov rax, cr3";
    halt: "hlt";
    read_model_specific_register: "mov ecx, 0xc0000082", "rdmsr";
    swap_gs: "swapgs";
    read_kernel_memory: "mov rax, [0x200000]";
    write_kernel_memory: "mov qword ptr [0x200000], 0";
    return_to_kernel: "push 0x10", "push rsp", "push 2", "push 8", "push 0x200000", "iretq";
}
