//! All registers of a thread, before and after something that must not change any.
//!
//! A passage loads all registers from an `AllRegisters`, lets one thing happen, and stores what the registers then
//! hold. In between comes a signal, whose handler is one of [`handler`]'s: they leave no register as it was.
//!
//! One thread at a time can do that.

pub mod handler;

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::Sysno;
use abi::layout::RED_ZONE_LEN;

const GENERAL_NAMES: [&str; 15] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
/// Places in [`AllRegisters::general`].
const RAX: usize = 0;
const RBX: usize = 1;
const RCX: usize = 2;
const RSI: usize = 4;
const RDI: usize = 5;
const R11: usize = 10;

const FXSAVE_LEN: usize = 512;
/// What there is in FXSAVE's area: name, offset, length in bytes. Source: Intel SDM volume 1, 10.5.1.
const FXSAVE_PARTS: [(&str, usize, usize); 6] = [
    ("the x87 control word", 0, 2),
    ("the x87 status word", 2, 2),
    ("the x87 tags", 4, 1),
    ("MXCSR", 24, 4),
    ("an x87 register", 32, 8 * 16),
    ("an XMM register", 160, 16 * 16),
];
/// An x87 register has 10 bytes in a place of 16.
const X87_REGISTERS: core::ops::Range<usize> = 32..160;
const X87_REGISTER_LEN: usize = 10;

/// What is always set in RFLAGS in user mode: interrupts, and the bit that reads as one.
const FIXED_FLAGS: u64 = 0x202;
/// What a program can set in RFLAGS without being interrupted by it: CF, PF, AF, ZF, SF, OF, AC and ID, and DF.
const FREE_FLAGS: u64 = 0x24_08d5;
const DIRECTION_FLAG: u64 = 1 << 10;

/// Values for all registers, and for the words below the stack pointer that are a function's own.
#[repr(C, align(16))]
struct AllRegisters {
    /// The general registers but RSP: RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 to R15.
    general: [u64; 15],
    flags: u64,
    /// What FXRSTOR loads: x87 and XMM registers, and what controls them.
    fxsave: [u8; FXSAVE_LEN],
    /// What lies below the stack pointer, from there on downwards.
    red_zone: [u64; RED_ZONE_LEN / 8],
}

impl AllRegisters {
    /// A value for each, all different, and different for each `seed`. Odd ones have the direction flag set.
    fn pattern(seed: u64) -> AllRegisters {
        let mut state = seed;
        // Steps of the golden ratio, and no more mixing than makes all bytes differ.
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            state ^ (state >> 29)
        };
        let general = core::array::from_fn(|_| next());
        let red_zone = core::array::from_fn(|_| next());
        let direction_flag = (seed & 1) * DIRECTION_FLAG;
        let flags = next() & FREE_FLAGS | direction_flag | FIXED_FLAGS;
        let mut fxsave = [0; FXSAVE_LEN];
        let mut put = |at: usize, bytes: &[u8]| fxsave[at..at + bytes.len()].copy_from_slice(bytes);
        // Everything masked; rounds towards zero, and has seen inexact results.
        put(0, &0x0f7f_u16.to_le_bytes());
        put(2, &0x0020_u16.to_le_bytes());
        put(4, &[0xff]);
        put(24, &0x7fa0_u32.to_le_bytes());
        for place in X87_REGISTERS.step_by(16) {
            // The highest bit of the fraction is set and the exponent is 0: a number between 1 and 2.
            put(place, &(next() | 1 << 63).to_le_bytes());
            put(place + 8, &0x3fff_u16.to_le_bytes());
        }
        for place in (160..160 + 16 * 16).step_by(8) {
            put(place, &next().to_le_bytes());
        }
        AllRegisters {
            general,
            flags,
            fxsave,
            red_zone,
        }
    }

    /// The first in which `after` differs.
    fn difference(&self, after: &AllRegisters) -> Option<&'static str> {
        let general = self.general.iter().zip(&after.general).zip(GENERAL_NAMES);
        let general = general.map(|((before, after), name)| (before == after, name));
        let rest = [
            (self.flags == after.flags, "RFLAGS"),
            (self.red_zone == after.red_zone, "the red zone"),
        ];
        let fxsave = FXSAVE_PARTS.map(|(name, start, len)| {
            let is_value = |at: &usize| !X87_REGISTERS.contains(at) || at % 16 < X87_REGISTER_LEN;
            let mut places = (start..start + len).filter(is_value);
            (places.all(|at| self.fxsave[at] == after.fxsave[at]), name)
        });
        let mut all = general.chain(rest).chain(fxsave);
        all.find_map(|(is_same, name)| (!is_same).then_some(name))
    }

    const EMPTY: AllRegisters = AllRegisters {
        general: [0; 15],
        flags: 0,
        fxsave: [0; FXSAVE_LEN],
        red_zone: [0; RED_ZONE_LEN / 8],
    };
}

