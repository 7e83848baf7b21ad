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
//! Only a completed batch gives anything back; dropping one completes it. Under `shootdown=deferred` a plain unmap does
//! not wait: what its batch has collected stays in [`limbo`] until the other CPUs have flushed in their own time. When
//! a whole page table goes, the CPUs that still have it loaded are sent away from it first; then nobody can reach it,
//! and what is released is given back at once. In outline, the invariants:
//!
//! - **TLB-1** a frame is reused only after every CPU that could still reach it has answered. A CPU that is idle in the
//!   space cannot reach user frames until it has caught up, so it is not waited for; but its page walker can still read
//!   page-table pages, so a batch that frees those does interrupt it and wait.
//! - **TLB-2** and **TLB-3**, how CPUs that come and CPUs that unmap see each other: [`ActiveCpus`].
//! - **TLB-4** no CPU waits for anything with interrupts off and its own requests unserved: `smp`'s locks and
//!   mailboxes.
//! - **TLB-5** changing the frame behind a present entry is clear, flush, set. Gaining rights on the same frame, and
//!   not-present to present, send nothing.

mod active;
mod batch;
mod counters;
mod cpu_tlb;
mod inline_list;
mod kernel;
pub mod limbo;
mod machine;
mod released;
mod requests;
mod strategy;
pub mod switch;

pub use active::{ActiveCpus, Reach, SpaceId};
pub use batch::FlushBatch;
pub use counters::Counters;
pub use cpu_tlb::{CpuTlb, Flushed};
pub(crate) use kernel::init;
pub use kernel::{Kernel, break_shootdown, counters, set_strategy, strategy};
pub use machine::{FlushCpu, Machine, Processor, Released};
pub use released::ReleasedFrames;
pub use strategy::Strategy;

use smp::sync::AtomicU64;
use smp::{IrqOff, Pinned};

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
    // SAFETY: the caller's conditions.
    unsafe { switch::enter(Kernel, kernel::cpu(off), space, root, off) };
}

/// This CPU goes on to run the kernel's own threads, or nothing: it keeps the root that it has loaded, but uses no user
/// memory until it enters a space again.
#[inline]
pub fn become_idle(off: &IrqOff) {
    switch::become_idle(Kernel, kernel::cpu(off), off);
}

/// Makes this CPU use the kernel's own page table, and no address space.
pub fn leave(off: &IrqOff) {
    switch::leave(Kernel, kernel::cpu(off), off);
}

/// Whether this CPU has the root of `space` loaded.
#[inline]
pub fn has_loaded(space: &ActiveCpus, pin: &Pinned) -> bool {
    Kernel.cpu(pin).is_some_and(|own| own.tlb.has_loaded(space))
}
