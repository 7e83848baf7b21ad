//! User memory as the other side: some of it mapped, the rest not.

use std::sync::Arc;

use abi::{Dirent, Errno, OpenFlags};
use mm::addr::{PAGE_SIZE, USER_START, UserRange};
use mm::hw::host::{Machine, machine};
use mm::hw::user_access::host::on_page_fault;
use mm::space::{Protection, Region, RegionFlags, Space};
use mm::user::UserSlice;

use super::super::{Descriptors, FileTree, ReadBuffer, WriteBuffer, read_archive};
use super::{pattern, read, tar, write};

/// Two pages of user memory, and nothing behind them.
struct User {
    space: Arc<Space>,
    _machine: Machine,
}

const END: usize = USER_START.as_usize() + 2 * PAGE_SIZE;

impl User {
    fn new() -> User {
        let machine = machine();
        let space = Space::new().unwrap();
        let range = UserRange::page_aligned(USER_START.as_usize(), 2 * PAGE_SIZE).unwrap();
        space
            .add(Region::anonymous(
                range,
                Protection::WRITE,
                RegionFlags::EAGER,
            ))
            .unwrap();
        mm::space::activate(&space, &smp::irq::disable());
        User {
            space,
            _machine: machine,
        }
    }

    /// The last `before_end` bytes of the memory, and behind them what makes it `len` bytes.
    fn memory(before_end: usize, len: usize) -> UserSlice {
        UserSlice::new(END - before_end, len).unwrap()
    }

    fn fill(bytes: &[u8]) {
        User::memory(bytes.len(), bytes.len())
            .copy_out(bytes)
            .unwrap();
    }

    fn contents(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        User::memory(len, len).copy_in(&mut bytes).unwrap();
        bytes
    }
}

impl Drop for User {
    fn drop(&mut self) {
        mm::space::become_idle(&smp::irq::disable());
    }
}

fn open(contents: &[u8], flags: OpenFlags) -> (FileTree, Descriptors) {
    let tree = read_archive(tar(&[("f", b'0', contents)])).unwrap();
    let descriptors = Descriptors::new();
    assert_eq!(descriptors.open(&tree, b"f", flags), Ok(0));
    (tree, descriptors)
}

#[test]
fn a_file_goes_to_user_memory_and_back() {
    let _user = User::new();
    let contents = pattern(6000, 0);
    let (tree, descriptors) = open(&contents, OpenFlags::READ_WRITE);
    assert_eq!(
        descriptors.read(0, ReadBuffer::User(User::memory(8000, 8000))),
        Ok(6000)
    );
    assert_eq!(User::contents(8000)[..6000], contents);
    assert_eq!(
        descriptors.write(0, WriteBuffer::User(User::memory(8000, 6000))),
        Ok(6000)
    );
    assert_eq!(
        super::contents(&tree, "f").unwrap(),
        [&contents[..], &contents].concat()
    );
}

/// Another thread unmaps all of the memory when a write has just come to its end.
#[test]
fn a_write_whose_memory_goes_meanwhile_says_what_has_changed() {
    let user = User::new();
    let (old, new) = (pattern(300, 0), pattern(96, 7));
    User::fill(&new);
    let (tree, descriptors) = open(&old, OpenFlags::READ_WRITE);
    let space = user.space.clone();
    on_page_fault(move |_, _| {
        let all = UserRange::page_aligned(USER_START.as_usize(), 2 * PAGE_SIZE).unwrap();
        space.remove(all).unwrap();
        false
    });
    let buffer = WriteBuffer::User(User::memory(96, 200));
    assert_eq!(descriptors.write(0, buffer), Ok(96));
    let contents = super::contents(&tree, "f").unwrap();
    assert_eq!(contents, [&new[..], &old[96..]].concat());
}

#[test]
fn a_read_into_bad_memory_advances_by_what_it_stored_to_the_byte() {
    let _user = User::new();
    let contents = pattern(20_000, 0);
    for mapped in [1, 7, 8, 4095, 4097, 8000] {
        let (_tree, descriptors) = open(&contents, OpenFlags::READ);
        let buffer = || ReadBuffer::User(User::memory(mapped, 10_000));
        assert_eq!(descriptors.read(0, buffer()), Ok(mapped));
        assert_eq!(User::contents(mapped), contents[..mapped]);
        assert_eq!(descriptors.seek(0, 0, 1), Ok(mapped));
        assert_eq!(
            descriptors.read(0, ReadBuffer::User(User::memory(0, 1))),
            Err(Errno::EFAULT)
        );
        assert_eq!(descriptors.seek(0, 0, 1), Ok(mapped));
    }
}

