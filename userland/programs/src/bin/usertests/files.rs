//! Files, directories and descriptors.
//!
//! Nothing removes a file, so tests share two scratch files that the runner has made, and leave them empty.

use abi::{Dirent, FileKind, OpenFlags, decode};
use ulib::file::{self, File};
use ulib::{Errno, Whence, system_call};

use crate::check::{join, ok, start};
use crate::runner::tests;

/// Scratch files.
pub(crate) const SCRATCH_A: &str = "usertests.a";
pub(crate) const SCRATCH_B: &str = "usertests.b";

tests![
    what_was_written_is_read_back,
    a_file_of_the_image_can_be_read,
    a_megabyte_survives,
    offsets_are_shared_over_fork_and_dup_but_not_over_open,
    seek_counts_from_start_current_and_end,
    seek_refuses_what_has_no_meaning,
    a_gap_reads_as_zeros,
    append_writes_at_the_end,
    truncate_empties_a_file,
    open_refuses_what_it_must,
    exclusive_creation_fails_if_the_file_is_there,
    the_access_mode_is_kept,
    descriptors_are_the_lowest_free_ones,
    a_closed_descriptor_is_bad,
    descriptors_end_and_all_come_back,
    a_directory_lists_its_files,
    reading_a_directory_refuses_what_it_must,
    the_console_is_a_file_without_offset,
];

/// Makes the scratch files.
pub(crate) fn make_scratch_files() {
    for path in [SCRATCH_A, SCRATCH_B] {
        empty_scratch(path);
    }
}

/// Empties a scratch file.
pub(crate) fn empty_scratch(path: &str) {
    fill_scratch(path, &[]);
}

/// Gives a scratch file these contents.
pub(crate) fn fill_scratch(path: &str, contents: &[u8]) {
    let flags = OpenFlags::WRITE
        .with(OpenFlags::CREATE)
        .with(OpenFlags::TRUNCATE);
    ok(ok(File::open(path, flags)).write_all(contents));
}

fn open_scratch() -> File {
    ok(File::open(
        SCRATCH_A,
        OpenFlags::READ_WRITE.with(OpenFlags::TRUNCATE),
    ))
}

#[track_caller]
fn expect_rest(file: &File, expected: &[u8]) {
    let mut buffer = [0; 64];
    let len = ok(file.read_full(&mut buffer));
    assert_eq!(buffer[..len], *expected);
}

fn what_was_written_is_read_back() {
    let file = open_scratch();
    ok(file.write_all(b"one "));
    ok(file.write_all(b"two"));
    ok(file.seek(0, Whence::Start));
    expect_rest(&file, b"one two");
    assert_eq!(file.read(&mut [0]), Ok(0), "at the end");
    let again = ok(File::open("/usertests.a", OpenFlags::READ));
    expect_rest(&again, b"one two");
    empty_scratch(SCRATCH_A);
}

fn a_file_of_the_image_can_be_read() {
    let file = ok(File::open("hello", OpenFlags::READ));
    let mut start = [0; 4];
    assert_eq!(file.read_full(&mut start), Ok(4));
    assert_eq!(&start, b"\x7fELF");
}

fn a_megabyte_survives() {
    const CHUNK: usize = 10_007; // no divisor of a page
    let file = open_scratch();
    let mut chunk = alloc::vec![0; CHUNK];
    for number in 0..105_u8 {
        chunk.fill(number);
        assert_eq!(file.write(&chunk), Ok(CHUNK));
    }
    ok(file.seek(0, Whence::Start));
    for number in 0..105_u8 {
        assert_eq!(file.read_full(&mut chunk), Ok(CHUNK));
        assert!(chunk.iter().all(|&byte| byte == number), "chunk {number}");
    }
    empty_scratch(SCRATCH_A);
}

fn offsets_are_shared_over_fork_and_dup_but_not_over_open() {
    let file = open_scratch();
    ok(file.write_all(b"abcdefgh"));
    ok(file.seek(0, Whence::Start));
    let duplicate = ok(file.duplicate());
    let other = ok(File::open(SCRATCH_A, OpenFlags::READ));
    join(start(|| assert_eq!(file.read(&mut [0; 2]), Ok(2))));
    assert_eq!(duplicate.seek(0, Whence::Current), Ok(2));
    assert_eq!(duplicate.read(&mut [0; 3]), Ok(3));
    expect_rest(&file, b"fgh");
    expect_rest(&other, b"abcdefgh");
    empty_scratch(SCRATCH_A);
}

