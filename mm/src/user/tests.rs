use std::sync::Arc;
use std::vec::Vec;

use smp::{SpinLock, irq, rank};

use super::{BadUserAddress, UserPtr, UserSlice, UserString, UserStringError, copy_out_prefix};
use crate::addr::{PAGE_SIZE, USER_END, USER_START, UserRange};
use crate::frame::{FrameKind, alloc_zeroed};
use crate::hw::host::{Machine, machine};
use crate::hw::user_access::host::on_page_fault;
use crate::space::{FaultAccess, Protection, Region, RegionFlags, Space, activate};

const START: usize = USER_START.as_usize();

/// A user whose pages are at `START`; the page behind the last is not there.
struct User {
    // Dropped in this order.
    space: Arc<Space>,
    _machine: Machine,
}

/// A user with `len_pages` writable pages, which come in when they are touched.
fn user_with(len_pages: usize) -> User {
    let _machine = machine();
    let space = Space::new().unwrap();
    activate(&space, &irq::disable());
    let faulting = Arc::downgrade(&space);
    on_page_fault(move |address, write| {
        let access = FaultAccess {
            write,
            ..FaultAccess::READ
        };
        faulting
            .upgrade()
            .is_some_and(|space| space.fault(address, access).is_ok())
    });
    let user = User { space, _machine };
    user.add(0, len_pages, Protection::WRITE);
    user
}

impl User {
    fn add(&self, page: usize, len_pages: usize, protection: Protection) {
        let range =
            UserRange::page_aligned(START + page * PAGE_SIZE, len_pages * PAGE_SIZE).unwrap();
        self.space
            .add(Region::anonymous(range, protection, RegionFlags::empty()))
            .unwrap();
    }

    fn store(&self, address: usize, bytes: &[u8]) {
        assert_eq!(
            UserSlice::new(address, bytes.len())
                .unwrap()
                .copy_out(bytes),
            Ok(bytes.len())
        );
    }

    fn load(&self, address: usize, len_bytes: usize) -> Vec<u8> {
        let mut bytes = vec![0xee; len_bytes];
        assert_eq!(
            UserSlice::new(address, len_bytes)
                .unwrap()
                .copy_in(&mut bytes),
            Ok(len_bytes)
        );
        bytes
    }
}

#[test]
fn values_are_written_and_read_back_at_any_alignment_and_across_pages() {
    let _user = user_with(3);
    for address in [
        START,
        START + 1,
        START + PAGE_SIZE - 3,
        START + 3 * PAGE_SIZE - 8,
    ] {
        let pointer = UserPtr::<u64>::new(address);
        assert_eq!(pointer.write(0x1122_3344_5566_7788), Ok(()));
        assert_eq!(pointer.read(), Ok(0x1122_3344_5566_7788));
        assert_eq!(UserPtr::<u8>::new(address).read(), Ok(0x88));
    }
}

#[test]
fn addresses_outside_of_user_space_are_refused() {
    let _user = user_with(1);
    let kernel = 0x20_0000;
    for address in [
        0,
        8,
        kernel,
        START - 8,
        START - 1,
        USER_END.as_usize() - 7,
        USER_END.as_usize(),
        usize::MAX,
        usize::MAX - 7,
    ] {
        assert_eq!(
            UserPtr::<u64>::new(address).read(),
            Err(BadUserAddress),
            "{address:#x}"
        );
        assert_eq!(
            UserPtr::<u64>::new(address).write(1),
            Err(BadUserAddress),
            "{address:#x}"
        );
        assert_eq!(
            UserSlice::new(address, 8),
            Err(BadUserAddress),
            "{address:#x}"
        );
        let string = UserString::new(address).copy_in(&mut [0; 16]).map(|_| ());
        assert_eq!(string, Err(UserStringError::BadAddress), "{address:#x}");
    }
    assert_eq!(UserSlice::new(START, usize::MAX), Err(BadUserAddress));
    assert_eq!(
        UserSlice::new(START, USER_END.as_usize() - START + 1),
        Err(BadUserAddress)
    );
    assert!(UserSlice::new(START, USER_END.as_usize() - START).is_ok());
}

