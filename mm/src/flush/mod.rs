//! Shootdown: no CPU uses a translation after the batch that took it away is complete, and what was mapped there is not
//! used for anything else before.
//!
//! A processor keeps translations, and no change to memory makes it forget them. So whoever takes something away from a
//! page table collects it in a [`FlushBatch`]: the pages whose translations have to go, the frames that were mapped,
//! and the page-table pages that are no longer used. A batch takes three steps:
//!
//! 1. *record*, while the page table changes. Nothing can fail: what is collected is linked through the frames'
//!    descriptors.
//! 2. *dispatch*: this CPU forgets the pages, and the other CPUs in the space's active set are asked to.
//! 3. *wait*, until all of them have. Then the batch gives everything back.
//!
//! Only a completed batch gives anything back; dropping one completes it. When a whole page table goes, the CPUs that
//! still have it loaded are sent away from it first; then nobody can reach it, and what is released is given back at
//! once. In outline, the invariants:
//!
//! - **TLB-1** a frame is reused only after every CPU that could still reach it has answered. A CPU that is idle in the
//!   space cannot reach user frames until it has caught up, so it is not waited for; but its page walker can still read
//!   page-table pages, so a batch that frees those does interrupt it and wait.
//! - **TLB-2** and **TLB-3**, how CPUs that come and CPUs that unmap see each other: [`ActiveCpus`].
//! - **TLB-4** no CPU waits for anything with interrupts off and its own flush requests unserved: `smp`'s locks and
//!   mailboxes.
//! - **TLB-5** changing the frame behind a present entry is clear, flush, set. Gaining rights on the same frame, and
//!   not-present to present, send nothing.

mod active;
mod batch;
mod counters;
mod cpu_tlb;
mod inline_list;
mod kernel;
mod machine;
mod released;
mod requests;
mod strategy;

pub use active::{ActiveCpus, Published, Reach, SpaceId};
pub use batch::{Dispatched, FlushBatch};
pub use counters::Counters;
pub use cpu_tlb::{CpuTlb, Flushed};
pub(crate) use kernel::init;
pub use kernel::{Kernel, counters, set_strategy};
pub use machine::{FlushCpu, Machine, Processor, Released};
pub use released::ReleasedFrames;
pub use strategy::Strategy;

use core::sync::atomic::{AtomicU64, Ordering};

use smp::{IrqOff, Pinned};

use crate::addr::PhysAddr;
use crate::hw;

/// Makes this CPU use the address space of `space`, the physical address of whose page-table root is in `root`. Costs
/// next to nothing if it does already, also if it was idle in it meanwhile. If `root` is 0, which says that the space
/// is gone, this CPU has the kernel's own page table afterwards.
///
/// # Safety
/// 1. `root` is that of the space's page table, which maps the kernel as all tables do, or 0.
/// 2. `root` is 0 before the table is retired, which is done by a batch of `space` only.
/// 3. `space` is not moved as long as a CPU has it loaded.
#[inline]
pub unsafe fn enter(space: &ActiveCpus, root: &AtomicU64, off: &IrqOff) {
    let own = kernel::cpu(off);
    let mut is_gone = false;
    let load_root = || {
        // Acquire, after the read-modify-write by which this CPU has come into the space's `loaded` set: if that came
        // too late for the batch that retires the table, it has taken over what was written before, and this reads 0
        // (as TLB-3).
        let root = PhysAddr::new(root.load(Ordering::Acquire));
        is_gone = root.as_u64() == 0;
        if is_gone {
            Kernel.load_kernel_root(off);
        } else {
            // SAFETY: 1. the caller vouches for the root; 2. it stays while this CPU is in the space's `loaded` set,
            // since retiring it waits for this CPU to leave.
            unsafe { hw::load_root(root, off) };
        }
    };
    // SAFETY: passed on (3).
    let flushed = unsafe { own.tlb.enter(space, off, &Kernel, load_root) };
    own.counters.count_flushed(flushed);
    if is_gone {
        leave(off);
    }
}

/// This CPU goes on to run the kernel's own threads, or nothing: it keeps the root that it has loaded, but uses no user
/// memory until it enters a space again.
#[inline]
pub fn become_idle(off: &IrqOff) {
    kernel::cpu(off).tlb.become_idle(off);
}

/// Makes this CPU use the kernel's own page table, and no address space.
pub fn leave(off: &IrqOff) {
    kernel::cpu(off)
        .tlb
        .leave(off, || Kernel.load_kernel_root(off));
}

/// Whether this CPU has the root of `space` loaded.
#[inline]
pub fn has_loaded(space: &ActiveCpus, pin: &Pinned) -> bool {
    Kernel
        .cpu(pin.cpu())
        .is_some_and(|own| own.tlb.has_loaded(space))
}
