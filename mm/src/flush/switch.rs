//! Which address space a CPU uses: the switching side of the protocol, on any machine.

use smp::IrqOff;
use smp::sync::{AtomicU64, Ordering};

use crate::addr::PhysAddr;
use crate::flush::active::ActiveCpus;
use crate::flush::limbo;
use crate::flush::machine::{FlushCpu, Machine};

/// Makes the CPU that this runs on, which is `own`, use the address space of `space`:
/// [`flush::enter`](crate::flush::enter).
///
/// # Safety
/// 1. `root` is that of the space's page table, which maps the kernel as all tables do, or 0.
/// 2. `root` is 0 before the table is retired, which is done by a batch of `space` only.
/// 3. `space` is not moved as long as a CPU has it loaded.
#[inline]
pub unsafe fn enter(
    machine: impl Machine,
    own: &FlushCpu,
    space: &ActiveCpus,
    root: &AtomicU64,
    off: &IrqOff,
) {
    let mut is_gone = false;
    let load_root = || {
        // Acquire, after the read-modify-write by which this CPU has come into the space's `loaded` set: if that came
        // too late for the batch that retires the table, it has taken over what was written before, and this reads 0
        // (as TLB-3).
        let root = PhysAddr::new(root.load(Ordering::Acquire));
        is_gone = root.as_u64() == 0;
        if is_gone {
            machine.load_kernel_root(off);
        } else {
            // SAFETY: 1. the caller vouches for the root; 2. it stays while this CPU is in the space's `loaded` set,
            // since retiring it waits for this CPU to leave.
            unsafe { machine.load_root(root, off) };
        }
    };
    // SAFETY: passed on (3).
    let flushed = unsafe { own.tlb.enter(space, off, &machine, load_root) };
    own.counters.count_flushed(flushed);
    if is_gone {
        leave(machine, own, off);
    } else {
        limbo::sweep_if_owed(machine, off);
    }
}

/// The CPU that this runs on, which is `own`, goes on to run the kernel's own threads, or nothing:
/// [`flush::become_idle`](crate::flush::become_idle).
#[inline]
pub fn become_idle(machine: impl Machine, own: &FlushCpu, off: &IrqOff) {
    own.tlb.become_idle(off);
    limbo::sweep_if_owed(machine, off);
}

/// Makes the CPU that this runs on, which is `own`, use the kernel's own page table, and no address space.
pub fn leave(machine: impl Machine, own: &FlushCpu, off: &IrqOff) {
    own.tlb.leave(off, || machine.load_kernel_root(off));
    limbo::sweep_if_owed(machine, off);
}