static IS_LOADED: AtomicBool = AtomicBool::new(false);
/// What ends the spinning: [`handler::MARK`] once a handler has run.
static HANDLED: AtomicU64 = AtomicU64::new(0);
/// What functions expect of MXCSR: everything masked.
static INITIAL_MXCSR: u32 = 0x1f80;

/// Whether a thread is within a passage, or has been since the last [`reset`].
pub fn is_loaded() -> bool {
    // Relaxed: what follows from it is a signal, and the kernel's locks order that.
    IS_LOADED.load(Ordering::Relaxed)
}

/// Forgets that a thread has been within a passage.
pub fn reset() {
    // Relaxed: no other thread goes by it yet.
    IS_LOADED.store(false, Ordering::Relaxed);
}

macro_rules! passages {
    ($($name:ident: $($instruction:literal),+ $(, $operand:ident = $kind:ident $value:expr)*;)+) => {$(
        /// # Safety
        /// What happens in between may be done with these registers.
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name(before: &AllRegisters, after: &mut AllRegisters) {
            naked_asm!(
                "push rbx; push rbp; push r12; push r13; push r14; push r15",
                // [rsp + 8] is for a moment in which there is no free register, [rsp] is `after`.
                "push rsi; push rsi",
                "fxrstor64 [rdi + {fxsave}]",
                "push qword ptr [rdi + {flags}]",
                "popfq",
                // Nothing from here on changes flags, or uses the stack.
                ".irp at, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128",
                "mov rax, [rdi + {red_zone} + \\at - 8]",
                "mov [rsp - \\at], rax",
                ".endr",
                "mov byte ptr [rip + {is_loaded}], 1",
                "mov rax, [rdi]; mov rbx, [rdi + 8]; mov rcx, [rdi + 16]; mov rdx, [rdi + 24]",
                "mov rsi, [rdi + 32]; mov rbp, [rdi + 48]; mov r8, [rdi + 56]; mov r9, [rdi + 64]",
                "mov r10, [rdi + 72]; mov r11, [rdi + 80]; mov r12, [rdi + 88]; mov r13, [rdi + 96]",
                "mov r14, [rdi + 104]; mov r15, [rdi + 112]; mov rdi, [rdi + 40]",
                $($instruction,)+
                "mov [rsp + 8], rdi",
                "mov rdi, [rsp]",
                "mov [rdi], rax; mov [rdi + 8], rbx; mov [rdi + 16], rcx; mov [rdi + 24], rdx",
                "mov [rdi + 32], rsi; mov [rdi + 48], rbp; mov [rdi + 56], r8; mov [rdi + 64], r9",
                "mov [rdi + 72], r10; mov [rdi + 80], r11; mov [rdi + 88], r12; mov [rdi + 96], r13",
                "mov [rdi + 104], r14; mov [rdi + 112], r15",
                "mov rax, [rsp + 8]",
                "mov [rdi + 40], rax",
                ".irp at, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128",
                "mov rax, [rsp - \\at]",
                "mov [rdi + {red_zone} + \\at - 8], rax",
                ".endr",
                "pushfq",
                "pop qword ptr [rdi + {flags}]",
                "push {fixed_flags}",
                "popfq",
                "fxsave64 [rdi + {fxsave}]",
                "fninit",
                "ldmxcsr [rip + {initial_mxcsr}]",
                "add rsp, 16",
                "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
                "ret",
                fxsave = const offset_of!(AllRegisters, fxsave),
                flags = const offset_of!(AllRegisters, flags),
                red_zone = const offset_of!(AllRegisters, red_zone),
                fixed_flags = const FIXED_FLAGS,
                is_loaded = sym IS_LOADED,
                initial_mxcsr = sym INITIAL_MXCSR,
                $($operand = $kind $value,)*
            )
        }
    )+};
}

