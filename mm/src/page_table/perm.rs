//! What an x86-64 page-table entry allows, and its value as a whole.

use geometry::ADDRESS_BITS;

use crate::addr::PhysAddr;

bitflags::bitflags! {
    /// The rights and the other flags of an entry, bit for bit as the processor wants them.
    ///
    /// A mapping allows only what the entries of all levels above it allow too; [`super::VmIter::perm`] has taken that
    /// into account.
    #[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
    pub struct Perm: u64 {
        /// The entry means something. Without it the processor looks at no other bit.
        const PRESENT = 1;
        /// The memory may be written.
        const WRITE = 1 << 1;
        /// User code may use the memory.
        const USER = 1 << 2;
        /// Writes go through to memory (with `NO_CACHE`: device registers).
        const WRITE_THROUGH = 1 << 3;
        /// The memory is not cached: device registers.
        const NO_CACHE = 1 << 4;
        /// Set by the processor when it uses the entry.
        const ACCESSED = 1 << 5;
        /// Set by the processor when it writes through the (leaf) entry.
        const DIRTY = 1 << 6;
        /// A leaf at level 2 (2 MiB) or 3 (1 GiB). The iterators set and clear it; callers need not.
        const HUGE = 1 << 7;
        /// The translation is the same in all address spaces: the kernel's own map.
        const GLOBAL = 1 << 8;
        /// For software: the page is shared by a fork, and the first write gets a copy.
        const COPY_ON_WRITE = 1 << 9;
        /// For software: the entry does not own a reference of what it maps (the kernel's own map, device registers).
        const BORROWED = 1 << 10;
        /// For software: the page is shared on purpose. A fork leaves it writable for both.
        const SHARED = 1 << 11;
        /// The memory may not be executed.
        const NO_EXECUTE = 1 << 63;
    }
}

impl Perm {
    /// What a user reads and nobody writes.
    pub const USER_READ: Perm = Perm::PRESENT.union(Perm::USER);
    /// What a user reads and writes.
    pub const USER_WRITE: Perm = Perm::USER_READ.union(Perm::WRITE);

    /// Of an entry that names the next table: everything is allowed, the leaves decide. It counts as used from the
    /// start, which spares the processor the write.
    pub(super) const TABLE: Perm = Perm::USER_WRITE.union(Perm::ACCESSED);

    /// The bits that the processor sets by itself.
    pub(super) const BY_PROCESSOR: Perm = Perm::ACCESSED.union(Perm::DIRTY);

    /// The bits that belong to the iterators, whatever a caller says.
    const OF_ENTRY: Perm = Perm::PRESENT.union(Perm::HUGE).union(Perm::BORROWED);

    /// What these flags of a leaf allow, less what the entries above it deny: `WRITE` and `USER` if they lack it,
    /// `NO_EXECUTE` if they have it.
    #[inline]
    pub(super) fn less(self, denied: u64) -> Perm {
        let no_execute = Perm::NO_EXECUTE.bits();
        Perm::from_bits_retain(self.bits() & !(denied & !no_execute) | denied & no_execute)
    }

    /// What a leaf with these flags allows once others share its memory: the same, but the first write is to get a
    /// copy.
    #[inline]
    pub(crate) fn shared_until_written(self) -> Perm {
        if self.contains(Perm::WRITE) {
            self.difference(Perm::WRITE).union(Perm::COPY_ON_WRITE)
        } else {
            self
        }
    }

    /// What a caller asks for, as the flags of a new 4 KiB leaf that owns its frame.
    #[inline]
    pub(super) fn for_leaf(self) -> Perm {
        self.difference(Perm::OF_ENTRY).union(Perm::PRESENT)
    }

    /// What a caller asks for, as the new flags of the leaf `old`: which of these it is, and what the processor has
    /// noted, stays.
    #[inline]
    pub(super) fn for_changing(self, old: Perm) -> Perm {
        let kept = Perm::OF_ENTRY.union(Perm::BY_PROCESSOR);
        self.difference(Perm::OF_ENTRY)
            .union(old.intersection(kept))
    }

