//! The copy between kernel and user memory, the window through SMAP around it, and where it recovers.
//!
//! `rep movsq` takes half the instructions of a loop of moves, as QEMU counts them, and is what processors are quick at.
//! By the clock QEMU takes a third longer for it; `rep movsb`, which takes it eight times as long, is for the last bytes.

use core::sync::atomic::{AtomicU8, Ordering};

/// 1 if the CPUs have SMAP switched on: as a number, since that is what the copy tests.
static HAS_SMAP: AtomicU8 = AtomicU8::new(0);

const WORD_BYTES: usize = size_of::<u64>();

/// Says whether SMAP is on. At boot only, before the first user program; all CPUs have it, or none.
///
/// Without it `stac` and `clac` do not exist, and user memory is open to the kernel all the time.
pub fn set_smap(is_on: bool) {
    // Relaxed: written once, while there is one CPU.
    HAS_SMAP.store(is_on.into(), Ordering::Relaxed);
}

/// Copies `len_bytes` bytes from `source` to `destination`, of which one is on the user's side. Returns how many: fewer
/// if that faulted for good. Nothing beyond them has been touched.
///
/// # Safety
/// 1. The one on the kernel's side is `len_bytes` bytes of kernel memory that may be read, or written.
/// 2. The `len_bytes` bytes from the other one on are in user space.
#[inline(never)]
unsafe fn copy_bytes(destination: *mut u8, source: *const u8, len_bytes: usize) -> usize {
    // Relaxed: as in `set_smap`.
    let has_smap = HAS_SMAP.load(Ordering::Relaxed);
    let end: *mut u8;
    // SAFETY: 1. it writes `len_bytes` bytes from `destination` on and reads as many from `source` on, which the caller
    // vouches for on the kernel's side; 2. the user's side is in user space, so whatever is there is no memory that Rust
    // knows of, and a fault at 5 or 6 leads to 7, with RDI behind what has been stored; 3. the block leaves SMAP
    // closed, as it found it; 4. the stack is not used.
    unsafe {
        core::arch::asm!(
            "test {has_smap}, {has_smap}",
            "jz 2f",
            "stac",
            "2:",
            "5:",
            "rep movsq",
            "mov ecx, {rest:e}",
            "6:",
            "rep movsb",
            "7:",
            "test {has_smap}, {has_smap}",
            "jz 2f",
            "clac",
            "2:",
            ".pushsection __ex_table, \"aR\"",
            ".balign 4",
            ".long 5b - .",
            ".long 7b - .",
            ".long 6b - .",
            ".long 7b - .",
            ".popsection",
            has_smap = in(reg_byte) has_smap,
            rest = in(reg) len_bytes % WORD_BYTES,
            inout("rcx") len_bytes / WORD_BYTES => _,
            inout("rsi") source => _,
            inout("rdi") destination => end,
            options(nostack),
        );
    }
    end.addr() - destination.addr()
}

#[cfg(target_os = "none")]
mod machine {
    use super::{RecoveryPoint, copy_bytes};
    use core::ptr;

    /// # Safety
    /// As `copy_bytes`, with `source` as an address.
    #[inline]
    pub(crate) unsafe fn copy_in(destination: *mut u8, source: usize, len_bytes: usize) -> usize {
        // SAFETY: 1. and 2. are passed on.
        unsafe { copy_bytes(destination, ptr::without_provenance(source), len_bytes) }
    }

    /// # Safety
    /// As `copy_bytes`, with `destination` as an address.
    #[inline]
    pub(crate) unsafe fn copy_out(
        destination: usize,
        source: *const u8,
        len_bytes: usize,
    ) -> usize {
        // SAFETY: 1. and 2. are passed on.
        unsafe { copy_bytes(ptr::without_provenance_mut(destination), source, len_bytes) }
    }

    unsafe extern "C" {
        /// The linker script puts these around the section `__ex_table`.
        static __ex_table_start: [RecoveryPoint; 0];
        static __ex_table_end: [RecoveryPoint; 0];
    }

