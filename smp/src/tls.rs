//! The base of FS, by which a user thread finds what is its own (thread-local storage).
//!
//! Users cannot set it themselves, but by loading a selector into FS they can make it 0. So it is known what it is only
//! if it was set to 0, and then it need not be set again.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::hw;
use crate::percpu::PerCpuBlock;

/// An address that FS may point to.
#[derive(Copy, Clone, Eq, PartialEq, Default, Debug)]
pub struct TlsBase(u64);

impl TlsBase {
    /// `address` as a base; none if it is not canonical, which the processor would not take.
    pub fn new(address: u64) -> Option<TlsBase> {
        let unused_bits = u64::BITS - hw::virtual_address_bits();
        let canonical = ((address << unused_bits) as i64 >> unused_bits) as u64;
        (canonical == address).then_some(TlsBase(address))
    }
}

/// A base that its thread changes.
#[derive(Default, Debug)]
pub struct AtomicTlsBase(AtomicU64);

impl AtomicTlsBase {
    /// A place with this base.
    pub const fn new(base: TlsBase) -> AtomicTlsBase {
        AtomicTlsBase(AtomicU64::new(base.0))
    }

    /// The base.
    #[inline]
    pub fn get(&self) -> TlsBase {
        // Relaxed: the thread writes it, and the CPU that runs the thread reads it.
        TlsBase(self.0.load(Ordering::Relaxed))
    }

    /// Changes it.
    pub fn set(&self, base: TlsBase) {
        // Relaxed: see `get`.
        self.0.store(base.0, Ordering::Relaxed);
    }
}

/// Sets the base on this CPU, whose block is `block`, for the user thread that it runs.
#[inline]
pub(crate) fn load(base: TlsBase, block: &PerCpuBlock) {
    let loaded = &block.tls_base;
    // Relaxed: read and written by this CPU only.
    if base.0 | loaded.load(Ordering::Relaxed) != 0 {
        loaded.store(base.0, Ordering::Relaxed);
        // SAFETY: `TlsBase` is canonical.
        unsafe { hw::set_fs_base(base.0) };
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;

    use super::{TlsBase, load};
    use crate::{percpu, pin};

    #[test]
    fn only_canonical_addresses_can_be_bases() {
        for address in [0, 1, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000, u64::MAX] {
            assert_eq!(TlsBase::new(address), Some(TlsBase(address)));
        }
        for address in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
            assert_eq!(TlsBase::new(address), None);
        }
    }

    #[test]
    fn a_base_of_zero_replaces_another() {
        let pin = pin::pin();
        for address in [0x1000, 0] {
            let block = percpu::own_block(&pin);
            load(TlsBase::new(address).unwrap(), block);
            let loaded = block.tls_base.load(Ordering::Relaxed);
            assert_eq!(loaded, address);
        }
    }
}
