use abi::{Errno, OpenFlags};
use mm::frame::{FrameKind, accounts};
use mm::hw::host::machine;
use mm::space::Sharing;

use super::super::{Descriptors, FileTree, MAX_DESCRIPTORS, ReadBuffer, WriteBuffer, read_archive};
use super::{pattern, read, tar, write};

fn tree() -> FileTree {
    read_archive(tar(&[("f", b'0', b"0123456789"), ("d/", b'5', b"")])).unwrap()
}

fn pipe(descriptors: &Descriptors) -> [usize; 2] {
    let mut numbers = [0; 2];
    let store = |made: [i32; 2]| {
        numbers = made.map(|number| number as usize);
        Ok(())
    };
    descriptors.pipe(store).unwrap();
    numbers
}

#[test]
fn each_new_descriptor_is_the_lowest_that_is_free() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let open = || descriptors.open(&tree, b"f", OpenFlags::READ).unwrap();
    assert_eq!([open(), open(), open(), open()], [0, 1, 2, 3]);
    assert_eq!((descriptors.close(2), descriptors.close(0)), (Ok(0), Ok(0)));
    assert_eq!(descriptors.dup(3), Ok(0));
    assert_eq!(pipe(&descriptors), [2, 4]);
}

#[test]
fn numbers_that_are_not_open_are_refused_by_every_operation() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let number = descriptors
        .open(&tree, b"f", OpenFlags::READ_WRITE)
        .unwrap() as i32;
    descriptors.close(number).unwrap();
    for number in [number, 1, -1, i32::MAX, i32::MIN, 1024] {
        assert_eq!(descriptors.close(number), Err(Errno::EBADF), "{number}");
        assert_eq!(descriptors.dup(number), Err(Errno::EBADF), "{number}");
        assert_eq!(
            descriptors.read(number, ReadBuffer::Kernel(&mut [])),
            Err(Errno::EBADF),
            "{number}"
        );
        assert_eq!(
            descriptors.write(number, WriteBuffer::Kernel(&[])),
            Err(Errno::EBADF),
            "{number}"
        );
        assert_eq!(
            descriptors.seek(number, 0, 0),
            Err(Errno::EBADF),
            "{number}"
        );
        assert_eq!(
            descriptors.readdir(number, ReadBuffer::Kernel(&mut [])),
            Err(Errno::EBADF),
            "{number}"
        );
    }
}

#[test]
fn a_mapping_needs_a_regular_file_that_is_open_for_what_it_does() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let source = |number: usize, sharing| {
        let file = descriptors.file(number as i32).unwrap();
        let source = file.page_source(sharing);
        source.map(|source| (source.len_bytes(), source.is_read_only()))
    };
    for (flags, expected) in [
        (OpenFlags::READ, [Ok((10, false)), Ok((10, true))]),
        (OpenFlags::WRITE, [Err(Errno::EACCES); 2]),
        (OpenFlags::READ_WRITE, [Ok((10, false)); 2]),
    ] {
        let number = descriptors.open(&tree, b"f", flags).unwrap();
        assert_eq!(
            [Sharing::Private, Sharing::Shared].map(|sharing| source(number, sharing)),
            expected
        );
    }
    let directory = descriptors.open(&tree, b"d", OpenFlags::READ).unwrap();
    let [reader, writer] = pipe(&descriptors);
    for number in [directory, reader, writer] {
        assert_eq!(
            source(number, Sharing::Private),
            Err(Errno::ENODEV),
            "{number}"
        );
    }
}

