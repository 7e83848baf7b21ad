//! What the arguments of calls point to in the program itself: strings, register sets, and code that threads may run.
//!
//! The kernel is never told to write here, so it stays as it is.

use core::cell::UnsafeCell;

use abi::layout::{PAGE_SIZE, PROGRAM_BASE};
use abi::{Sysno, ThreadRegisters};
use programs::random::Random;

use crate::place::{ARENA, SCRATCH_FILES};

const LONG: [u8; 1100] = {
    let mut text = [b'x'; 1100];
    text[1099] = 0;
    text
};

/// How many strings there are.
pub(crate) const TEXTS: usize = 12;

/// The address of a string; first those that name the scratch files.
pub(crate) fn text(index: usize) -> usize {
    const A: &core::ffi::CStr = c"grind.a";
    const B: &core::ffi::CStr = c"grind.b";
    const _: () = assert!(SCRATCH_FILES.len() == 2);
    let text: *const u8 = match index {
        0 => A.as_ptr().cast(),
        1 => B.as_ptr().cast(),
        2 => c"".as_ptr().cast(),
        3 => c"nop".as_ptr().cast(),
        4 => c"/".as_ptr().cast(),
        5 => c"/./../nop/".as_ptr().cast(),
        6 => c"hello.not.there".as_ptr().cast(),
        7 => c"no/such/directory".as_ptr().cast(),
        8 => c"kernel.symbols".as_ptr().cast(),
        9 => c"/nop".as_ptr().cast(),
        10 => c"\xff\xfe\x80".as_ptr().cast(),
        _ => LONG.as_ptr(),
    };
    text.addr()
}

/// Code that a thread can run, on any stack, and that ends it.
pub(crate) fn function(random: &mut Random) -> usize {
    let function: extern "C" fn() = match random.below(2) {
        0 => end_thread,
        _ => run_a_little,
    };
    function as *const () as usize
}

/// Whether the program may lie at an address.
pub(crate) fn is_in_program(address: usize) -> bool {
    (PROGRAM_BASE..PROGRAM_BASE + (1 << 30)).contains(&address)
}

/// Some address in the program.
pub(crate) fn somewhere(offset: usize) -> usize {
    PROGRAM_BASE + offset % (16 * PAGE_SIZE)
}

/// A handler that ends a thread with a fault, and does nothing about signals that were sent.
#[unsafe(naked)]
pub(crate) extern "C" fn handle(_signal: i32, _address: usize, _kind: usize) {
    core::arch::naked_asm!(
        "test rdx, rdx", // the kind of the fault
        "jnz 2f",
        "ret",
        "2:",
        "mov edi, 9",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

#[unsafe(naked)]
extern "C" fn end_thread() {
    core::arch::naked_asm!(
        "mov edi, 7",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

#[unsafe(naked)]
extern "C" fn run_a_little() {
    core::arch::naked_asm!(
        "mov ecx, 3000",
        "2:",
        "dec ecx",
        "jnz 2b",
        "mov edi, 8",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

/// How many sets of registers there are.
const SETS: usize = 8;

struct Sets(UnsafeCell<[ThreadRegisters; SETS]>);

// SAFETY: `prepare` writes them while there is one thread, and afterwards only the kernel reads.
unsafe impl Sync for Sets {}

static REGISTERS: Sets = Sets(UnsafeCell::new([EMPTY; SETS]));

const EMPTY: ThreadRegisters = ThreadRegisters {
    rax: 0,
    rbx: 0,
    rcx: 0,
    rdx: 0,
    rsi: 0,
    rdi: 0,
    rbp: 0,
    r8: 0,
    r9: 0,
    r10: 0,
    r11: 0,
    r12: 0,
    r13: 0,
    r14: 0,
    r15: 0,
    rip: 0,
    cs: 0,
    rflags: 0,
    rsp: 0,
    ss: 0,
    tls_base: 0,
};

/// The address of a set of registers.
pub(crate) fn registers(random: &mut Random) -> usize {
    let first = REGISTERS.0.get().addr();
    first + random.below(SETS as u64) as usize * size_of::<ThreadRegisters>()
}

/// Fills the sets of registers. To be called before there is a second thread.
pub(crate) fn prepare() {
    // By a seed of its own: they are the same in all runs.
    let mut random = Random::new(1);
    let sets = core::array::from_fn(|_| ThreadRegisters {
        rax: random.word(),
        rdi: random.word(),
        rip: function(&mut random) as u64,
        cs: random.word(),
        // Without single steps.
        rflags: random.word() & !0x100,
        rsp: (ARENA + 2 * PAGE_SIZE) as u64,
        ss: random.word(),
        ..EMPTY
    });
    // SAFETY: there is one thread.
    unsafe { *REGISTERS.0.get() = sets };
}
