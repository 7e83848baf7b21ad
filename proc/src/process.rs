//! A process: memory, files, threads, and a place in the family tree.
//!
//! A process is created by `fork` or `spawn`, lives while it has a thread, and is then a zombie that keeps its id and
//! status until its parent has waited for it. What happens to its threads in between stands in `life`.
//!
//! Two locks guard the tree. `parent` (rank FAMILY_PARENT) is held whenever a process changes its place: when it ends,
//! and when it is given to `init`. `family` (rank FAMILY) of the parent guards the two lists that the process can be
//! in. A process is in exactly one of its parent's lists from its publication until it is reaped, except while its own
//! `parent` lock is held.

pub(crate) mod life;

use alloc::sync::Arc;

use mm::aspace::SpaceRef;
use mm::space::Space;
use smp::list::{ArcList, Link, Linked};
use smp::lock::SpinLock;
use smp::rank;

use self::life::Life;
use crate::file::Descriptors;
use crate::name::Name;
use crate::offers::Offers;
use crate::signal::Handlers;
use crate::sync::{AtomicI32, Ordering};
use crate::thread::Id;
use crate::wait::WaitQueue;

/// A process.
pub struct Process {
    id: Id,
    name: Name,
    /// What its threads' addresses mean.
    space: SpaceRef,
    /// Whether it runs a function of the kernel, not a program.
    is_kernel: bool,
    /// Open files.
    pub descriptors: Descriptors,
    /// Pages that others may map.
    pub(crate) offers: Offers,
    /// Changed with its lock held and, inside, the `family` lock of the old and then of the new parent.
    pub(crate) parent: SpinLock<Option<Arc<Process>>, rank::FamilyParent>,
    /// The id of that parent, for those who only ask. Changed with `parent` locked.
    parent_id: AtomicI32,
    pub(crate) family: SpinLock<Family, rank::Family>,
    /// Where the process waits for a child to end.
    pub(crate) child_ended: WaitQueue,
    pub(crate) life: SpinLock<Life, rank::ProcessLife>,
    /// Where threads wait for another one to end.
    pub(crate) thread_ended: WaitQueue,
    /// What it does when signals come.
    pub(crate) handlers: Handlers,
    link: Link<Process>,
}

/// The children of a process.
pub(crate) struct Family {
    pub(crate) alive: ArcList<Process>,
    pub(crate) zombies: ArcList<Process>,
}

impl Linked for Process {
    fn link(&self) -> &Link<Process> {
        &self.link
    }
}

impl Process {
    #[inline(always)]
    pub(crate) fn new(
        id: Id,
        name: Name,
        space: SpaceRef,
        descriptors: Descriptors,
        parent: Option<Arc<Process>>,
    ) -> Process {
        Process {
            id,
            name,
            space,
            is_kernel: false,
            descriptors,
            offers: Offers::new(),
            parent_id: AtomicI32::new(parent.as_ref().map_or(0, |parent| parent.id)),
            parent: SpinLock::new(parent),
            family: SpinLock::new(Family {
                alive: ArcList::new(),
                zombies: ArcList::new(),
            }),
            child_ended: WaitQueue::new(),
            life: SpinLock::new(Life::new()),
            thread_ended: WaitQueue::new(),
            handlers: Handlers::new(),
            link: Link::new(),
        }
    }

    /// As [`Process::new`], for a process that runs a function of the kernel.
    pub(crate) fn new_kernel(
        id: Id,
        name: Name,
        space: SpaceRef,
        descriptors: Descriptors,
        parent: Option<Arc<Process>>,
    ) -> Process {
        let is_kernel = true;
        Process {
            is_kernel,
            ..Process::new(id, name, space, descriptors, parent)
        }
    }

    /// Its id, which is that of its first thread.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The program it runs.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its address space, if that has regions: always so for a program, and for a process of the kernel if it was given
    /// one.
    pub fn space(&self) -> Option<&Arc<Space>> {
        self.space.paging()
    }

    /// Its address space, of whichever implementation.
    pub fn any_space(&self) -> &SpaceRef {
        &self.space
    }

    /// Whether it runs a function of the kernel, not a program.
    pub fn is_kernel(&self) -> bool {
        self.is_kernel
    }

    /// Whether its last thread has ended, or is about to.
    pub fn has_ended(&self) -> bool {
        !self.life.lock().is_alive()
    }

    /// The id of the parent; 0 for a process that has none.
    pub fn parent_id(&self) -> Id {
        // Relaxed: by the time the answer arrives, the parent may have changed anyway.
        self.parent_id.load(Ordering::Relaxed)
    }

    /// Gives the process another parent, whose place in `parent` is locked.
    pub(crate) fn set_parent(&self, place: &mut Option<Arc<Process>>, parent: Arc<Process>) {
        // Relaxed: see `parent_id`.
        self.parent_id.store(parent.id, Ordering::Relaxed);
        *place = Some(parent);
    }
}