fn seek_counts_from_start_current_and_end() {
    let file = open_scratch();
    ok(file.write_all(b"0123456789"));
    assert_eq!(file.seek(4, Whence::Start), Ok(4));
    assert_eq!(file.seek(-1, Whence::Current), Ok(3));
    assert_eq!(file.seek(-3, Whence::End), Ok(7));
    expect_rest(&file, b"789");
    assert_eq!(file.seek(5, Whence::End), Ok(15));
    assert_eq!(file.read(&mut [0]), Ok(0), "behind the end");
    empty_scratch(SCRATCH_A);
}

fn seek_refuses_what_has_no_meaning() {
    let file = open_scratch();
    ok(file.write_all(b"0123456789"));
    assert_eq!(file.seek(-1, Whence::Start), Err(Errno::EINVAL));
    assert_eq!(file.seek(-11, Whence::End), Err(Errno::EINVAL));
    ok(file.seek(i64::MAX, Whence::Start));
    assert!(matches!(
        file.seek(i64::MAX, Whence::Current),
        Err(Errno::EOVERFLOW | Errno::EINVAL)
    ));
    // SAFETY: the call touches no memory.
    let result = unsafe { system_call::seek(file.descriptor(), 0, 3) };
    assert_eq!(decode(result), Err(Errno::EINVAL));
    assert_eq!(file.write(b"x"), Err(Errno::EFBIG));
    assert_eq!(
        file.seek(0, Whence::End),
        Ok(10),
        "what is refused changes nothing"
    );
    let (reader, _writer) = ok(file::pipe());
    assert_eq!(reader.seek(0, Whence::Start), Err(Errno::ESPIPE));
    drop(file);
    empty_scratch(SCRATCH_A);
}

fn a_gap_reads_as_zeros() {
    let file = open_scratch();
    ok(file.write_all(&[0xff; 6000]));
    drop(file);
    let file = open_scratch(); // cut to nothing: the old bytes must not show
    ok(file.seek(5000, Whence::Start));
    ok(file.write_all(b"!"));
    ok(file.seek(0, Whence::Start));
    let mut buffer = [1; 5001];
    assert_eq!(file.read_full(&mut buffer), Ok(5001));
    assert!(buffer[..5000].iter().all(|&byte| byte == 0) && buffer[5000] == b'!');
    empty_scratch(SCRATCH_A);
}

fn append_writes_at_the_end() {
    fill_scratch(SCRATCH_A, b"start");
    let file = ok(File::open(
        SCRATCH_A,
        OpenFlags::READ_WRITE.with(OpenFlags::APPEND),
    ));
    ok(file.write_all(b"-1"));
    ok(file.seek(0, Whence::Start));
    ok(file.write_all(b"-2"));
    ok(file.seek(0, Whence::Start));
    expect_rest(&file, b"start-1-2");
    empty_scratch(SCRATCH_A);
}

fn truncate_empties_a_file() {
    fill_scratch(SCRATCH_A, b"contents");
    let reader = ok(File::open(SCRATCH_A, OpenFlags::READ));
    drop(open_scratch());
    expect_rest(&reader, b"");
}

fn open_refuses_what_it_must() {
    let too_long = [b'x'; abi::NAME_MAX + 1];
    let cases = [
        ("nosuch", OpenFlags::READ, Errno::ENOENT),
        ("", OpenFlags::READ, Errno::ENOENT),
        (
            "nosuch/file",
            OpenFlags::WRITE.with(OpenFlags::CREATE),
            Errno::ENOENT,
        ),
        ("hello/file", OpenFlags::READ, Errno::ENOTDIR),
        ("/", OpenFlags::WRITE, Errno::EISDIR),
        ("/", OpenFlags::READ_WRITE, Errno::EISDIR),
        (
            str::from_utf8(&too_long).unwrap_or_default(),
            OpenFlags::READ,
            Errno::ENAMETOOLONG,
        ),
    ];
    for (path, flags, expected) in cases {
        assert_eq!(
            File::open(path, flags).err(),
            Some(expected),
            "'{path:.40}'"
        );
    }
    for bits in [3, 0x8000_0000, 0o4] {
        // SAFETY: the kernel only reads a string with its NUL.
        let result = unsafe { system_call::open(c"hello".as_ptr().cast(), bits) };
        assert_eq!(decode(result), Err(Errno::EINVAL), "flags {bits:#o}");
    }
}

fn exclusive_creation_fails_if_the_file_is_there() {
    let flags = OpenFlags::WRITE
        .with(OpenFlags::CREATE)
        .with(OpenFlags::EXCLUSIVE);
    assert_eq!(File::open(SCRATCH_A, flags).err(), Some(Errno::EEXIST));
    assert_eq!(File::open("hello", flags).err(), Some(Errno::EEXIST));
}

