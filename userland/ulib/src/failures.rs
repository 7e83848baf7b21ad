//! Injected failures, for tests of a kernel that was booted with `fail=alloc:driver`.

use core::arch::asm;

use abi::failures::FAIL_ALLOCATION;
use abi::{Errno, Sysno, decode};

use crate::system_call;

/// Which of the allocations fail that the kernel makes for a thread.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Plan {
    /// The first that fails, counted from 1.
    pub first: u32,
    /// How many fail, at least one.
    pub count: u32,
}

impl Plan {
    /// Begins: from now on the allocations for this thread count.
    ///
    /// # Errors
    /// `ENOSYS` if the kernel was booted without `fail=alloc:driver`.
    pub fn arm(&self) -> Result<(), Errno> {
        fail_allocation(self.first, self.count).map(drop)
    }

    /// Makes a system call, in which this plan holds, and nowhere else: between the call and what surrounds it the
    /// program touches no memory, so that it has no page faults that would count. Returns the call's result, and how
    /// many allocations failed.
    ///
    /// # Safety
    /// As for the call.
    pub unsafe fn call(&self, call: Sysno, arguments: [usize; 6]) -> (Result<usize, Errno>, u32) {
        let [a, b, c, d, e, f] = arguments;
        let result: isize;
        let failed: usize;
        // SAFETY: the three calls keep all registers but `rax`, `rcx` and `r11`, and the first and the last touch no
        // memory; for the one between them the caller vouches.
        unsafe {
            asm!(
                "syscall",
                "mov rax, {call}",
                "mov rdi, {a}",
                "mov rsi, {b}",
                "syscall",
                "mov {a}, rax",
                "mov rax, {fail_allocation}",
                "xor esi, esi",
                "syscall",
                call = in(reg) call.number(),
                fail_allocation = const FAIL_ALLOCATION,
                a = inlateout(reg) a => result,
                b = in(reg) b,
                inlateout("rax") FAIL_ALLOCATION => failed,
                inlateout("rdi") self.first as usize => _,
                inlateout("rsi") self.count as usize => _,
                in("rdx") c,
                in("r10") d,
                in("r8") e,
                in("r9") f,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        (decode(result), failed as u32)
    }
}

/// Ends the plan, whichever process has made it; returns how many allocations have failed by it.
///
/// # Errors
/// `ENOSYS` if the kernel was booted without `fail=alloc:driver`.
pub fn disarm() -> Result<u32, Errno> {
    fail_allocation(0, 0).map(|failed| failed as u32)
}

fn fail_allocation(first: u32, count: u32) -> Result<usize, Errno> {
    let arguments = [first as usize, count as usize, 0, 0, 0, 0];
    // SAFETY: the call touches no memory of the program.
    decode(unsafe { system_call::by_number(FAIL_ALLOCATION, arguments) })
}