#[test]
fn an_open_file_does_only_what_it_was_opened_for() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let open = |path: &[u8], flags| descriptors.open(&tree, path, flags);
    let (reader, writer) = (
        open(b"f", OpenFlags::READ).unwrap(),
        open(b"f", OpenFlags::WRITE).unwrap(),
    );
    assert_eq!(write(&descriptors, reader, b"x"), Err(Errno::EBADF));
    assert_eq!(read(&descriptors, writer, 1), Err(Errno::EBADF));
    assert_eq!(
        descriptors.readdir(reader as i32, ReadBuffer::Kernel(&mut [0; 128])),
        Err(Errno::ENOTDIR)
    );
    assert_eq!(open(b"d", OpenFlags::READ_WRITE), Err(Errno::EISDIR));
    let directory = open(b"d", OpenFlags::READ).unwrap();
    assert_eq!(read(&descriptors, directory, 1), Err(Errno::EISDIR));
    let [output, input] = pipe(&descriptors);
    assert_eq!(write(&descriptors, output, b"x"), Err(Errno::EBADF));
    assert_eq!(read(&descriptors, input, 1), Err(Errno::EBADF));
    assert_eq!(descriptors.seek(input as i32, 0, 0), Err(Errno::ESPIPE));
}

#[test]
fn flags_for_making_files_mean_what_they_say() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let create = OpenFlags::WRITE.with(OpenFlags::CREATE);
    let open = |path: &[u8], flags| descriptors.open(&tree, path, flags);
    assert_eq!(open(b"new", OpenFlags::WRITE), Err(Errno::ENOENT));
    assert_eq!(
        open(b"f", create.with(OpenFlags::EXCLUSIVE)),
        Err(Errno::EEXIST)
    );
    assert_eq!(
        open(b"d", create.with(OpenFlags::EXCLUSIVE)),
        Err(Errno::EEXIST)
    );
    assert!(open(b"new", create.with(OpenFlags::EXCLUSIVE)).is_ok());
    assert_eq!(
        open(b"new", create.with(OpenFlags::EXCLUSIVE)),
        Err(Errno::EEXIST)
    );
    let number = open(b"f", create).unwrap();
    write(&descriptors, number, b"ab").unwrap();
    assert_eq!(super::contents(&tree, "f").unwrap(), b"ab23456789");
}

#[test]
fn appending_goes_to_the_end_wherever_the_offset_is() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let number = descriptors
        .open(&tree, b"f", OpenFlags::READ_WRITE.with(OpenFlags::APPEND))
        .unwrap();
    assert_eq!(read(&descriptors, number, 2).unwrap(), b"01");
    write(&descriptors, number, b"ab").unwrap();
    assert_eq!(descriptors.seek(number as i32, 0, 1), Ok(12));
    descriptors.seek(number as i32, 1, 0).unwrap();
    write(&descriptors, number, b"c").unwrap();
    assert_eq!(super::contents(&tree, "f").unwrap(), b"0123456789abc");
}

#[test]
fn offsets_are_set_from_three_places_and_never_before_the_start() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let number = descriptors.open(&tree, b"f", OpenFlags::READ).unwrap() as i32;
    let seek = |distance, whence| descriptors.seek(number, distance, whence);
    assert_eq!(
        (seek(4, 0), seek(3, 1), seek(-2, 2), seek(5, 2)),
        (Ok(4), Ok(7), Ok(8), Ok(15))
    );
    assert_eq!(
        (seek(-1, 0), seek(-16, 1), seek(i64::MIN, 2)),
        (Err(Errno::EINVAL), Err(Errno::EINVAL), Err(Errno::EINVAL))
    );
    assert_eq!(seek(0, 3), Err(Errno::EINVAL));
    assert_eq!(seek(0, 1), Ok(15));
    assert_eq!(seek(i64::MAX, 0), Ok(i64::MAX as usize));
    assert_eq!(seek(1, 1), Err(Errno::EOVERFLOW));
    assert_eq!(read(&descriptors, number as usize, 5).unwrap(), b"");
}

