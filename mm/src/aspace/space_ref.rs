//! A thread's reference to its space.

use alloc::sync::Arc;

use smp::IrqOff;

use crate::addr::VirtAddr;
use crate::aspace::{AddressSpace, Base};
use crate::space::{FaultAccess, FaultError, Space};

/// An address space of any implementation. Switches and faults are direct calls of the implementation's function.
#[derive(Clone, Debug)]
pub enum SpaceRef {
    /// The one that was made at boot.
    Base,
    /// One with regions and a page table of its own.
    Paging(Arc<Space>),
}

impl SpaceRef {
    /// The space, as what all of them are.
    #[inline]
    pub fn as_dyn(&self) -> &dyn AddressSpace {
        match self {
            SpaceRef::Base => &Base,
            SpaceRef::Paging(space) => &**space,
        }
    }

    /// The space, if it has regions and a page table of its own.
    #[inline]
    pub fn paging(&self) -> Option<&Arc<Space>> {
        match self {
            SpaceRef::Base => None,
            SpaceRef::Paging(space) => Some(space),
        }
    }

    /// As [`AddressSpace::switch_to`].
    #[inline]
    pub fn switch_to(&self, off: &IrqOff) {
        match self {
            SpaceRef::Base => Base.switch_to(off),
            SpaceRef::Paging(space) => AddressSpace::switch_to(&**space, off),
        }
    }

    /// As [`AddressSpace::exception`].
    ///
    /// # Errors
    /// [`FaultError`].
    #[inline]
    pub fn exception(&self, address: VirtAddr, access: FaultAccess) -> Result<(), FaultError> {
        match self {
            SpaceRef::Base => Base.exception(address, access),
            SpaceRef::Paging(space) => space.exception(address, access),
        }
    }

    /// As [`AddressSpace::add_thread`].
    #[inline]
    pub fn add_thread(&self) {
        match self {
            SpaceRef::Base => Base.add_thread(),
            SpaceRef::Paging(space) => space.add_thread(),
        }
    }

    /// A thread leaves the space, which is destroyed if it was the last one.
    #[inline]
    pub fn leave(&self) {
        match self {
            SpaceRef::Base => {
                Base.remove_thread();
            }
            SpaceRef::Paging(space) => {
                if space.remove_thread() {
                    space.destroy();
                }
            }
        }
    }
}