passages! {
    // RCX is looked at for its value by an instruction that leaves the flags alone.
    pass_spin: "2: mov rcx, [rip + {handled}]", "jrcxz 2b", handled = sym HANDLED;
    pass_system_call: "syscall";
    pass_store: "mov [rbx], rax";
    pass_breakpoint: "int3";
}

type Passage = unsafe extern "sysv64" fn(&AllRegisters, &mut AllRegisters);

/// Goes through a passage and returns what its registers hold then.
///
/// # Safety
/// What happens in the passage may be done with `before`.
unsafe fn pass(passage: Passage, before: &AllRegisters) -> AllRegisters {
    let mut after = AllRegisters::EMPTY;
    // SAFETY: by the caller's word.
    unsafe { passage(before, &mut after) };
    after
}

/// Which register a signal changes that comes while the thread spins in user mode; it spins until one has come.
pub fn changed_while_spinning(seed: u64) -> Option<&'static str> {
    // Relaxed: this thread's own handler sets it next.
    HANDLED.store(0, Ordering::Relaxed);
    let mut before = AllRegisters::pattern(seed);
    // SAFETY: it reads a word of the program.
    let after = unsafe { pass(pass_spin, &before) };
    before.general[RCX] = handler::MARK;
    before.difference(&after)
}

/// Makes a system call; returns its result, and which register a signal has changed that has come with it or within.
///
/// # Safety
/// As for the call.
pub unsafe fn changed_by_system_call(
    seed: u64,
    call: Sysno,
    arguments: [usize; 2],
) -> (isize, Option<&'static str>) {
    let mut before = AllRegisters::pattern(seed);
    before.general[RAX] = call.number() as u64;
    [before.general[RDI], before.general[RSI]] = arguments.map(|argument| argument as u64);
    // SAFETY: by the caller's word.
    let mut after = unsafe { pass(pass_system_call, &before) };
    let result = after.general[RAX] as isize;
    // The result, and what the instruction itself overwrites.
    for register in [RAX, RCX, R11] {
        after.general[register] = before.general[register];
    }
    (result, before.difference(&after))
}

/// Stores a word, which depends on `seed`, at `address`; returns which register a signal has changed that has come of
/// that.
///
/// # Safety
/// There, once the signal has been handled, is a word that nobody else uses.
pub unsafe fn changed_by_store(seed: u64, address: usize) -> Option<&'static str> {
    let mut before = AllRegisters::pattern(seed);
    before.general[RBX] = address as u64;
    // SAFETY: by the caller's word.
    let after = unsafe { pass(pass_store, &before) };
    before.difference(&after)
}

/// What [`changed_by_store`] stores.
pub fn stored_word(seed: u64) -> u64 {
    AllRegisters::pattern(seed).general[RAX]
}

/// Which register the signal of a breakpoint changes.
pub fn changed_by_breakpoint(seed: u64) -> Option<&'static str> {
    let before = AllRegisters::pattern(seed);
    // SAFETY: without a handler it ends the program, and does nothing else.
    let after = unsafe { pass(pass_breakpoint, &before) };
    before.difference(&after)
}
