//! The switch itself: from one stack to another.

use core::arch::naked_asm;
use core::sync::atomic::Ordering::Relaxed;

use super::{Fiber, SUSPENDED};
use crate::hw;
use crate::irq::IrqOff;
use crate::percpu;

/// What [`switch_stacks`] pops from a stack: the registers that a function preserves, then the return address.
#[repr(C)]
struct SavedRegisters {
    r15: usize,
    r14: usize,
    r13: usize,
    r12: usize,
    rbx: usize,
    rbp: usize,
    rip: usize,
}

/// Prepares a stack so that the first switch to it calls `entry(argument)`, and returns what to load into RSP.
///
/// # Safety
/// `top` is a multiple of 16, and the bytes below it are writable and nobody else's.
pub(super) unsafe fn prepare_stack(
    top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> usize {
    let saved = SavedRegisters {
        r15: 0,
        r14: 0,
        r13: 0,
        r12: entry as *const () as usize,
        rbx: argument,
        // The end of every backtrace.
        rbp: 0,
        rip: begin_fiber as *const () as usize,
    };
    // Above it stay 16 bytes, so that RSP is a multiple of 16 once it has been popped, and a zero return address ends
    // backtraces that do not go by the frame pointer.
    let place = top - 16 - size_of::<SavedRegisters>();
    let place_ptr = core::ptr::with_exposed_provenance_mut::<SavedRegisters>(place);
    // SAFETY: the caller's condition; the place is a multiple of 8.
    unsafe {
        place_ptr.write(saved);
        place_ptr.add(1).cast::<[usize; 2]>().write([0, 0]);
    }
    place
}

/// Leaves `previous` and goes on in `next`. Returns when somebody switches back, perhaps on another CPU, with what that one
/// gave as `message`.
///
/// # Safety
/// 1. `previous` is the fiber that runs this.
/// 2. `next` has been claimed by the caller.
/// 3. Both live until they are switched away from, or to, the next time.
#[inline]
pub(super) unsafe fn switch(
    previous: &Fiber,
    next: &Fiber,
    message: *mut (),
    off: &IrqOff,
) -> *mut () {
    let block = percpu::own_block(off);
    if let Some(fpu) = &previous.fpu {
        // SAFETY: FPU-1: the registers hold the running fiber's state, and nobody else looks at its memory meanwhile.
        unsafe { fpu.save_registers() };
    }
    let next_word = core::ptr::from_ref(next).addr();
    if let Some(fpu) = &next.fpu {
        let this_cpu = hw::cpu_index();
        // Relaxed: the block's word is this CPU's own, and the fiber's was written before it was suspended.
        if block.fpu_owner.load(Relaxed) != next_word || next.fpu_cpu.load(Relaxed) != this_cpu {
            // SAFETY: FPU-1: the memory holds the state of a fiber that does not run.
            unsafe { fpu.load_registers() };
            block.fpu_owner.store(next_word, Relaxed);
            next.fpu_cpu.store(this_cpu, Relaxed);
        }
    }
    next.kernel_entry.load(off);
    block.current_fiber.store(next_word, Relaxed);
    // SAFETY: 1. and 2. of the caller: both `rsp` belong to this CPU, and what is in the next fiber's was put there by
    // `prepare_stack` or by this function; 3. keeps both alive. Interrupts are off, so no handler runs on half a stack.
    unsafe {
        switch_stacks(
            previous.rsp.get(),
            previous.state.as_ptr(),
            *next.rsp.get(),
            message,
        )
    }
}

/// Saves the caller's registers on its stack and RSP at `save_rsp`, takes the stack at `next_rsp`, says at `state` that the
/// previous fiber is suspended, and goes on with the registers found on the new stack, where it returns `message`.
///
/// The store to `state` is a plain one: x86 keeps it behind all stores and loads before it (FIBER-2). After it another CPU
/// may run the previous fiber, and free it: nothing of it is touched any more.
///
/// # Safety
/// Only for [`switch`].
#[unsafe(naked)]
unsafe extern "C" fn switch_stacks(
    save_rsp: *mut usize,
    state: *mut u32,
    next_rsp: usize,
    message: *mut (),
) -> *mut () {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rdx",
        "mov dword ptr [rsi], {suspended}",
        "mov rax, rcx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        suspended = const SUSPENDED,
    )
}

/// Where a new fiber begins: takes its function and argument from the registers that [`prepare_stack`] filled.
///
/// # Safety
/// Not to be called: it is returned to by [`switch_stacks`].
#[unsafe(naked)]
unsafe extern "C" fn begin_fiber() {
    naked_asm!("mov rdi, rbx", "call r12", "ud2")
}
