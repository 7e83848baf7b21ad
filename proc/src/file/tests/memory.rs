//! When there is no memory left.

use abi::{Errno, OpenFlags};
use mm::frame::{self, Frame, FrameKind, accounts};
use mm::hw::host::machine;
use mm::space::{PageSource, PageSourceError};

use super::super::{ArchiveError, Descriptors, FileTree, RegularFile, read_archive};
use super::{pattern, read, tar, write};

/// All frames but `free`.
fn take_frames_but(free: usize) -> Vec<Frame> {
    let mut taken: Vec<Frame> =
        core::iter::from_fn(|| frame::alloc(FrameKind::Anonymous).ok()).collect();
    taken.truncate(taken.len() - free);
    taken
}

#[test]
fn a_write_that_runs_out_of_memory_has_written_what_it_says() {
    let _machine = machine();
    let (tree, descriptors) = (FileTree::new().unwrap(), Descriptors::new());
    let number = descriptors
        .open(&tree, b"f", OpenFlags::READ_WRITE.with(OpenFlags::CREATE))
        .unwrap();
    let bytes = pattern(20_000, 0);
    let taken = take_frames_but(2);
    assert_eq!(write(&descriptors, number, &bytes), Ok(8192));
    assert_eq!(
        write(&descriptors, number, &bytes[8192..]),
        Err(Errno::ENOSPC)
    );
    drop(taken);
    assert_eq!(
        write(&descriptors, number, &bytes[8192..]),
        Ok(20_000 - 8192)
    );
    descriptors.seek(number as i32, 0, 0).unwrap();
    assert_eq!(read(&descriptors, number, 30_000).unwrap(), bytes);
}

#[test]
fn a_page_that_cannot_be_made_is_an_error_and_reading_needs_none() {
    let _machine = machine();
    let original: &[u8] = pattern(5000, 0).leak();
    let file = RegularFile::new(original);
    let taken = take_frames_but(0);
    let refused = file.page(1).map(|_| ());
    let mut bytes = [0; 5000];
    let len_read = file.read_at(0, &mut bytes);
    drop(taken);
    assert_eq!(refused, Err(PageSourceError::NoMemory));
    assert_eq!((len_read, &bytes[..]), (5000, original));
    assert!(file.page(1).is_ok());
}

#[test]
fn an_archive_that_does_not_fit_into_memory_is_an_error_and_leaves_nothing() {
    let _machine = machine();
    let archive = tar(&[
        ("a", b'0', &pattern(5000, 0)),
        ("b", b'0', &pattern(5000, 1)),
    ]);
    let before = accounts().in_use(FrameKind::File);
    let taken = take_frames_but(3);
    let refused = read_archive(archive).map(|_| ());
    drop(taken);
    assert_eq!(refused, Err(ArchiveError::NoMemory));
    assert_eq!(accounts().in_use(FrameKind::File), before);
}

#[test]
fn a_pipe_that_gets_no_frame_loses_nothing() {
    let _machine = machine();
    let descriptors = Descriptors::new();
    descriptors
        .pipe(|numbers| (numbers == [0, 1]).then_some(()).ok_or(Errno::EIO))
        .unwrap();
    let bytes = pattern(10_000, 0);
    let taken = take_frames_but(1);
    assert_eq!(write(&descriptors, 1, &bytes), Ok(4096));
    assert_eq!(write(&descriptors, 1, &bytes[4096..]), Err(Errno::ENOMEM));
    drop(taken);
    assert_eq!(write(&descriptors, 1, &bytes[4096..]), Ok(10_000 - 4096));
    assert_eq!(read(&descriptors, 0, 20_000).unwrap(), bytes);
}