    /// Whether a translation of a present leaf with `self` allows nothing that one with `new` forbids, so that a
    /// processor may go on using it until it faults by itself.
    #[inline]
    pub(super) fn is_upgraded_by(self, new: Perm) -> bool {
        let allowed = |perm: Perm| perm.bits() ^ Perm::NO_EXECUTE.bits();
        let rights = (Perm::PRESENT | Perm::WRITE | Perm::USER | Perm::NO_EXECUTE).bits();
        let cache = Perm::WRITE_THROUGH | Perm::NO_CACHE;
        allowed(self) & !allowed(new) & rights == 0 && (self ^ new) & cache == Perm::empty()
    }
}

/// The value of a page-table entry.
#[derive(Copy, Clone, Eq, PartialEq)]
#[repr(transparent)]
pub struct Entry(u64);

impl Entry {
    /// Maps nothing.
    pub const EMPTY: Entry = Entry(0);

    /// Maps nothing for a moment: a fault is putting another frame there. The processor looks at no bit but `PRESENT`.
    pub(super) const CLAIMED: Entry = Entry(Perm::COPY_ON_WRITE.bits());

    /// The entry that maps (or, above the leaves, continues at) `pa`.
    #[inline]
    pub fn new(pa: PhysAddr, perm: Perm) -> Entry {
        debug_assert!(pa.as_u64() & !ADDRESS_BITS == 0);
        Entry(pa.as_u64() | perm.bits())
    }

    /// The entry as the word in memory.
    #[inline]
    pub const fn from_raw(raw: u64) -> Entry {
        Entry(raw)
    }

    /// The word in memory.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Where it points to.
    #[inline]
    pub const fn pa(self) -> PhysAddr {
        PhysAddr::new(self.0 & ADDRESS_BITS)
    }

    /// Whether it is a leaf that owns a reference of the frame at `pa`.
    #[inline]
    pub(super) fn owns(self, pa: PhysAddr) -> bool {
        self.pa() == pa && !self.perm().contains(Perm::BORROWED)
    }

    /// Whether a fault has it to itself for a moment.
    #[inline]
    pub fn is_claimed(self) -> bool {
        self == Entry::CLAIMED
    }

    /// Whether it is `other` but for what the processor marks.
    #[inline]
    pub(super) fn differs_in_marks_only(self, other: Entry) -> bool {
        (self.0 ^ other.0) & !Perm::BY_PROCESSOR.bits() == 0
    }

    /// Its flags.
    #[inline]
    pub const fn perm(self) -> Perm {
        Perm::from_bits_truncate(self.0 & !ADDRESS_BITS)
    }

    /// Whether it means something to the processor.
    #[inline]
    pub const fn is_present(self) -> bool {
        self.0 & Perm::PRESENT.bits() != 0
    }

    /// Whether it maps memory, as an entry of this level, rather than naming the next table.
    #[inline]
    pub const fn is_leaf(self, level: u32) -> bool {
        self.is_present() && (level == 1 || self.0 & Perm::HUGE.bits() != 0)
    }

    /// Whether it names the next table, as an entry of this level.
    #[inline]
    pub const fn is_table(self, level: u32) -> bool {
        self.is_present() && level > 1 && self.0 & Perm::HUGE.bits() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Perm;

    #[test]
    fn gaining_a_right_is_an_upgrade_and_losing_one_is_not() {
        let (read, write) = (Perm::USER_READ, Perm::USER_WRITE);
        assert!(
            read.is_upgraded_by(write) && read.is_upgraded_by(read) && !write.is_upgraded_by(read)
        );
        let data = read | Perm::NO_EXECUTE;
        assert!(data.is_upgraded_by(read) && !read.is_upgraded_by(data));
    }

    #[test]
    fn changing_how_memory_is_cached_is_not_an_upgrade() {
        let device = Perm::PRESENT | Perm::NO_CACHE;
        assert!(!Perm::PRESENT.is_upgraded_by(device) && !device.is_upgraded_by(Perm::PRESENT));
    }
}