fn the_access_mode_is_kept() {
    let reader = ok(File::open(SCRATCH_A, OpenFlags::READ));
    assert_eq!(reader.write(b"x"), Err(Errno::EBADF));
    let writer = ok(File::open(SCRATCH_A, OpenFlags::WRITE));
    assert_eq!(writer.read(&mut [0]), Err(Errno::EBADF));
}

fn descriptors_are_the_lowest_free_ones() {
    let [first, second, third] = [(); 3].map(|()| ok(File::open("hello", OpenFlags::READ)));
    assert_eq!([&first, &second, &third].map(File::descriptor), [3, 4, 5]);
    ok(second.close());
    let duplicate = ok(third.duplicate());
    assert_eq!(duplicate.descriptor(), 4);
}

fn a_closed_descriptor_is_bad() {
    let closed = 3;
    for fd in [closed, -1, i32::MIN, 1 << 20, i32::MAX] {
        assert_eq!(file::close(fd), Err(Errno::EBADF), "{fd}");
        assert_eq!(file::read(fd, &mut [0]), Err(Errno::EBADF), "{fd}");
        assert_eq!(file::write(fd, &[0]), Err(Errno::EBADF), "{fd}");
        assert_eq!(file::duplicate(fd).err(), Some(Errno::EBADF), "{fd}");
        // SAFETY: no memory is touched.
        let seek = unsafe { system_call::seek(fd, 0, 0) };
        assert_eq!(decode(seek), Err(Errno::EBADF), "{fd}");
        // SAFETY: the kernel writes nothing, since there is no directory.
        let entries = unsafe { system_call::readdir(fd, core::ptr::null_mut(), 0) };
        assert_eq!(decode(entries), Err(Errno::EBADF), "{fd}");
    }
}

fn descriptors_end_and_all_come_back() {
    let mut files = alloc::vec::Vec::new();
    let error = loop {
        match file::duplicate(0) {
            Ok(file) => files.push(file),
            Err(errno) => break errno,
        }
    };
    assert_eq!(error, Errno::EMFILE);
    assert!(files.len() >= 16, "only {}", files.len());
    assert_eq!(
        File::open("hello", OpenFlags::READ).err(),
        Some(Errno::EMFILE)
    );
    assert_eq!(file::pipe().err(), Some(Errno::EMFILE));
    drop(files.pop());
    assert_eq!(
        file::pipe().err(),
        Some(Errno::EMFILE),
        "one is not enough for a pipe"
    );
    drop(files.pop());
    drop(ok(file::pipe()));
    drop(files);
    assert_eq!(ok(file::duplicate(0)).descriptor(), 3);
}

fn a_directory_lists_its_files() {
    let directory = ok(File::open("/", OpenFlags::READ));
    let mut entries = [Dirent::EMPTY; 3];
    let (mut has_hello, mut has_scratch) = (false, false);
    loop {
        let count = ok(directory.read_directory(&mut entries));
        for entry in &entries[..count] {
            assert!(!entry.name().is_empty());
            let is_file = FileKind::from_number(entry.kind) == Some(FileKind::File);
            has_hello |= entry.name() == b"hello" && is_file && entry.len > 1000;
            has_scratch |= entry.name() == SCRATCH_A.as_bytes() && is_file && entry.len == 0;
        }
        if count == 0 {
            break;
        }
    }
    assert!(
        has_hello && has_scratch,
        "hello: {has_hello}, scratch file: {has_scratch}"
    );
}

fn reading_a_directory_refuses_what_it_must() {
    let directory = ok(File::open("/", OpenFlags::READ));
    assert_eq!(directory.read(&mut [0]), Err(Errno::EISDIR));
    let mut entry = Dirent::EMPTY;
    // SAFETY: the kernel writes at most 127 bytes into the entry, which is larger.
    let result = unsafe {
        system_call::readdir(
            directory.descriptor(),
            &raw mut entry,
            size_of::<Dirent>() - 1,
        )
    };
    assert_eq!(decode(result), Err(Errno::EINVAL));
    let file = ok(File::open("hello", OpenFlags::READ));
    assert_eq!(file.read_directory(&mut [entry]), Err(Errno::ENOTDIR));
    let (reader, _writer) = ok(file::pipe());
    assert_eq!(reader.read_directory(&mut [entry]), Err(Errno::ENOTDIR));
}

fn the_console_is_a_file_without_offset() {
    assert_eq!(file::write(1, &[]), Ok(0));
    let console = ok(file::duplicate(1));
    assert_eq!(console.seek(0, Whence::Current), Err(Errno::ESPIPE));
    assert_eq!(console.write(b""), Ok(0));
}
