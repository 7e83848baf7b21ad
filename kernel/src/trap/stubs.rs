//! Entry stubs: how the processor gets from an exception, an interrupt or `syscall` to Rust, and back.
//!
//! User mode is a function call: [`enter_user`] loads a thread's registers and returns when the thread comes back into
//! the kernel, for whatever reason, with its registers saved in the same struct. The processor is told
//! to use the end of that struct as its stack, so what it pushes on entry from user mode lands in the right fields.
//!
//! An exception or interrupt in the kernel itself is a nested call on the current stack: [`KernelFrame`].
//!
//! Every stub clears the direction flag and, with CLAC, the right to touch user memory.

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use proc::registers::{SYSTEM_CALL_VECTOR, UserRegisters};
use proc::thread::Thread;
use smp::fiber::KernelEntry;
use smp::percpu::offset;

/// Vector of the debug exception.
const DEBUG: u64 = 1;

/// What the stubs push on an exception or interrupt in the kernel.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct KernelFrame {
    pub(crate) rax: u64,
    pub(crate) rbx: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) rbp: u64,
    pub(crate) r8: u64,
    pub(crate) r9: u64,
    pub(crate) r10: u64,
    pub(crate) r11: u64,
    pub(crate) r12: u64,
    pub(crate) r13: u64,
    pub(crate) r14: u64,
    pub(crate) r15: u64,
    pub(crate) vector: u64,
    pub(crate) error_code: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

// The stubs push registers before they know where the exception comes from.
const _: () = assert!(size_of::<KernelFrame>() == size_of::<UserRegisters>());
const _: () = assert!(offset_of!(KernelFrame, vector) == offset_of!(UserRegisters, vector));
const _: () = assert!(offset_of!(KernelFrame, rip) == offset_of!(UserRegisters, rip));
const _: () =
    assert!(offset_of!(UserRegisters, rax) == 0 && offset_of!(UserRegisters, r15) == 14 * 8);

/// Pushes the general registers so that they lie as in [`UserRegisters`].
macro_rules! push_registers {
    () => {
        "push r15; push r14; push r13; push r12; push r11; push r10; push r9; push r8
         push rbp; push rdi; push rsi; push rdx; push rcx; push rbx; push rax"
    };
}

/// Pops what `push_registers` pushed, and skips vector and error code.
macro_rules! pop_registers {
    () => {
        "pop rax; pop rbx; pop rcx; pop rdx; pop rsi; pop rdi; pop rbp
         pop r8; pop r9; pop r10; pop r11; pop r12; pop r13; pop r14; pop r15
         add rsp, 16"
    };
}

/// Runs `thread`, the current one, in user mode with `registers`, until it comes back into the kernel for something
/// other than a system call, or after a system call has something to do before it goes on.
///
/// Interrupts are off when it returns; `registers.vector` says why the thread came back. System calls are handled on
/// the way ([`super::user_loop::system_call`]): most go straight back to user mode.
///
/// By two words the kernel is entered again: `kernel_rsp`, and RSP0 of the TSS, which is the end of `registers`. They
/// are the running fiber's: this function sets them on its CPU and in `entry`, from where a switch back to the fiber
/// takes them (ENTRY-1).
///
/// # Safety
/// 1. Interrupts are off.
/// 2. `registers` was made by [`UserRegisters::start`] or by an earlier return from user mode; so its segments are the
///    user's and its flags give no privilege.
/// 3. This CPU's segments are set up, and the thread's address space is loaded.
/// 4. `entry` is that of the fiber that runs this.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn enter_user(
    registers: *mut UserRegisters,
    thread: &Thread,
    entry: &KernelEntry,
) {
    naked_asm!(
        "push rbx; push rbp; push r12; push r13; push r14; push r15",
        // For `system_call_entry`: thread, registers. They also align the stack for its call and that of `mailbox_entry`.
        "push rax; push rdi; push rsi",
        "mov [rdx + {entry_kernel_rsp}], rsp",
        "mov gs:[{kernel_rsp}], rsp",
        "lea rax, [rdi + {size}]",
        "mov [rdx + {entry_rsp0}], rax",
        "mov rcx, gs:[{stack_slot}]",
        "mov [rcx], rax",
        "cmp qword ptr [rdi + {vector}], {system_call}",
        "jne 2f",
        "mov rbx, [rdi + {rbx}]",
        "mov rbp, [rdi + {rbp}]",
        "mov r12, [rdi + {r12}]",
        "mov r13, [rdi + {r13}]",
        "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]",
        "mov rax, rdi",
        "jmp {load_and_return}",
        "2: mov rsp, rdi",
        pop_registers!(),
        "swapgs",
        "iretq",
        kernel_rsp = const offset::KERNEL_RSP,
        stack_slot = const offset::TSS_RSP0,
        entry_kernel_rsp = const KernelEntry::KERNEL_RSP_AT,
        entry_rsp0 = const KernelEntry::RSP0_AT,
        size = const size_of::<UserRegisters>(),
        vector = const offset_of!(UserRegisters, vector),
        rbx = const offset_of!(UserRegisters, rbx),
        rbp = const offset_of!(UserRegisters, rbp),
        r12 = const offset_of!(UserRegisters, r12),
        r13 = const offset_of!(UserRegisters, r13),
        r14 = const offset_of!(UserRegisters, r14),
        r15 = const offset_of!(UserRegisters, r15),
        system_call = const SYSTEM_CALL_VECTOR,
        load_and_return = sym return_from_system_call,
    )
}

