//! The copy loops between kernel and user memory, the window through SMAP around them, and where they recover.
//!
//! Plain 8-byte moves, up to 64 between two looks at the loop's end: under QEMU that copies a page in less time than
//! `movsq` or `rep movsq`, and in a tenth of that of `rep movsb`.

use core::sync::atomic::{AtomicU8, Ordering};

/// 1 if the CPUs have SMAP switched on: as a number, since that is what the loops test.
static HAS_SMAP: AtomicU8 = AtomicU8::new(0);

/// Says whether SMAP is on. At boot only, before the first user program; all CPUs have it, or none.
///
/// Without it `stac` and `clac` do not exist, and user memory is open to the kernel all the time.
pub fn set_smap(is_on: bool) {
    // Relaxed: written once, while there is one CPU.
    HAS_SMAP.store(is_on.into(), Ordering::Relaxed);
}

/// Copies what the register takes from `source + offset` to `destination + offset`. The access to the user's side is
/// that labelled `77`, which has an entry in the section `__ex_table`: its own address and that of label 8, both
/// relative to where the entry stores them.
macro_rules! move_at {
    ($load:literal, $store:literal, $register:literal, $offset:literal) => {
        concat!(
            $load,
            " mov {word",
            $register,
            "}, [{source} + ",
            $offset,
            "]\n",
            $store,
            " mov [{destination} + ",
            $offset,
            "], {word",
            $register,
            "}\n",
            ".pushsection __ex_table, \"aR\"\n",
            ".balign 4\n",
            ".long 77b - .\n",
            ".long 8f - .\n",
            ".popsection\n",
        )
    };
}

/// Copies `$len_bytes` bytes, a multiple of 8, and goes on behind them.
macro_rules! move_block {
    ($load:literal, $store:literal, $len_bytes:literal) => {
        concat!(
            ".set copied_bytes, 0\n",
            ".rept ",
            $len_bytes,
            " / 8\n",
            move_at!($load, $store, "", "copied_bytes"),
            ".set copied_bytes, copied_bytes + 8\n",
            ".endr\n",
            "add {source}, ",
            $len_bytes,
            "\n",
            "add {destination}, ",
            $len_bytes,
        )
    };
}

/// Generates a copy loop. The block's first and last instructions are the SMAP window, on every way out.
macro_rules! copy_loop {
    ($load:literal, $store:literal, $destination:expr, $source:expr, $len:expr) => {{
        let has_smap = HAS_SMAP.load(Ordering::Relaxed);
        let failed: u64;
        // SAFETY: 1. the loop writes `len` bytes from `destination` on and reads `len` bytes from `source` on, which
        // the caller vouches for on the kernel's side; 2. the user's side is in user space, so whatever is there is no
        // memory that Rust knows of, and a fault there leads to label 8; 3. the block leaves SMAP closed, as it found
        // it; 4. the stack is not used.
        unsafe {
            core::arch::asm!(
                "xor {failed:e}, {failed:e}",
                "test {has_smap}, {has_smap}",
                "jz 2f",
                "stac",
                "2:",
                "test {len}, -8",
                "jz 6f",
                "cmp {len}, 64",
                "jb 4f",
                "mov {count}, {len}",
                "shr {count}, 9",
                "jz 2f",
                "3:",
                move_block!($load, $store, "512"),
                "dec {count}",
                "jnz 3b",
                "2:",
                "mov {count}, {len}",
                "shr {count}, 6",
                "and {count}, 7",
                "jz 4f",
                "3:",
                move_block!($load, $store, "64"),
                "dec {count}",
                "jnz 3b",
                "4:",
                // The words that are left.
                "mov {count}, {len}",
                "shr {count}, 3",
                "and {count}, 7",
                "jz 6f",
                "5:",
                move_block!($load, $store, "8"),
                "dec {count}",
                "jnz 5b",
                "6:",
                // The bytes that are left.
                "and {len}, 7",
                "jz 9f",
                "7:",
                move_at!($load, $store, ":l", "0"),
                "inc {source}",
                "inc {destination}",
                "dec {len}",
                "jnz 7b",
                "jmp 9f",
                "8:",
                "mov {failed:e}, 1",
                "9:",
                "test {has_smap}, {has_smap}",
                "jz 2f",
                "clac",
                "2:",
                failed = out(reg) failed,
                has_smap = in(reg_byte) has_smap,
                destination = inout(reg) $destination => _,
                source = inout(reg) $source => _,
                len = inout(reg) $len => _,
                count = out(reg) _,
                word = out(reg) _,
                options(nostack),
            );
        }
        failed == 0
    }};
}