#[test]
fn a_slice_without_bytes_may_be_anywhere() {
    let _user = user_with(1);
    for address in [0, START, usize::MAX] {
        let slice = UserSlice::new(address, 0).unwrap();
        assert_eq!(
            (slice.copy_in(&mut [1, 2]), slice.copy_out(&[1, 2])),
            (Ok(0), Ok(0))
        );
        assert_eq!(copy_out_prefix(slice, &1_u64), Ok(()));
    }
}

#[test]
fn a_copy_that_reaches_a_page_that_is_not_there_fails() {
    let user = user_with(1);
    let end = START + PAGE_SIZE;
    user.store(end - 4, b"last");
    assert_eq!(user.load(end - 4, 4), b"last");
    assert_eq!(UserPtr::<u64>::new(end - 4).read(), Err(BadUserAddress));
    assert_eq!(UserPtr::<u64>::new(end - 4).write(0), Err(BadUserAddress));
    assert_eq!(
        UserSlice::new(end - 100, 200)
            .unwrap()
            .copy_in(&mut [0; 200]),
        Err(BadUserAddress)
    );
    assert_eq!(
        UserSlice::new(end, 1).unwrap().copy_out(&[1]),
        Err(BadUserAddress)
    );
}

#[test]
fn memory_that_the_user_may_not_write_is_not_written_for_him() {
    let user = user_with(1);
    user.add(4, 1, Protection::empty());
    let read_only = UserPtr::<u32>::new(START + 4 * PAGE_SIZE);
    assert_eq!(read_only.read(), Ok(0));
    assert_eq!(read_only.write(1), Err(BadUserAddress));
    assert_eq!(read_only.read(), Ok(0));
}

#[test]
fn a_copy_moves_no_more_than_both_sides_have() {
    let user = user_with(1);
    user.store(START, b"0123456789");
    let mut small = [0; 3];
    assert_eq!(
        UserSlice::new(START, 10).unwrap().copy_in(&mut small),
        Ok(3)
    );
    assert_eq!(&small, b"012");
    assert_eq!(UserSlice::new(START, 2).unwrap().copy_out(b"abcdef"), Ok(2));
    assert_eq!(user.load(START, 5), b"ab234");
}

#[test]
fn the_parts_of_a_slice_are_the_whole() {
    let user = user_with(1);
    user.store(START, b"0123456789");
    let (front, rest) = UserSlice::new(START, 10).unwrap().split_at(4);
    let mut bytes = [0; 10];
    assert_eq!((front.len(), rest.len()), (4, 6));
    assert_eq!(
        (
            front.copy_in(&mut bytes[..4]),
            rest.copy_in(&mut bytes[4..])
        ),
        (Ok(4), Ok(6))
    );
    assert_eq!(&bytes, b"0123456789");
    let (all, nothing) = rest.split_at(100);
    assert_eq!((all.len(), nothing.is_empty()), (6, true));
}

#[test]
fn a_prefix_of_a_structure_leaves_the_bytes_behind_it() {
    let user = user_with(1);
    user.store(START, &[0xff; 8]);
    assert_eq!(
        copy_out_prefix(UserSlice::new(START, 2).unwrap(), &0x1122_3344_u32),
        Ok(())
    );
    assert_eq!(user.load(START, 4), [0x44, 0x33, 0xff, 0xff]);
    assert_eq!(
        copy_out_prefix(UserSlice::new(START, 100).unwrap(), &0x1122_3344_u32),
        Ok(())
    );
    assert_eq!(user.load(START, 6), [0x44, 0x33, 0x22, 0x11, 0xff, 0xff]);
}

