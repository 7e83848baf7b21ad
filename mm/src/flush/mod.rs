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
mod cpu_tlb;
mod inline_list;

pub use active::{ActiveCpus, Published, Reach, SpaceId};
pub use batch::{Dispatched, FlushBatch};
pub use cpu_tlb::{CpuTlb, Processor};

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use smp::mailbox::Words;
use smp::{IrqOff, PerCpu, Pinned, irq};

use crate::addr::{PhysAddr, VirtAddr};
use crate::error::NoMemory;
use crate::{hw, kernel_map};

/// What each CPU knows of its translations.
static TLBS: PerCpu<CpuTlb> = PerCpu::new();

/// The CPU that this runs on.
struct ThisProcessor;

impl Processor for ThisProcessor {
    #[inline]
    fn flush_page(&self, page: VirtAddr) {
        hw::flush_page(page);
    }

    #[inline]
    fn flush_all(&self) {
        hw::flush_all();
    }
}

/// Makes what each of `possible_cpus` CPUs needs to take part. Once, at boot, before the first address space; all CPUs
/// have the kernel's own root loaded.
///
/// # Errors
/// [`NoMemory`].
pub fn init(possible_cpus: usize) -> Result<(), NoMemory> {
    TLBS.init(possible_cpus, CpuTlb::new).map_err(|_| NoMemory)
}

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
    let mut is_gone = false;
    let load_root = || {
        // Acquire, after the read-modify-write by which this CPU has come into the space's `loaded` set: if that came
        // too late for the batch that retires the table, it has taken over what was written before, and this reads 0
        // (as TLB-3).
        let root = PhysAddr::new(root.load(Ordering::Acquire));
        is_gone = root.as_u64() == 0;
        if is_gone {
            load_kernel_root(off);
        } else {
            // SAFETY: 1. the caller vouches for the root; 2. it stays while this CPU is in the space's `loaded` set,
            // since retiring it waits for this CPU to leave.
            unsafe { hw::load_root(root, off) };
        }
    };
    // SAFETY: passed on (3).
    unsafe { TLBS.get(off).enter(space, off, &ThisProcessor, load_root) };
    if is_gone {
        leave(off);
    }
}

/// This CPU goes on to run the kernel's own threads, or nothing: it keeps the root that it has loaded, but uses no user
/// memory until it enters a space again.
#[inline]
pub fn become_idle(off: &IrqOff) {
    TLBS.get(off).become_idle(off);
}

/// Makes this CPU use the kernel's own page table, and no address space.
pub fn leave(off: &IrqOff) {
    TLBS.get(off).leave(off, || load_kernel_root(off));
}

fn load_kernel_root(off: &IrqOff) {
    if let Some(root) = kernel_map::root_pa() {
        // SAFETY: 1. the kernel's own table is what all others have copied; 2. it is never freed.
        unsafe { hw::load_root(root, off) };
    }
}

/// Whether this CPU has the root of `space` loaded.
#[inline]
pub fn has_loaded(space: &ActiveCpus, pin: &Pinned) -> bool {
    TLBS.is_ready() && TLBS.get(pin).has_loaded(space)
}

/// The space that a request is about.
///
/// # Safety
/// `words` are of a request that a [`FlushBatch`] has made and waits for.
#[inline]
unsafe fn space_of(words: &Words) -> &ActiveCpus {
    // SAFETY: the batch put its space's address there, and borrows the space until this request is answered.
    unsafe { &*ptr::with_exposed_provenance(words[0]) }
}

/// What another CPU asks for when it has taken something away: the function of a flush request, run with interrupts
/// off.
fn flush_for_another(words: &Words) {
    // SAFETY: requests with this function are made in `FlushBatch::ask_others` only.
    let space = unsafe { space_of(words) };
    TLBS.get(&irq::disable()).catch_up(space, &ThisProcessor);
}

/// What another CPU asks for when it frees a whole page table: the function of a flush request, run with interrupts
/// off.
fn leave_for_another(words: &Words) {
    // SAFETY: requests with this function are made in `FlushBatch::ask_others` only.
    let space = unsafe { space_of(words) };
    leave_space(space, &irq::disable());
}

/// Leaves the address space `space`, if this CPU has it loaded.
fn leave_space(space: &ActiveCpus, off: &IrqOff) {
    if has_loaded(space, off) {
        leave(off);
    }
}