/// Where `syscall` enters the kernel: fills the thread's [`UserRegisters`], handles the call, and goes back to user
/// mode or returns from [`enter_user`].
///
/// RCX and R11, which the instruction has overwritten, are not stored. The registers that a Rust function preserves are
/// saved only when [`enter_user`] returns: for signals, and for `fork`, which copies them.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn system_call_entry() {
    naked_asm!(
        "swapgs",
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{kernel_rsp}]",
        // On the stack lie what `enter_user` has pushed last: thread, registers.
        "push rdi",
        "mov rdi, [rsp + 16]",
        "mov [rdi + {rax}], rax",
        "mov [rdi + {rdx}], rdx",
        "mov [rdi + {rsi}], rsi",
        "mov [rdi + {r8}], r8",
        "mov [rdi + {r9}], r9",
        "mov [rdi + {r10}], r10",
        "mov [rdi + {rip}], rcx",
        "mov [rdi + {rflags}], r11",
        "pop qword ptr [rdi + {rdi}]",
        "mov rcx, gs:[{user_rsp}]",
        "mov [rdi + {user_stack}], rcx",
        "mov rsi, [rsp]",
        "call {handle}",
        "test rax, rax",
        "jnz {load_and_return}",
        "mov rdi, [rsp + 8]",
        "mov [rdi + {rbx}], rbx",
        "mov [rdi + {rbp}], rbp",
        "mov [rdi + {r12}], r12",
        "mov [rdi + {r13}], r13",
        "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15",
        "mov qword ptr [rdi + {vector}], {system_call}",
        "add rsp, 24",
        "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
        "ret",
        user_rsp = const offset::USER_RSP,
        kernel_rsp = const offset::KERNEL_RSP,
        rax = const offset_of!(UserRegisters, rax),
        rbx = const offset_of!(UserRegisters, rbx),
        rdx = const offset_of!(UserRegisters, rdx),
        rsi = const offset_of!(UserRegisters, rsi),
        rdi = const offset_of!(UserRegisters, rdi),
        rbp = const offset_of!(UserRegisters, rbp),
        r8 = const offset_of!(UserRegisters, r8),
        r9 = const offset_of!(UserRegisters, r9),
        r10 = const offset_of!(UserRegisters, r10),
        r12 = const offset_of!(UserRegisters, r12),
        r13 = const offset_of!(UserRegisters, r13),
        r14 = const offset_of!(UserRegisters, r14),
        r15 = const offset_of!(UserRegisters, r15),
        rip = const offset_of!(UserRegisters, rip),
        rflags = const offset_of!(UserRegisters, rflags),
        user_stack = const offset_of!(UserRegisters, rsp),
        vector = const offset_of!(UserRegisters, vector),
        system_call = const SYSTEM_CALL_VECTOR,
        handle = sym super::user_loop::system_call,
        load_and_return = sym return_from_system_call,
    )
}