    pub(super) fn recovery_points() -> &'static [RecoveryPoint] {
        let start = (&raw const __ex_table_start).cast::<RecoveryPoint>();
        let end = (&raw const __ex_table_end).cast::<RecoveryPoint>();
        let len = (end.addr() - start.addr()) / size_of::<RecoveryPoint>();
        // SAFETY: 1. between the two symbols lies the section, which holds nothing but entries of two 32-bit words; 2.
        // it is in read-only memory and never unmapped.
        unsafe { core::slice::from_raw_parts(start, len) }
    }
}

#[cfg(not(target_os = "none"))]
pub mod host;
#[cfg(not(target_os = "none"))]
use host as machine;

pub(crate) use machine::{copy_in, copy_out};

/// An entry of the exception table: where a fault may happen, and where to go on then, each relative to its own field.
#[repr(C)]
struct RecoveryPoint {
    fault: i32,
    landing: i32,
}

impl RecoveryPoint {
    fn fault_address(&self) -> usize {
        (&raw const self.fault)
            .addr()
            .wrapping_add_signed(self.fault as isize)
    }

    fn landing_address(&self) -> usize {
        (&raw const self.landing)
            .addr()
            .wrapping_add_signed(self.landing as isize)
    }

    fn find(table: &[RecoveryPoint], rip: usize) -> Option<usize> {
        table
            .iter()
            .find(|point| point.fault_address() == rip)
            .map(RecoveryPoint::landing_address)
    }
}

/// Where to go on if the instruction at `rip`, in the kernel, has faulted and nobody could repair it: `None` unless it
/// is one that touches user memory, and then the fault is a bug of the kernel.
///
/// For the handlers of page faults, and of general-protection and stack faults, which are what a non-canonical address
/// causes.
pub fn fixup(rip: usize) -> Option<usize> {
    RecoveryPoint::find(machine::recovery_points(), rip)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{RecoveryPoint, copy_bytes, fixup};

    /// Copies `len` bytes between unaligned places, and says whether these and no others have arrived.
    fn is_exact(len: usize, skew: usize) -> bool {
        let source: Vec<u8> = (0..len + 32).map(|index| (index * 7 + 1) as u8).collect();
        let mut destination = vec![0xee_u8; len + 32];
        let mut expected = destination.clone();
        expected[16..16 + len].copy_from_slice(&source[skew..skew + len]);
        // SAFETY: both buffers have 32 bytes more than `len`; the skew is below 16.
        let copied = unsafe {
            copy_bytes(
                destination.as_mut_ptr().add(16),
                source.as_ptr().add(skew),
                len,
            )
        };
        copied == len && destination == expected
    }

    #[test]
    fn exactly_the_bytes_asked_for_are_copied() {
        for len in (0..300).chain([4095, 4096, 4097, 10_000]) {
            for skew in [0, 1, 7, 8] {
                assert!(is_exact(len, skew), "{len} bytes, skew {skew}");
            }
        }
    }

    #[test]
    fn both_accesses_have_a_recovery_point_behind_them() {
        let table = super::machine::recovery_points();
        let faults: BTreeSet<usize> = table.iter().map(RecoveryPoint::fault_address).collect();
        assert_eq!((table.len(), faults.len()), (2, 2), "words and bytes");
        for point in table {
            let distance = point.landing_address() - point.fault_address();
            assert!(
                (1..16).contains(&distance),
                "from {:#x} on by {distance}",
                point.fault_address()
            );
            assert_eq!(fixup(point.fault_address()), Some(point.landing_address()));
            assert_eq!(fixup(point.fault_address() + 1), None);
        }
    }

    #[test]
    fn an_address_that_is_in_no_entry_has_no_landing() {
        let point = RecoveryPoint {
            fault: 0x40,
            landing: -0x40,
        };
        let table = [point];
        let start = table.as_ptr().addr();
        assert_eq!(
            RecoveryPoint::find(&table, start + 0x40),
            Some(start + 4 - 0x40)
        );
        assert_eq!(RecoveryPoint::find(&table, start + 0x41), None);
        assert_eq!(RecoveryPoint::find(&[], start + 0x40), None);
    }
}
