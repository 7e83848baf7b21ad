//! Filling holes: what any number of CPUs may do to one page table at a time.

use geometry::Geometry;

use crate::error::MapError;
use crate::frame::Frame;
use crate::page_table::new_table_page;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::{Access, VmIter};

impl<'t, A: Access> VmIter<'t, A> {
    /// Maps `frame` into the hole at this position with `perm`; the mapping owns this reference of the frame.
    ///
    /// Any number of CPUs may fill holes of one table, which is private (PT-4).
    ///
    /// # Errors
    /// `AlreadyMapped` if something is mapped here (another CPU was faster, say), `OutOfRange` if the table may not map
    /// this address, `NoMemory` for a page-table page. Then nothing has changed and this reference of the frame is
    /// given back.
    #[inline(always)]
    pub fn try_fill(&mut self, frame: Frame, perm: Perm) -> Result<(), MapError> {
        if self.level > 1 {
            self.descend_to(1)?;
        }
        if !self.table.may_map(self.va) {
            return Err(MapError::OutOfRange);
        }
        assert!(
            !self.is_shared(),
            "PT-4: a hole in a shared table is filled"
        );
        let new = Entry::new(frame.pa(), perm.for_leaf());
        self.slot.fill(new).map_err(|_| MapError::AlreadyMapped)?;
        Usage::add(self.container.table.usage_word(), self.slot.index());
        // The entry owns the reference from now on (PT-2).
        let _ = frame.into_raw();
        Ok(())
    }

    /// Whether another CPU has put something into the hole at this position, or a table that leads further. Goes there.
    pub(crate) fn has_changed(&mut self) -> bool {
        let level = self.level;
        self.walk_to(self.va);
        self.level < level || self.slot.load() != Entry::EMPTY
    }

    /// Goes down to the entry of `level` for this address, adding the tables that are missing.
    ///
    /// # Errors
    /// `AlreadyMapped` if a larger leaf is in the way, `OutOfRange` if the table may not map this address.
    #[cold]
    pub(crate) fn descend_to(&mut self, level: u32) -> Result<(), MapError> {
        if !self.table.may_map(self.va) {
            return Err(MapError::OutOfRange);
        }
        assert!(
            !self.is_shared(),
            "PT-4: a hole in a shared table is filled"
        );
        while self.level > level {
            let entry = self.slot.load();
            let child = match self.container.table.child(entry, self.level) {
                Some(child) => child,
                None if entry.is_present() => return Err(MapError::AlreadyMapped),
                None => self.add_table()?,
            };
            let index = self.table.geometry().index(self.va, self.level - 1);
            self.enter_child(child, index);
        }
        Ok(())
    }

    /// Puts a new table into the hole at this position, unless another CPU is faster; then its table is returned.
    fn add_table(&mut self) -> Result<Table<'t>, MapError> {
        let new = new_table_page(self.level - 1)?;
        let entry = Entry::new(new.pa(), Perm::TABLE);
        let present = match self.slot.fill(entry) {
            Ok(()) => {
                Usage::add(self.container.table.usage_word(), self.slot.index());
                // The entry owns the table from now on (PT-1).
                let _ = new.into_raw();
                entry
            }
            Err(present) => present,
        };
        self.container
            .table
            .child(present, self.level)
            .ok_or(MapError::AlreadyMapped)
    }
}
