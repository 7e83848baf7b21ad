use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use abi::{Errno, OpenFlags};
use mm::frame::{FrameKind, accounts};
use mm::hw::host::machine;
use mm::space::{PageSource, PageSourceError};
use smp::cpu::CpuId;

use super::super::{
    Descriptors, MAX_FILE_BYTES, ReadBuffer, RegularFile, WriteBuffer, WriteFrom, Written,
};
use super::pattern;

fn file(contents: &[u8]) -> RegularFile {
    RegularFile::new(contents.to_vec().leak())
}

fn write(file: &RegularFile, offset: u64, bytes: &[u8]) -> Result<Written, Errno> {
    file.write(WriteFrom::Offset(offset), &mut WriteBuffer::Kernel(bytes))
}

fn read(file: &RegularFile, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    let len = file
        .read(offset, &mut ReadBuffer::Kernel(&mut bytes))
        .unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn reading_needs_no_frames_and_a_page_that_is_mapped_gets_one() {
    let _machine = machine();
    let original = pattern(9000, 0);
    let file = file(&original);
    let before = accounts().in_use(FrameKind::File);
    assert_eq!(read(&file, 0, 10_000), original);
    assert_eq!(accounts().in_use(FrameKind::File), before);
    let page = file.page(2).unwrap();
    assert_eq!(accounts().in_use(FrameKind::File), before + 1);
    let mut bytes = [0xee; 4096];
    page.read_bytes(0, &mut bytes);
    assert_eq!(bytes[..9000 - 8192], original[8192..]);
    assert_eq!(bytes[9000 - 8192..], [0; 4096][9000 - 8192..]);
    drop((page, file));
    assert_eq!(accounts().in_use(FrameKind::File), before);
}

#[test]
fn a_page_that_is_asked_for_while_the_file_is_cut_does_not_stay_behind_its_end() {
    static CONTENTS: [u8; 16384] = [7; 16384];
    let _machine = machine();
    let before = accounts().in_use(FrameKind::File);
    let files: Vec<_> = (0..20_000).map(|_| RegularFile::new(&CONTENTS)).collect();
    let (asked, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            smp::host::become_cpu(CpuId::new(1));
            for (index, file) in files.iter().enumerate() {
                while asked.load(Ordering::Acquire) <= index {}
                drop(file.page(3));
                answered.store(index + 1, Ordering::Release);
            }
        });
        for (index, file) in files.iter().enumerate() {
            asked.store(index + 1, Ordering::Release);
            // At another moment each time.
            (0..index % 64).for_each(|_| hint::spin_loop());
            file.truncate();
            while answered.load(Ordering::Acquire) <= index {}
        }
    });
    assert_eq!(accounts().in_use(FrameKind::File), before);
}

#[test]
fn everybody_who_maps_a_page_has_the_same_frame_and_sees_what_is_written() {
    let _machine = machine();
    let file = file(&pattern(5000, 0));
    let (one, other) = (file.page(1).unwrap(), file.page(1).unwrap());
    assert_eq!(one.pa(), other.pa());
    write(&file, 4096, b"new").unwrap();
    let mut bytes = [0; 3];
    other.read_bytes(0, &mut bytes);
    assert_eq!(&bytes, b"new");
}

/// As the processor does for whoever has the page mapped shared.
fn store(file: &RegularFile, page: u64, offset: usize, bytes: &[u8]) {
    file.page(page).unwrap().write_bytes(offset, bytes);
}

#[test]
fn what_a_mapping_stores_behind_the_end_does_not_become_part_of_the_file() {
    let _machine = machine();
    let file = file(b"12345");
    store(&file, 0, 3, b"xxxx");
    assert_eq!(read(&file, 0, 100), b"123xx");
    write(&file, 8, b"9").unwrap();
    assert_eq!(read(&file, 0, 100), b"123xx\0\0\09");
    store(&file, 0, 9, b"yyyy");
    write(&file, 5000, b"z").unwrap();
    assert_eq!(read(&file, 8, 100)[..5], *b"9\0\0\0\0");
}

#[test]
fn pages_behind_the_end_are_refused() {
    let _machine = machine();
    let file = file(&pattern(4096, 0));
    assert!(file.page(0).is_ok());
    for index in [1, u64::MAX / 4096, u64::MAX] {
        assert_eq!(
            file.page(index).map(|_| ()),
            Err(PageSourceError::PastEnd),
            "{index}"
        );
    }
}

#[test]
fn a_gap_before_a_write_reads_as_zeroes() {
    let _machine = machine();
    let file = file(b"start");
    let written = write(&file, 10_000, b"end").unwrap();
    assert_eq!(
        written,
        Written {
            len: 3,
            end: 10_003
        }
    );
    let bytes = read(&file, 0, 20_000);
    assert_eq!(
        (&bytes[..5], &bytes[10_000..]),
        (&b"start"[..], &b"end"[..])
    );
    assert!(bytes[5..10_000].iter().all(|&byte| byte == 0));
}

#[test]
fn a_file_that_was_cut_does_not_show_old_bytes_when_it_grows_again() {
    let _machine = machine();
    let file = file(&pattern(9000, 0));
    write(&file, 100, b"written").unwrap();
    let mapped = file.page(0).unwrap();
    file.truncate();
    assert_eq!((file.len_bytes(), read(&file, 0, 10)), (0, vec![]));
    write(&file, 8999, b"x").unwrap();
    assert!(read(&file, 0, 8999).iter().all(|&byte| byte == 0));
    // Who had the page keeps it.
    let mut bytes = [0; 7];
    mapped.read_bytes(100, &mut bytes);
    assert_eq!(&bytes, b"written");
    assert_ne!(file.page(0).unwrap().pa(), mapped.pa());
}

#[test]
fn a_write_stops_at_the_size_limit() {
    let _machine = machine();
    let file = file(b"");
    assert_eq!(
        write(&file, MAX_FILE_BYTES - 2, b"abc"),
        Ok(Written {
            len: 2,
            end: MAX_FILE_BYTES
        })
    );
    for offset in [MAX_FILE_BYTES, u64::MAX] {
        assert_eq!(write(&file, offset, b"c"), Err(Errno::EFBIG), "{offset}");
        assert_eq!(read(&file, offset, 1), []);
    }
    assert_eq!(
        write(&file, u64::MAX, b""),
        Ok(Written {
            len: 0,
            end: u64::MAX
        })
    );
    assert_eq!(
        (file.len_bytes(), read(&file, MAX_FILE_BYTES - 2, 9)),
        (MAX_FILE_BYTES, b"ab".to_vec())
    );
}

#[test]
fn opening_a_file_to_cut_it_needs_the_right_to_write() {
    let _machine = machine();
    let tree = super::read_archive(super::tar(&[("a", b'0', b"contents")])).unwrap();
    let descriptors = Descriptors::new();
    let refused = descriptors.open(&tree, b"a", OpenFlags::READ.with(OpenFlags::TRUNCATE));
    assert_eq!(refused, Err(Errno::EINVAL));
    assert_eq!(super::contents(&tree, "a").unwrap(), b"contents");
    descriptors
        .open(&tree, b"a", OpenFlags::WRITE.with(OpenFlags::TRUNCATE))
        .unwrap();
    assert_eq!(super::contents(&tree, "a").unwrap(), b"");
}
