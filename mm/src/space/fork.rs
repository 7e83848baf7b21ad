//! `fork`: a second address space with the same contents.
#![forbid(unsafe_code)]

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::addr::{USER_END, VirtAddr};
use crate::error::{MapError, NoMemory};
use crate::flush::FlushBatch;
use crate::page_table::{
    Copying, PageTable, Perm, VmIterMut, copy_mappings, copy_mappings_by, share_tables,
};
use crate::space::Space;

/// How `fork` copies memory.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum ForkPolicy {
    /// Shares the page-table pages, and with them all pages; copies a table or a page when somebody writes there.
    Shared,
    /// Copies every page, also those that nobody can write.
    Naive,
    /// Copies the pages that can be written, and shares the others.
    Eager,
    /// Shares all pages, one by one, and copies one when somebody writes it.
    CopyOnWrite,
    /// Copies nothing at all: parent and child see each other's stores (`break=mappings`).
    MappingsOnly,
}

impl ForkPolicy {
    /// The policies that make a fork, by the names of the boot option `fork=`.
    pub const NAMED: [(&'static str, ForkPolicy); 4] = [
        ("shared", ForkPolicy::Shared),
        ("naive", ForkPolicy::Naive),
        ("eager", ForkPolicy::Eager),
        ("cow", ForkPolicy::CopyOnWrite),
    ];

    /// The policy with this name, if there is one.
    pub fn from_name(name: &str) -> Option<ForkPolicy> {
        let named = ForkPolicy::NAMED.iter().find(|(known, _)| *known == name);
        named.map(|(_, policy)| *policy)
    }
}

/// Whether a copy-on-write fork forgets to make pages read-only (`break=cow`).
static IS_COPY_ON_WRITE_BROKEN: AtomicBool = AtomicBool::new(false);

/// Makes copy-on-write forks leave shared pages writable, so that parent and child see each other's stores
/// (`break=cow`).
pub fn break_copy_on_write() {
    // Relaxed: set at boot, before the first fork.
    IS_COPY_ON_WRITE_BROKEN.store(true, Ordering::Relaxed);
}

impl Space {
    /// A space with the same regions and contents. What either of the two writes from now on, the other does not see.
    ///
    /// Faults of this space wait meanwhile, and no CPU writes by an old right any more when this has returned.
    ///
    /// # Errors
    /// `NoMemory`. Nothing has changed then that a user could notice, and all memory has been given back; pages that
    /// had been made read-only become writable again at the next write.
    pub fn fork(&self, policy: ForkPolicy) -> Result<Arc<Space>, NoMemory> {
        // The last page is nobody's.
        self.fork_at(policy, USER_END)
    }

    /// As [`Space::fork`], by a thread of this space with this stack pointer. Both threads will write that page of the
    /// stack before anything else, so a copy-on-write fork copies it at once: that is what the first fault would do,
    /// and saves both their faults.
    ///
    /// Other threads of the space go on meanwhile, and the copy is to show one moment of what they do: that of the
    /// flush. So if there are any nothing is copied before it; [`ForkPolicy::CopyOnWrite`] takes the place of those
    /// that would.
    pub fn fork_at(
        &self,
        policy: ForkPolicy,
        stack_pointer: VirtAddr,
    ) -> Result<Arc<Space>, NoMemory> {
        let stack_page = stack_pointer.page_align_down();
        // Relaxed: set at boot, before the first fork.
        let is_broken = IS_COPY_ON_WRITE_BROKEN.load(Ordering::Relaxed);
        let policy = if is_broken {
            ForkPolicy::MappingsOnly
        } else {
            policy
        };
        let mut child = Space::new()?;
        let Some(Space {
            cpus, memory: copy, ..
        }) = Arc::get_mut(&mut child)
        else {
            unreachable!("nobody else has the new space yet");
        };
        let copy = copy.get_mut();
        let mut memory = self.memory.write();
        // SPACE-5: completes before the lock is given back, also after an error.
        let mut batch = FlushBatch::new(&self.cpus);
        let (policy, stack_page) = match policy {
            _ if self.threads().is_one_at_most() => (policy, stack_page),
            ForkPolicy::Naive | ForkPolicy::Eager => (ForkPolicy::CopyOnWrite, USER_END),
            _ => (policy, USER_END),
        };
        copy.regions = memory.regions.try_clone()?;
        if let (Some(from), Some(to)) = (&mut memory.table, &mut copy.table) {
            let (from, to) = (from.get_mut(), to.get_mut());
            if policy == ForkPolicy::Shared {
                share_tables(to, from, stack_page, &mut batch)?;
            } else {
                from.make_range_private(from.start(), USER_END, &mut batch)?;
                copy_by_page(
                    policy,
                    stack_page,
                    from,
                    to,
                    &mut batch,
                    &mut FlushBatch::new(cpus),
                )
                .map_err(no_memory)?;
            }
        }
        batch.complete();
        drop(memory);
        Ok(child)
    }
}

/// The forks that go from page to page.
fn copy_by_page(
    policy: ForkPolicy,
    stack_page: VirtAddr,
    from: &mut PageTable,
    to: &mut PageTable,
    batch: &mut FlushBatch<'_>,
    copys_batch: &mut FlushBatch<'_>,
) -> Result<(), MapError> {
    match policy {
        ForkPolicy::Shared | ForkPolicy::CopyOnWrite => {
            copy_mappings_by(to, from, batch, |page, perm| match page == stack_page {
                _ if !perm.contains(Perm::WRITE) => Copying::Share,
                true => Copying::CopyNow,
                false => Copying::ShareUntilWritten,
            })
        }
        ForkPolicy::Naive => copy_naively(to, from, batch),
        ForkPolicy::Eager => copy_eagerly(to, from, copys_batch),
        ForkPolicy::MappingsOnly => copy_mappings(to, from),
    }
}

/// The simplest fork: a frame of its own behind each of the child's pages.
///
/// # Errors
/// `NoMemory` for tables or copies; what has been mapped by then stays mapped in `child`.
// Kept apart, so that the usual fork is compiled as one loop.
#[inline(never)]
fn copy_naively(
    child: &mut PageTable,
    parent: &mut PageTable,
    batch: &mut FlushBatch<'_>,
) -> Result<(), MapError> {
    copy_mappings_by(child, parent, batch, |_, _| Copying::CopyNow)
}

/// The exercise's fork: the child gets the parent's mappings, and then a frame of its own behind each that can be
/// written.
///
/// # Errors
/// `NoMemory` for tables or copies; what has been mapped by then stays mapped in `child`.
// Kept apart, as above.
#[inline(never)]
fn copy_eagerly(
    child: &mut PageTable,
    parent: &PageTable,
    batch: &mut FlushBatch<'_>,
) -> Result<(), MapError> {
    copy_mappings(child, parent)?;
    let start = child.start();
    let mut pages = VmIterMut::new_mut(child, start);
    while pages.find_mapping(USER_END) {
        if pages.writable() && !pages.perm().contains(Perm::SHARED) {
            pages.replace_by_copy(batch)?;
        }
        pages.next();
    }
    Ok(())
}

fn no_memory(error: MapError) -> NoMemory {
    debug_assert!(
        error == MapError::NoMemory,
        "an empty page table refused a mapping: {error:?}"
    );
    NoMemory
}