/// Back to user mode after a system call, with the address of the registers in RAX and those loaded that a function
/// preserves.
///
/// `sysret` takes RIP from RCX and the flags from R11. A RIP that is not canonical would fault in the kernel; it cannot
/// be here: it is the address behind a `syscall` instruction, and user memory ends a page before addresses do.
#[unsafe(naked)]
unsafe extern "C" fn return_from_system_call() {
    naked_asm!(
        "mov rdx, [rax + {rdx}]",
        "mov rsi, [rax + {rsi}]",
        "mov rdi, [rax + {rdi}]",
        "mov r8, [rax + {r8}]",
        "mov r9, [rax + {r9}]",
        "mov r10, [rax + {r10}]",
        "mov rcx, [rax + {rip}]",
        "mov r11, [rax + {rflags}]",
        "mov rsp, [rax + {user_stack}]",
        "mov rax, [rax + {rax}]",
        "swapgs",
        "sysretq",
        rax = const offset_of!(UserRegisters, rax),
        rdx = const offset_of!(UserRegisters, rdx),
        rsi = const offset_of!(UserRegisters, rsi),
        rdi = const offset_of!(UserRegisters, rdi),
        r8 = const offset_of!(UserRegisters, r8),
        r9 = const offset_of!(UserRegisters, r9),
        r10 = const offset_of!(UserRegisters, r10),
        rip = const offset_of!(UserRegisters, rip),
        rflags = const offset_of!(UserRegisters, rflags),
        user_stack = const offset_of!(UserRegisters, rsp),
    )
}

/// Where all vectors without a stack of their own arrive, with vector and error code pushed.
#[unsafe(naked)]
unsafe extern "C" fn trap_entry() {
    naked_asm!(
        push_registers!(),
        "cld",
        "clac",
        "test byte ptr [rsp + {cs}], 3",
        "jz 2f",
        // From user mode: the registers lie in the thread's struct.
        "swapgs",
        "mov rsp, gs:[{kernel_rsp}]",
        "add rsp, 24",
        "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
        "ret",
        // In the kernel: a nested call.
        "2: mov rdi, rsp",
        "mov rbx, rsp",
        "and rsp, -16",
        "call {kernel_trap}",
        "mov rsp, rbx",
        pop_registers!(),
        "iretq",
        cs = const offset_of!(KernelFrame, cs),
        kernel_rsp = const offset::KERNEL_RSP,
        kernel_trap = sym super::kernel_trap,
    )
}

/// Where the mailbox interrupt arrives. A request from another CPU is no reason to leave user mode: it is served on the
/// thread's kernel stack, which is empty below what `enter_user` saved.
///
/// So only what a Rust function may overwrite is saved. It goes into the thread's struct, of which nothing counts while
/// user mode runs.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn mailbox_entry() {
    naked_asm!(
        "test byte ptr [rsp + 8], 3",
        "jz 2f",
        "push rax; push rcx; push rdx; push rsi; push rdi; push r8; push r9; push r10; push r11; push rbx",
        "cld",
        "clac",
        "swapgs",
        "mov rbx, rsp",
        "mov rsp, gs:[{kernel_rsp}]",
        "call {serve_mailbox}",
        "mov rsp, rbx",
        "pop rbx; pop r11; pop r10; pop r9; pop r8; pop rdi; pop rsi; pop rdx; pop rcx; pop rax",
        "swapgs",
        "iretq",
        "2: push 0",
        "push {vector}",
        "jmp {trap_entry}",
        vector = const smp::ipi::MAILBOX_VECTOR,
        kernel_rsp = const offset::KERNEL_RSP,
        serve_mailbox = sym super::interrupt::serve_mailbox,
        trap_entry = sym trap_entry,
    )
}

