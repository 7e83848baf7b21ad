//! Physical and virtual addresses, pages, and ranges of user space.
//!
//! Our own types, because `x86_64::VirtAddr` knows 48 bits only. Arithmetic is checked: an address may come from a
//! user.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::error::SpaceError;

/// Bytes of the smallest page and of a frame.
pub const PAGE_SIZE: usize = 4096;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// Where user space begins with 4-level page tables, and where programs expect to be with 5 levels too.
pub const USER_START: VirtAddr = VirtAddr(0xffff_8000_0000_0000);

/// Where user space begins with 5-level page tables.
pub const USER_START_5_LEVELS: VirtAddr = VirtAddr(0xff00_0000_0000_0000);

/// The exclusive end of user space: the last page of the address space is never mapped, so that an end fits a word.
pub const USER_END: VirtAddr = VirtAddr(0xffff_ffff_ffff_f000);

/// A physical address.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(transparent)]
pub struct PhysAddr(u64);

/// A virtual address; not necessarily canonical.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(transparent)]
pub struct VirtAddr(u64);

macro_rules! address_methods {
    ($Address:ident) => {
        impl $Address {
            /// The address `value`.
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The address as a number.
            pub const fn as_u64(self) -> u64 {
                self.0
            }

            /// The address as a number of the machine's word size.
            pub const fn as_usize(self) -> usize {
                self.0 as usize
            }

            /// Whether a page starts here.
            pub const fn is_page_aligned(self) -> bool {
                self.0 % PAGE_SIZE as u64 == 0
            }

            /// The start of the page that contains this address.
            pub const fn page_align_down(self) -> Self {
                Self(self.0 & !(PAGE_SIZE as u64 - 1))
            }

            /// The first page start at or after this address, if there is one.
            pub const fn page_align_up(self) -> Option<Self> {
                match self.0.checked_add(PAGE_SIZE as u64 - 1) {
                    Some(sum) => Some(Self(sum).page_align_down()),
                    None => None,
                }
            }

            /// The distance from the start of the page that contains this address.
            pub const fn page_offset(self) -> usize {
                self.0 as usize % PAGE_SIZE
            }

            /// The address `bytes` further, if that does not wrap.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The address `bytes` before, if that does not wrap.
            pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }
        }

        impl fmt::Debug for $Address {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($Address), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $Address {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $Address {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

address_methods!(PhysAddr);
address_methods!(VirtAddr);

impl VirtAddr {
    /// Whether this address lies in user space.
    pub fn is_user(self) -> bool {
        user_start() <= self && self < USER_END
    }

    /// Whether the processor takes it for an address: all bits above those that it translates are the same.
    pub fn is_canonical(self) -> bool {
        // User space begins where the upper half of such addresses does.
        let upper_half = user_start().as_u64();
        self.0 >= upper_half || self.0 < upper_half.wrapping_neg()
    }
}

/// Where user space begins now; see [`set_user_start`].
static CURRENT_USER_START: AtomicU64 = AtomicU64::new(USER_START.0);

/// The first address of user space, which depends on the number of page-table levels.
#[inline]
pub fn user_start() -> VirtAddr {
    // Relaxed: written once at boot, before there is a second CPU or a user.
    VirtAddr(CURRENT_USER_START.load(Ordering::Relaxed))
}

/// Says with how many levels of page tables the machine runs. At boot only, before the first address space.
pub fn set_user_start(levels: u32) {
    let start = if levels == 5 {
        USER_START_5_LEVELS
    } else {
        USER_START
    };
    // Relaxed: see `user_start`.
    CURRENT_USER_START.store(start.0, Ordering::Relaxed);
}

/// Whether all `len` bytes from `addr` on lie in user space; `len` 0 needs `addr` in it or at its end.
#[inline]
pub fn is_user_bytes(addr: usize, len: usize) -> bool {
    let start = addr as u64;
    match start.checked_add(len as u64) {
        Some(end) => user_start().0 <= start && end <= USER_END.0,
        None => false,
    }
}

/// A non-empty range of whole pages in user space.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct UserRange {
    start: VirtAddr,
    end: VirtAddr,
}

impl UserRange {
    /// The range `[addr, addr + len)` as a system call names it.
    ///
    /// # Errors
    /// `Unaligned` if `addr` or `len` is not a multiple of the page size, `Empty`, `Wraps`, or `KernelHalf` if the
    /// range leaves user space; each is `EINVAL` to a system call.
    pub fn page_aligned(addr: usize, len: usize) -> Result<UserRange, SpaceError> {
        if !addr.is_multiple_of(PAGE_SIZE) || !len.is_multiple_of(PAGE_SIZE) {
            return Err(SpaceError::Unaligned);
        }
        if len == 0 {
            return Err(SpaceError::Empty);
        }
        if addr.checked_add(len).is_none() {
            return Err(SpaceError::Wraps);
        }
        if !is_user_bytes(addr, len) {
            return Err(SpaceError::KernelHalf);
        }
        let start = VirtAddr(addr as u64);
        Ok(UserRange {
            start,
            end: VirtAddr(start.0 + len as u64),
        })
    }

    /// The whole of user space.
    pub fn all() -> UserRange {
        UserRange {
            start: user_start(),
            end: USER_END,
        }
    }

    /// The first address.
    pub const fn start(self) -> VirtAddr {
        self.start
    }

    /// The address after the last.
    pub const fn end(self) -> VirtAddr {
        self.end
    }

    /// The length in bytes, never 0.
    pub const fn len_bytes(self) -> usize {
        (self.end.0 - self.start.0) as usize
    }

    /// The length in pages, never 0.
    pub const fn len_pages(self) -> usize {
        self.len_bytes() / PAGE_SIZE
    }

    /// Whether `addr` lies in the range.
    pub fn contains(self, addr: VirtAddr) -> bool {
        self.start <= addr && addr < self.end
    }

    /// Whether all of `other` lies in the range.
    pub fn covers(self, other: UserRange) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What both ranges have in common, if anything.
    pub fn intersection(self, other: UserRange) -> Option<UserRange> {
        let start = self.start.max(other.start);
        let end = self.end.min(other.end);
        (start < end).then_some(UserRange { start, end })
    }

    /// The parts below `boundary`, the start of a page, and from there on, if it is inside: then there are both.
    #[inline]
    pub fn split_at(self, boundary: VirtAddr) -> Option<(UserRange, UserRange)> {
        debug_assert!(boundary.is_page_aligned());
        let (start, end) = (self.start, self.end);
        let parts =
            [(start, boundary), (boundary, end)].map(|(start, end)| UserRange { start, end });
        (start < boundary && boundary < end).then_some(parts.into())
    }

    /// This range and `next` as one, if `next` begins where this one ends.
    pub fn joined_with(self, next: UserRange) -> Option<UserRange> {
        (self.end == next.start).then_some(UserRange {
            start: self.start,
            end: next.end,
        })
    }

    /// The addresses of the range's pages, in order.
    pub fn pages(self) -> impl Iterator<Item = VirtAddr> {
        (self.start.0..self.end.0).step_by(PAGE_SIZE).map(VirtAddr)
    }
}

impl fmt::Debug for UserRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:#x}, {:#x})", self.start.0, self.end.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE_SIZE, PhysAddr, USER_END, USER_START, UserRange, VirtAddr, is_user_bytes};
    use crate::error::SpaceError;

    const START: usize = USER_START.as_usize();

    #[test]
    fn a_user_range_is_whole_pages_inside_user_space() {
        let range = UserRange::page_aligned(START + PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
        assert_eq!(range.len_pages(), 2);
        assert_eq!(range.pages().count(), 2);
        assert!(range.contains(range.start()) && !range.contains(range.end()));
    }

    #[test]
    fn ranges_that_are_unaligned_empty_wrapping_or_outside_are_refused() {
        let last_page = USER_END.as_usize();
        for (addr, len, refusal) in [
            (START + 1, PAGE_SIZE, SpaceError::Unaligned),
            (START, PAGE_SIZE + 8, SpaceError::Unaligned),
            (START, 0, SpaceError::Empty),
            (START - PAGE_SIZE, PAGE_SIZE, SpaceError::KernelHalf),
            (0x20_0000, PAGE_SIZE, SpaceError::KernelHalf),
            (last_page - PAGE_SIZE, 2 * PAGE_SIZE, SpaceError::Wraps),
            (last_page, PAGE_SIZE, SpaceError::Wraps),
            (START, usize::MAX & !(PAGE_SIZE - 1), SpaceError::Wraps),
        ] {
            let refused = UserRange::page_aligned(addr, len);
            assert_eq!(refused, Err(refusal), "{addr:#x} {len:#x}");
        }
        assert!(UserRange::page_aligned(last_page - PAGE_SIZE, PAGE_SIZE).is_ok());
    }

    #[test]
    fn an_intersection_is_what_both_ranges_contain() {
        let low = UserRange::page_aligned(START, 4 * PAGE_SIZE).unwrap();
        let high = UserRange::page_aligned(START + 3 * PAGE_SIZE, 4 * PAGE_SIZE).unwrap();
        let both = low.intersection(high).unwrap();
        assert_eq!((both.start(), both.end()), (high.start(), low.end()));
        assert!(low.covers(both) && !low.covers(high));
        let after = UserRange::page_aligned(START + 4 * PAGE_SIZE, PAGE_SIZE).unwrap();
        assert_eq!(low.intersection(after), None);
        assert_eq!(low.joined_with(after).map(UserRange::len_pages), Some(5));
        assert_eq!(low.joined_with(high), None);
    }

    #[test]
    fn cutting_a_range_at_a_page_inside_loses_nothing() {
        let range = UserRange::page_aligned(START + PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
        let cut = |page: usize| {
            let boundary = VirtAddr::new((START + page * PAGE_SIZE) as u64);
            range.split_at(boundary)
        };
        let whole = [0, 1, 3, 4].map(cut);
        assert_eq!(whole, [None; 4]);
        let (below, above) = cut(2).unwrap();
        assert_eq!((below.len_pages(), above.len_pages()), (1, 1));
        assert_eq!(below.joined_with(above), Some(range));
    }

    #[test]
    fn user_bytes_may_not_wrap_or_touch_the_last_page() {
        assert!(is_user_bytes(START, 1));
        assert!(!is_user_bytes(START - 1, 1));
        assert!(!is_user_bytes(START, usize::MAX));
        assert!(is_user_bytes(USER_END.as_usize() - 1, 1));
        assert!(!is_user_bytes(USER_END.as_usize() - 1, 2));
    }

    #[test]
    fn aligning_up_past_the_end_of_the_address_space_is_refused() {
        assert_eq!(PhysAddr::new(1).page_align_up(), Some(PhysAddr::new(4096)));
        assert_eq!(VirtAddr::new(u64::MAX).page_align_up(), None);
        assert_eq!(
            VirtAddr::new(0x1fff).page_align_down(),
            VirtAddr::new(0x1000)
        );
    }
}