#[test]
fn a_fork_shares_offsets_and_has_numbers_of_its_own() {
    let _machine = machine();
    let (tree, parent) = (tree(), Descriptors::new());
    let number = parent.open(&tree, b"f", OpenFlags::READ).unwrap();
    let child = parent.fork().unwrap();
    assert_eq!(read(&parent, number, 3).unwrap(), b"012");
    assert_eq!(read(&child, number, 3).unwrap(), b"345");
    child.close(number as i32).unwrap();
    assert_eq!(read(&child, number, 1), Err(Errno::EBADF));
    assert_eq!(read(&parent, number, 3).unwrap(), b"678");
}

#[test]
fn a_spawned_process_gets_the_first_three_and_no_more() {
    let _machine = machine();
    let (tree, parent) = (tree(), Descriptors::new());
    for _ in 0..5 {
        parent.open(&tree, b"f", OpenFlags::READ).unwrap();
    }
    parent.close(1).unwrap();
    let child = parent.inherit_standard().unwrap();
    read(&parent, 2, 4).unwrap();
    assert_eq!(read(&child, 2, 2).unwrap(), b"45");
    assert_eq!(read(&child, 1, 1), Err(Errno::EBADF));
    assert_eq!(read(&child, 3, 1), Err(Errno::EBADF));
}

#[test]
fn the_table_is_full_at_its_limit_and_nothing_is_made_then() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    descriptors
        .open(&tree, b"f", OpenFlags::READ_WRITE)
        .unwrap();
    for number in 1..MAX_DESCRIPTORS {
        assert_eq!(descriptors.dup(0), Ok(number));
    }
    assert_eq!(descriptors.dup(0), Err(Errno::EMFILE));
    let flags = OpenFlags::WRITE
        .with(OpenFlags::CREATE)
        .with(OpenFlags::TRUNCATE);
    assert_eq!(descriptors.open(&tree, b"new", flags), Err(Errno::EMFILE));
    assert_eq!(descriptors.open(&tree, b"f", flags), Err(Errno::EMFILE));
    assert_eq!(super::contents(&tree, "new"), Err(Errno::ENOENT));
    assert_eq!(super::contents(&tree, "f").unwrap(), b"0123456789");
    // A pipe needs two.
    descriptors.close(500).unwrap();
    assert_eq!(descriptors.pipe(|_| Ok(())), Err(Errno::EMFILE));
    assert_eq!(descriptors.dup(0), Ok(500));
}

#[test]
fn a_pipe_whose_numbers_cannot_be_stored_is_gone() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    assert_eq!(descriptors.pipe(|_| Err(Errno::EFAULT)), Err(Errno::EFAULT));
    assert_eq!(descriptors.open(&tree, b"f", OpenFlags::READ), Ok(0));
    // What another thread has put there meanwhile stays.
    let stored = descriptors.pipe(|[output, _]| {
        descriptors.close(output).unwrap();
        descriptors.open(&tree, b"f", OpenFlags::READ).unwrap();
        Err(Errno::EFAULT)
    });
    assert_eq!(stored, Err(Errno::EFAULT));
    assert_eq!(read(&descriptors, 1, 2).unwrap(), b"01");
    assert_eq!(read(&descriptors, 2, 2), Err(Errno::EBADF));
}

#[test]
fn closing_all_ends_pipes_and_frees_their_frames() {
    let _machine = machine();
    let before = accounts().in_use(FrameKind::Pipe);
    let (one, other) = (Descriptors::new(), Descriptors::new());
    let [output, input] = pipe(&one);
    let copy = one.fork().unwrap();
    write(&one, input, &pattern(5000, 0)).unwrap();
    assert_eq!(accounts().in_use(FrameKind::Pipe), before + 2);
    one.close_all();
    assert_eq!(read(&copy, output, 5000).unwrap(), pattern(5000, 0));
    copy.close(input as i32).unwrap();
    assert_eq!(read(&copy, output, 1).unwrap(), b"");
    copy.close_all();
    other.close_all();
    assert_eq!(accounts().in_use(FrameKind::Pipe), before);
}