/// Where the vectors with stacks of their own arrive. GS may be the user's or the kernel's: it is set from the word
/// above the stack, and put back.
///
/// A debug exception of a user program is an exception like any other: its registers are moved to the thread's struct,
/// and [`enter_user`] returns.
#[unsafe(naked)]
unsafe extern "C" fn own_stack_entry() {
    naked_asm!(
        push_registers!(),
        "cld",
        "clac",
        "mov rbx, rsp",
        "test byte ptr [rsp + {cs}], 3",
        "jz 2f",
        "cmp qword ptr [rsp + {vector}], {debug}",
        "jne 2f",
        "swapgs",
        "mov rdi, gs:[{stack_slot}]",
        "mov rdi, [rdi]",
        "sub rdi, {frame_size}",
        "mov rsi, rsp",
        "mov ecx, {frame_size} / 8",
        "rep movsq",
        "mov rsp, gs:[{kernel_rsp}]",
        "add rsp, 24",
        "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
        "ret",
        "2: mov ecx, 0xc0000101",
        "rdmsr",
        "mov r12d, eax",
        "mov r13d, edx",
        "mov rax, [rsp + {frame_size}]",
        "mov rdx, rax",
        "shr rdx, 32",
        "wrmsr",
        "mov rdi, rbx",
        "call {kernel_trap}",
        "mov ecx, 0xc0000101",
        "mov eax, r12d",
        "mov edx, r13d",
        "wrmsr",
        "mov rsp, rbx",
        pop_registers!(),
        "iretq",
        cs = const offset_of!(KernelFrame, cs),
        vector = const offset_of!(KernelFrame, vector),
        debug = const DEBUG,
        stack_slot = const offset::TSS_RSP0,
        kernel_rsp = const offset::KERNEL_RSP,
        frame_size = const size_of::<KernelFrame>(),
        kernel_trap = sym super::kernel_trap,
    )
}

/// Defines one stub: pushes a zero where the processor pushes no error code, then the vector.
macro_rules! stub {
    ($name:ident, $vector:expr, error_code, $entry:path) => {
        #[unsafe(naked)]
        pub(in crate::trap) unsafe extern "C" fn $name() {
            naked_asm!("push {vector}", "jmp {entry}", vector = const $vector, entry = sym $entry)
        }
    };
    ($name:ident, $vector:expr, no_error_code, $entry:path) => {
        #[unsafe(naked)]
        pub(in crate::trap) unsafe extern "C" fn $name() {
            naked_asm!("push 0", "push {vector}", "jmp {entry}", vector = const $vector, entry = sym $entry)
        }
    };
}

/// The exceptions of the processor.
pub(super) mod exception {
    use super::{naked_asm, own_stack_entry, trap_entry};

    stub!(divide_error, 0, no_error_code, trap_entry);
    stub!(debug, 1, no_error_code, own_stack_entry);
    stub!(nmi, 2, no_error_code, own_stack_entry);
    stub!(breakpoint, 3, no_error_code, trap_entry);
    stub!(overflow, 4, no_error_code, trap_entry);
    stub!(bound_range, 5, no_error_code, trap_entry);
    stub!(invalid_opcode, 6, no_error_code, trap_entry);
    stub!(device_not_available, 7, no_error_code, trap_entry);
    stub!(double_fault, 8, error_code, own_stack_entry);
    stub!(invalid_tss, 10, error_code, trap_entry);
    stub!(segment_not_present, 11, error_code, trap_entry);
    stub!(stack_fault, 12, error_code, trap_entry);
    stub!(general_protection, 13, error_code, trap_entry);
    stub!(page_fault, 14, error_code, trap_entry);
    stub!(x87_error, 16, no_error_code, trap_entry);
    stub!(alignment_check, 17, error_code, trap_entry);
    stub!(machine_check, 18, no_error_code, own_stack_entry);
    stub!(simd_error, 19, no_error_code, trap_entry);
    stub!(virtualization, 20, no_error_code, trap_entry);
    stub!(control_protection, 21, error_code, trap_entry);
}

/// The interrupts.
pub(super) mod interrupt {
    use super::{naked_asm, trap_entry};
    use crate::trap::interrupt::{KEYBOARD_VECTOR, SERIAL_VECTOR};
    use smp::ipi::{RESCHEDULE_VECTOR, SPURIOUS_VECTOR, TIMER_VECTOR};

    stub!(serial, SERIAL_VECTOR, no_error_code, trap_entry);
    stub!(keyboard, KEYBOARD_VECTOR, no_error_code, trap_entry);
    stub!(timer, TIMER_VECTOR, no_error_code, trap_entry);
    stub!(reschedule, RESCHEDULE_VECTOR, no_error_code, trap_entry);
    stub!(spurious, SPURIOUS_VECTOR, no_error_code, trap_entry);
}

/// Waits for ever with interrupts off: what is left of a CPU that has stopped.
pub(crate) fn halt_for_ever() -> ! {
    loop {
        // SAFETY: stopping the CPU touches no memory.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
