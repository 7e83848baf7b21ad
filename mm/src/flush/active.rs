//! Which CPUs can use the translations of an address space, and how they and an unmapping CPU find each other.
//!
//! Guarantee: when a CPU has unmapped something and then reads the set of active CPUs, each CPU that is not in it reads
//! the page table as it is now, or catches up before it uses the space again.
//!
//! Each space has two sets of CPUs and a generation. `loaded` has the CPUs whose CR3 holds the space's root; `active`
//! those of them that run the space's threads. The others are *idle* in it: they run the kernel's own threads, or
//! nothing, and keep the root because loading another costs time. They use no user memory until they have caught up, so
//! an unmapping CPU need not wait for them; but the processor may still walk the page table, so who frees page-table
//! pages must. The generation counts what has been taken away; each CPU remembers the generation that its translations
//! are not older than.
//!
//! - **TLB-2** switching: set this CPU's bits in the next space, then read its generation, load CR3, and only then
//!   clear the bits in the previous space; interrupts off throughout. Leaving idleness sets the bit before it reads the
//!   generation.
//! - **TLB-3** unmapping: write the entry, advance the generation, then read the sets. Both this and TLB-2 go through
//!   read-modify-writes of the words of the sets, so that for each CPU one of the two comes first: either the unmapping
//!   CPU sees the newcomer's bit, or the newcomer sees the new generation and the new entry.
//!
//! A CPU that flushes for a generation reads the generation first, flushes, and then stores what it had read: what is
//! taken away in between is not forgotten.

use core::fmt;

use smp::sync::{AtomicU64, Ordering};
use smp::{AtomicCpuSet, CpuId, CpuSet};

/// The number of an address space. It is never used again, not even when the space is gone.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct SpaceId(u64);

impl SpaceId {
    /// The boot identity map, which all kernel threads can use.
    pub const KERNEL: SpaceId = SpaceId(0);

    /// The number of a new space.
    pub fn fresh() -> SpaceId {
        static LAST: core::sync::atomic::AtomicU64 =
            core::sync::atomic::AtomicU64::new(SpaceId::KERNEL.0);
        // Relaxed: all that matters is that no two get the same. 64 bits are never used up.
        SpaceId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The space with this number.
    pub(super) const fn from_u64(number: u64) -> SpaceId {
        SpaceId(number)
    }

    /// The number as such, for listings.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What the flush protocol keeps for one address space. See the module's page.
pub struct ActiveCpus {
    space: SpaceId,
    generation: AtomicU64,
    active: AtomicCpuSet,
    loaded: AtomicCpuSet,
}

/// Which CPUs have to answer before what was taken away may be used for something else.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub enum Reach {
    /// Those that use the space's memory: a translation or a frame was taken away.
    Active,
    /// All that the processor's page walker can look at the space's tables on: a page-table page was taken away.
    Loaded,
}

impl ActiveCpus {
    /// For a new space, which no CPU has loaded.
    pub const fn new(space: SpaceId) -> ActiveCpus {
        ActiveCpus {
            space,
            generation: AtomicU64::new(0),
            active: AtomicCpuSet::new(),
            loaded: AtomicCpuSet::new(),
        }
    }

    /// The space's number.
    #[inline]
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// The CPUs that run threads of the space now, as far as a look from outside can tell.
    pub fn active(&self) -> CpuSet {
        self.active.load()
    }

    /// The CPUs that run threads of the space now, by a look that comes after the caller's read-modify-writes in the
    /// order of all (LIMBO-2).
    pub(super) fn active_after_telling(&self) -> CpuSet {
        self.active.load_after_publish()
    }

    /// The CPUs that have the space's root loaded now, as far as a look from outside can tell.
    pub fn loaded(&self) -> CpuSet {
        self.loaded.load()
    }

    /// Announces what `cpu`, which runs this, has taken away from the page table, after it has: the second and third
    /// step of TLB-3. Returns the generation that this is, and adds the other CPUs that have to answer to `others`.
    #[inline]
    pub fn publish(&self, reach: Reach, cpu: CpuId, others: &mut CpuSet) -> u64 {
        // AcqRel: Release publishes the entries that were written before, together with the generation, to whoever
        // reads it in `CpuTlb`; Acquire takes over those of CPUs that published before, for whom this one's flushes
        // count too.
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let set = match reach {
            Reach::Active => &self.active,
            Reach::Loaded => &self.loaded,
        };
        // TLB-3: pairs with the `fetch_insert` in `add_loaded` and `add_active`.
        set.add_others_after_publish(others, cpu);
        generation
    }

    /// The generation, for a CPU that has just made itself known (TLB-2) or is about to flush everything.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        // Acquire pairs with the Release in `publish`: the entries that the generation stands for are seen.
        self.generation.load(Ordering::Acquire)
    }

    /// `cpu` is about to load the root: the first step of TLB-2.
    #[inline]
    pub(super) fn add_loaded(&self, cpu: CpuId) {
        self.loaded.fetch_insert(cpu);
        self.active.fetch_insert(cpu);
    }

    /// `cpu` is about to leave idleness in the space.
    #[inline]
    pub(super) fn add_active(&self, cpu: CpuId) {
        self.active.fetch_insert(cpu);
    }

    /// `cpu` is idle in the space from now on.
    #[inline]
    pub(super) fn remove_active(&self, cpu: CpuId) {
        self.active.fetch_remove(cpu);
    }

    /// `cpu` has loaded another root: the last step of TLB-2. The space may be gone as soon as this has happened.
    #[inline]
    pub(super) fn remove_loaded(&self, cpu: CpuId) {
        self.active.fetch_remove(cpu);
        self.loaded.fetch_remove(cpu);
    }
}

impl Drop for ActiveCpus {
    fn drop(&mut self) {
        assert!(
            self.loaded.load().is_empty(),
            "address space {} dropped while a CPU has it loaded",
            self.space
        );
    }
}

impl fmt::Debug for ActiveCpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveCpus")
            .field("space", &self.space)
            .field("active", &self.active)
            .field("loaded", &self.loaded)
            .finish_non_exhaustive()
    }
}