#[test]
fn a_write_from_bad_memory_changes_what_it_says_and_no_byte_more() {
    let _user = User::new();
    let (old, new) = (pattern(9000, 0), pattern(8000, 1));
    for mapped in [1, 7, 8, 4095, 4097, 8000] {
        let (tree, descriptors) = open(&old, OpenFlags::WRITE);
        User::fill(&new[..mapped]);
        descriptors.seek(0, 50, 0).unwrap();
        assert_eq!(
            descriptors.write(0, WriteBuffer::User(User::memory(mapped, 10_000))),
            Ok(mapped)
        );
        assert_eq!(descriptors.seek(0, 0, 1), Ok(50 + mapped));
        assert_eq!(
            descriptors.write(0, WriteBuffer::User(User::memory(0, 1))),
            Err(Errno::EFAULT)
        );
        let expected = [&old[..50], &new[..mapped], &old[50 + mapped..]].concat();
        assert!(
            super::contents(&tree, "f").unwrap() == expected,
            "{mapped} bytes"
        );
    }
}

#[test]
fn a_write_from_bad_memory_behind_the_end_makes_the_file_as_long_as_it_says() {
    let _user = User::new();
    let (tree, descriptors) = open(b"", OpenFlags::WRITE);
    User::fill(b"end");
    assert_eq!(
        descriptors.write(0, WriteBuffer::User(User::memory(3, 100))),
        Ok(3)
    );
    assert_eq!(super::contents(&tree, "f").unwrap(), b"end");
    descriptors.seek(0, 100, 0).unwrap();
    assert_eq!(
        descriptors.write(0, WriteBuffer::User(User::memory(0, 100))),
        Err(Errno::EFAULT)
    );
    assert_eq!(super::contents(&tree, "f").unwrap(), b"end");
}

#[test]
fn bytes_that_could_not_be_stored_stay_in_the_pipe() {
    let _user = User::new();
    let descriptors = Descriptors::new();
    descriptors.pipe(|_| Ok(())).unwrap();
    let bytes = pattern(6000, 0);
    User::fill(&bytes);
    assert_eq!(
        descriptors.write(1, WriteBuffer::User(User::memory(6000, 9000))),
        Ok(6000)
    );
    assert_eq!(
        descriptors.write(1, WriteBuffer::User(User::memory(0, 1))),
        Err(Errno::EFAULT)
    );
    assert_eq!(
        descriptors.read(0, ReadBuffer::User(User::memory(0, 1))),
        Err(Errno::EFAULT)
    );
    assert_eq!(
        descriptors.read(0, ReadBuffer::User(User::memory(4099, 6000))),
        Ok(4099)
    );
    assert_eq!(User::contents(4099), bytes[..4099]);
    assert_eq!(read(&descriptors, 0, 9000).unwrap(), bytes[4099..]);
}

#[test]
fn a_directory_entry_that_could_not_be_stored_comes_again() {
    let _user = User::new();
    let (tree, descriptors) = open(b"", OpenFlags::READ);
    let number = descriptors.open(&tree, b"/", OpenFlags::READ).unwrap() as i32;
    let len = size_of::<Dirent>();
    assert_eq!(
        descriptors.readdir(number, ReadBuffer::User(User::memory(len - 1, len))),
        Err(Errno::EFAULT)
    );
    assert_eq!(
        descriptors.readdir(number, ReadBuffer::User(User::memory(len, len))),
        Ok(len)
    );
    let open_twice = Descriptors::new();
    assert_eq!(
        open_twice.open(&tree, b"new", OpenFlags::WRITE.with(OpenFlags::CREATE)),
        Ok(0)
    );
    assert_eq!(write(&open_twice, 0, b"x"), Ok(1));
    assert_eq!(
        descriptors.readdir(number, ReadBuffer::User(User::memory(len, 5 * len))),
        Ok(len)
    );
    assert_eq!(
        descriptors.readdir(number, ReadBuffer::User(User::memory(len, len))),
        Ok(0)
    );
}
