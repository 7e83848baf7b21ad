//! The switch itself: from one stack to another.

use core::arch::{asm, naked_asm};
use core::sync::atomic::Ordering::Relaxed;

use super::{Fiber, SUSPENDED};
use crate::irq::IrqOff;
use crate::percpu;

/// What a new fiber finds on its stack: where it begins, and what [`begin_fiber`] pops.
#[repr(C)]
struct Beginning {
    rip: usize,
    argument: usize,
    entry: usize,
    /// The return address of `entry`, which ends backtraces that do not go by the frame pointer.
    end: usize,
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
    let beginning = Beginning {
        rip: begin_fiber as *const () as usize,
        argument,
        entry: entry as *const () as usize,
        end: 0,
    };
    // Above it stays nothing, so that RSP is what a function expects that has just been called.
    let place = top - size_of::<Beginning>();
    let place_ptr = core::ptr::with_exposed_provenance_mut::<Beginning>(place);
    // SAFETY: the caller's condition; the place is a multiple of 8.
    unsafe { place_ptr.write(beginning) };
    place
}

/// Leaves `previous` and goes on in `next`. Returns when somebody switches back, perhaps on another CPU, with what that
/// one gave as `message`.
///
/// # Safety
/// 1. `previous` is the fiber that runs this.
/// 2. `next` has been claimed by the caller.
/// 3. Both live until they are switched away from, or to, the next time.
#[inline(always)]
pub(super) unsafe fn switch(
    previous: &Fiber,
    next: *const Fiber,
    message: (*mut (), usize),
    off: &IrqOff,
) -> (*mut (), usize) {
    let block = percpu::own_block(off);
    if let Some(user) = &previous.user {
        // SAFETY: FPU-1: the registers hold the running fiber's state, and nobody else looks at its memory meanwhile.
        unsafe { user.fpu.save_registers() };
    }
    let next_word = next.addr();
    // No reference to it lasts: it may have been freed when this function returns.
    let next_rsp = {
        // SAFETY: 3. of the caller.
        let next = unsafe { &*next };
        if let Some(user) = &next.user {
            // SAFETY: what the registers hold has just been saved.
            unsafe { user.load(next_word, block, off) };
        }
        next.rsp.get()
    };
    block.current_fiber.store(next_word, Relaxed);
    let (pointer, number);
    // Pushes where to go on and the registers that cannot be declared lost, and saves RSP. Takes the next stack, says
    // that the previous fiber is suspended, and goes on where the next one does.
    //
    // The store to `state` is a plain one: x86 keeps it behind all stores and loads before it (FIBER-2). After it
    // another CPU may run the previous fiber, and free it: nothing of it is touched any more.
    //
    // SAFETY: 1. and 2. of the caller: both `rsp` belong to this CPU, and what is on the next fiber's stack was put
    // there by `prepare_stack` or by this function; 3. keeps both alive. Interrupts are off, so no handler runs on half
    // a stack. All registers that this function does not put back are declared lost.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rbx, [rip + 2f]",
            "push rbx",
            "mov [rdi], rsp",
            "mov rsp, rdx",
            "mov dword ptr [rsi], {suspended}",
            "ret",
            "2:",
            "pop rbx",
            "pop rbp",
            suspended = const SUSPENDED,
            inout("rdi") previous.rsp.get() => _,
            inout("rsi") previous.state.as_ptr() => _,
            inout("rdx") *next_rsp => _,
            inout("rax") message.0 => pointer,
            inout("rcx") message.1 => number,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    (pointer, number)
}

/// Where a new fiber begins: takes its argument and its function from the stack that [`prepare_stack`] made.
///
/// # Safety
/// Not to be called: it is returned to by [`switch`].
#[unsafe(naked)]
unsafe extern "C" fn begin_fiber() {
    naked_asm!("pop rdi", "pop rax", "xor ebp, ebp", "jmp rax")
}