/// Copies `len_bytes` bytes from `source`, on the user's side, to `destination`. False if the user's side faulted for
/// good.
///
/// # Safety
/// 1. `destination` is `len_bytes` bytes of kernel memory that may be written.
/// 2. The `len_bytes` bytes from `source` on are in user space.
#[inline(never)]
unsafe fn copy_loop_in(destination: *mut u8, source: *const u8, len_bytes: usize) -> bool {
    copy_loop!("77:", "", destination, source, len_bytes)
}

/// Copies `len_bytes` bytes from `source` to `destination`, on the user's side. False if the user's side faulted for
/// good.
///
/// # Safety
/// 1. `source` is `len_bytes` bytes of kernel memory that may be read.
/// 2. The `len_bytes` bytes from `destination` on are in user space.
#[inline(never)]
unsafe fn copy_loop_out(destination: *mut u8, source: *const u8, len_bytes: usize) -> bool {
    copy_loop!("", "77:", destination, source, len_bytes)
}

#[cfg(target_os = "none")]
mod machine {
    use super::{RecoveryPoint, copy_loop_in, copy_loop_out};
    use core::ptr;

    /// # Safety
    /// As `copy_loop_in`, with `source` as an address.
    #[inline]
    pub(crate) unsafe fn copy_in(destination: *mut u8, source: usize, len_bytes: usize) -> bool {
        // SAFETY: 1. and 2. are passed on.
        unsafe { copy_loop_in(destination, ptr::without_provenance(source), len_bytes) }
    }

    /// # Safety
    /// As `copy_loop_out`, with `destination` as an address.
    #[inline]
    pub(crate) unsafe fn copy_out(destination: usize, source: *const u8, len_bytes: usize) -> bool {
        // SAFETY: 1. and 2. are passed on.
        unsafe { copy_loop_out(ptr::without_provenance_mut(destination), source, len_bytes) }
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

    use super::{RecoveryPoint, copy_loop_in, copy_loop_out, fixup};

    /// Copies `len` bytes between unaligned places by `copy`, and says whether these and no others have arrived.
    fn is_exact(
        copy: unsafe fn(*mut u8, *const u8, usize) -> bool,
        len: usize,
        skew: usize,
    ) -> bool {
        let source: Vec<u8> = (0..len + 32).map(|index| (index * 7 + 1) as u8).collect();
        let mut destination = vec![0xee_u8; len + 32];
        let mut expected = destination.clone();
        expected[16..16 + len].copy_from_slice(&source[skew..skew + len]);
        // SAFETY: both buffers have 32 bytes more than `len`; the skew is below 16.
        let is_copied = unsafe {
            copy(
                destination.as_mut_ptr().add(16),
                source.as_ptr().add(skew),
                len,
            )
        };
        is_copied && destination == expected
    }

    #[test]
    fn the_loops_copy_exactly_the_bytes_asked_for() {
        for len in (0..300).chain([4095, 4096, 4097, 10_000]) {
            for skew in [0, 1, 7, 8] {
                assert!(
                    is_exact(copy_loop_in, len, skew),
                    "in: {len} bytes, skew {skew}"
                );
                assert!(
                    is_exact(copy_loop_out, len, skew),
                    "out: {len} bytes, skew {skew}"
                );
            }
        }
    }

    #[test]
    fn each_user_access_of_both_loops_has_a_recovery_point_in_its_own_loop() {
        let table = super::machine::recovery_points();
        let faults: BTreeSet<usize> = table.iter().map(RecoveryPoint::fault_address).collect();
        assert_eq!(
            (table.len(), faults.len()),
            (148, 148),
            "2 loops, 64 + 8 + 1 + 1 accesses each"
        );
        for point in table {
            let distance = point.landing_address() - point.fault_address();
            assert!(
                (1..2048).contains(&distance),
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