#[test]
fn a_frame_takes_and_gives_bytes_at_any_offset() {
    let user = user_with(2);
    let frame = alloc_zeroed(FrameKind::Pipe).unwrap();
    user.store(START + PAGE_SIZE - 2, b"abcde");
    let slice = UserSlice::new(START + PAGE_SIZE - 2, 5).unwrap();
    assert_eq!(slice.copy_in_frame(&frame, PAGE_SIZE - 5), 5);
    assert_eq!(
        UserSlice::new(START, 4)
            .unwrap()
            .copy_out_frame(&frame, PAGE_SIZE - 4),
        Ok(())
    );
    assert_eq!(user.load(START, 4), b"bcde");
}

#[test]
#[should_panic(expected = "of a frame")]
fn a_copy_beyond_the_end_of_a_frame_panics() {
    let _user = user_with(1);
    let frame = alloc_zeroed(FrameKind::Pipe).unwrap();
    let _ = UserSlice::new(START, 2)
        .unwrap()
        .copy_in_frame(&frame, PAGE_SIZE - 1);
}

/// The string at `address` with a buffer of `len_buffer` bytes, or why there is none.
fn string_at(address: usize, len_buffer: usize) -> Result<Vec<u8>, UserStringError> {
    let mut buffer = vec![0xee; len_buffer];
    UserString::new(address)
        .copy_in(&mut buffer)
        .map(<[u8]>::to_vec)
}

#[test]
fn strings_of_all_lengths_arrive_without_their_nul() {
    let user = user_with(2);
    for len in [0, 1, 7, 62, 63, 64, 65, 127, 128, 1000] {
        for address in [START, START + 5, START + PAGE_SIZE - 30] {
            let text: Vec<u8> = (0..len).map(|index| b'a' + (index % 26) as u8).collect();
            user.store(address, &[&text[..], b"\0behind"].concat());
            assert_eq!(string_at(address, len + 1), Ok(text.clone()), "{len} bytes");
            assert_eq!(string_at(address, 2000), Ok(text), "{len} bytes, much room");
        }
    }
}

#[test]
fn a_string_that_does_not_fit_with_its_nul_is_too_long() {
    let user = user_with(1);
    user.store(START + 60, b"0123456789\0");
    assert_eq!(string_at(START + 60, 11).unwrap(), b"0123456789");
    for len_buffer in [0, 1, 4, 5, 10] {
        assert_eq!(
            string_at(START + 60, len_buffer),
            Err(UserStringError::TooLong),
            "{len_buffer}"
        );
    }
}

#[test]
fn a_string_may_end_with_the_last_byte_before_a_hole_but_not_go_on_into_it() {
    let user = user_with(1);
    let end = START + PAGE_SIZE;
    user.store(end - 4, b"abc\0");
    assert_eq!(string_at(end - 4, 100).unwrap(), b"abc");
    user.store(end - 4, b"abcd");
    assert_eq!(string_at(end - 4, 100), Err(UserStringError::BadAddress));
    assert_eq!(string_at(end - 4, 4), Err(UserStringError::TooLong));
}

#[test]
fn the_last_page_of_user_space_works_to_its_last_byte() {
    let user = user_with(1);
    let last = (USER_END.as_usize() - START) / PAGE_SIZE - 1;
    user.add(last, 1, Protection::WRITE);
    user.store(USER_END.as_usize() - 4, b"end\0");
    assert_eq!(string_at(USER_END.as_usize() - 4, 100).unwrap(), b"end");
    user.store(USER_END.as_usize() - 4, b"end!");
    assert_eq!(
        string_at(USER_END.as_usize() - 4, 100),
        Err(UserStringError::BadAddress)
    );
}

#[test]
#[should_panic(expected = "with interrupts off")]
fn a_copy_with_interrupts_off_is_a_bug() {
    let _user = user_with(1);
    let _off = irq::disable();
    let _ = UserPtr::<u8>::new(START).read();
}

#[test]
#[should_panic(expected = "lock")]
fn a_copy_with_a_lock_held_is_a_bug() {
    let _user = user_with(1);
    let lock = SpinLock::<(), rank::File>::new(());
    let _guard = lock.lock();
    let _ = UserPtr::<u8>::new(START).read();
}
