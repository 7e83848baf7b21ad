//! What a fiber has in user mode, for a CPU to take up when it switches to the fiber.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use super::KernelEntry;
use crate::fpu::FpuState;
use crate::irq::IrqOff;
use crate::percpu::PerCpuBlock;
use crate::tls::{self, AtomicTlsBase, TlsBase};

/// No CPU's registers hold the FPU state.
const NO_CPU: u32 = u32::MAX;

/// What a fiber has in user mode besides its general registers.
#[derive(Debug)]
pub struct UserState {
    /// FPU-1.
    pub(super) fpu: FpuState,
    /// The CPU that loaded the FPU state last; written by the CPU that runs the fiber.
    fpu_cpu: AtomicU32,
    /// The base of FS. Changed by the fiber itself.
    tls_base: AtomicTlsBase,
    kernel_entry: KernelEntry,
}

impl UserState {
    /// Of a fiber that has not been to user mode.
    pub const fn new(fpu: FpuState, tls_base: TlsBase) -> UserState {
        UserState {
            fpu,
            fpu_cpu: AtomicU32::new(NO_CPU),
            tls_base: AtomicTlsBase::new(tls_base),
            kernel_entry: KernelEntry::new(),
        }
    }

    /// By which words the kernel is entered while the fiber runs in user mode.
    pub fn kernel_entry(&self) -> &KernelEntry {
        &self.kernel_entry
    }

    /// The base of FS.
    #[inline]
    pub fn tls_base(&self) -> TlsBase {
        self.tls_base.get()
    }

    /// Sets the base of FS, for the fiber that this belongs to and that calls this.
    pub fn set_tls_base(&self, base: TlsBase) {
        let pin = crate::pin::pin();
        self.tls_base.set(base);
        tls::load(base, crate::percpu::own_block(&pin));
    }

    /// Lets this CPU, whose block is `block`, have it, for the fiber `owner`, which is about to run.
    ///
    /// # Safety
    /// The FPU registers hold nothing that is still needed, but what this CPU loaded last (FPU-1).
    #[inline(always)]
    pub(super) unsafe fn load(&self, owner: usize, block: &PerCpuBlock, off: &IrqOff) {
        tls::load(self.tls_base(), block);
        self.kernel_entry.load(block, off);
        let this_cpu = block.cpu().index() as u32;
        // Relaxed: the block's word is this CPU's own, and the fiber's was written before it was suspended.
        if block.fpu_owner.load(Relaxed) != owner || self.fpu_cpu.load(Relaxed) != this_cpu {
            // SAFETY: 1. the caller's condition. 2. FPU-1: the memory holds the state of a fiber that does not run.
            unsafe { self.fpu.load_registers() };
            block.fpu_owner.store(owner, Relaxed);
            self.fpu_cpu.store(this_cpu, Relaxed);
        }
    }
}
