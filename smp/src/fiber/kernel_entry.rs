//! How a CPU gets from the user mode of its fiber back to that fiber's stack.

use core::mem::offset_of;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use crate::hw;
use crate::irq::IrqOff;
use crate::percpu::PerCpuBlock;

/// The words by which the kernel is entered from a fiber's user mode (ENTRY-1), for the entry stubs to set. Zero until
/// then.
#[repr(C)]
#[derive(Debug)]
pub struct KernelEntry {
    /// The CPU's `kernel_rsp`: what a system call loads into RSP.
    kernel_rsp: AtomicU64,
    /// RSP0 in the CPU's TSS: where an exception or interrupt saves the user's registers.
    rsp0: AtomicU64,
}

impl KernelEntry {
    /// Where `kernel_rsp` lies in it.
    pub const KERNEL_RSP_AT: usize = offset_of!(KernelEntry, kernel_rsp);
    /// Where `rsp0` lies in it.
    pub const RSP0_AT: usize = offset_of!(KernelEntry, rsp0);

    /// Of a fiber that has not been to user mode.
    pub(super) const fn new() -> KernelEntry {
        KernelEntry {
            kernel_rsp: AtomicU64::new(0),
            rsp0: AtomicU64::new(0),
        }
    }

    /// Lets this CPU, which is about to run the fiber, enter the kernel by them.
    #[inline]
    pub(super) fn load(&self, block: &PerCpuBlock, _off: &IrqOff) {
        // Relaxed: written by the fiber itself, before it was suspended.
        block
            .kernel_rsp
            .store(self.kernel_rsp.load(Relaxed), Relaxed);
        hw::set_rsp0(block, self.rsp0.load(Relaxed));
    }
}
