use abi::{Dirent, Errno, FileKind, NAME_MAX, OpenFlags};
use mm::hw::host::machine;

use super::super::{Descriptors, FileTree, Node, Path, ReadBuffer, read_archive};
use super::{contents, tar, write};

fn tree() -> FileTree {
    let entries = [
        ("top", b'0', &b"1"[..]),
        ("dir/inner/file", b'0', b"2"),
        ("dir/other", b'0', b"3"),
    ];
    read_archive(tar(&entries)).unwrap()
}

fn lookup(tree: &FileTree, path: &str) -> Result<&'static str, Errno> {
    match tree.lookup(Path::parse(path.as_bytes())?)? {
        Node::File(_) => Ok("file"),
        Node::Directory(_) => Ok("directory"),
    }
}

#[test]
fn paths_lead_through_directories_up_and_down() {
    let _machine = machine();
    let tree = tree();
    for path in [
        "top",
        "/top",
        "./dir/../top",
        "/../../top",
        "dir/inner/../../dir//./inner/file",
        "dir/other",
    ] {
        assert_eq!(lookup(&tree, path), Ok("file"), "{path}");
    }
    for path in [
        "/",
        ".",
        "..",
        "dir",
        "dir/",
        "dir/inner/..",
        "/dir/inner/.",
    ] {
        assert_eq!(lookup(&tree, path), Ok("directory"), "{path}");
    }
}

#[test]
fn paths_that_lead_nowhere_say_why() {
    let _machine = machine();
    let tree = tree();
    let too_long = "n".repeat(NAME_MAX + 1);
    for (path, expected) in [
        ("nosuch", Errno::ENOENT),
        ("dir/nosuch/file", Errno::ENOENT),
        ("nosuch/../top", Errno::ENOENT),
        ("to", Errno::ENOENT),
        ("top/file", Errno::ENOTDIR),
        ("top/..", Errno::ENOTDIR),
        ("top/", Errno::ENOTDIR),
        ("top/.", Errno::ENOTDIR),
        ("", Errno::ENOENT),
        (&too_long, Errno::ENAMETOOLONG),
    ] {
        assert_eq!(lookup(&tree, path), Err(expected), "{path}");
    }
}

#[test]
fn a_file_is_made_where_its_directory_is_and_nowhere_else() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let create = |path: &str| {
        descriptors.open(
            &tree,
            path.as_bytes(),
            OpenFlags::WRITE.with(OpenFlags::CREATE),
        )
    };
    let number = create("dir/../dir/new").unwrap();
    write(&descriptors, number, b"fresh").unwrap();
    assert_eq!(contents(&tree, "/dir/new").unwrap(), b"fresh");
    for (path, expected) in [
        ("nosuch/new", Errno::ENOENT),
        ("top/new", Errno::ENOTDIR),
        ("new/", Errno::EISDIR),
        ("dir", Errno::EISDIR),
        ("dir/", Errno::EISDIR),
        ("/", Errno::EISDIR),
        ("top/", Errno::ENOTDIR),
    ] {
        assert_eq!(create(path), Err(expected), "{path}");
    }
    assert_eq!(contents(&tree, "/new"), Err(Errno::ENOENT));
}

#[test]
fn directories_list_their_entries_in_the_order_in_which_they_were_made() {
    let _machine = machine();
    let (tree, descriptors) = (tree(), Descriptors::new());
    let number = descriptors.open(&tree, b"/", OpenFlags::READ).unwrap();
    let mut bytes = [0; 3 * size_of::<Dirent>() - 1];
    let read = |bytes: &mut [u8]| descriptors.readdir(number as i32, ReadBuffer::Kernel(bytes));
    assert_eq!(read(&mut bytes), Ok(2 * size_of::<Dirent>()));
    let expected = [
        Dirent::new(b"top", FileKind::File, 1),
        Dirent::new(b"dir", FileKind::Directory, 0),
    ];
    for (entry, expected) in bytes.chunks_exact(size_of::<Dirent>()).zip(expected) {
        assert_eq!(entry, expected.unwrap().to_bytes());
    }
    assert_eq!(read(&mut bytes), Ok(0));
    // What is made later comes last, and is found by who has read to the end.
    descriptors
        .open(&tree, b"a", OpenFlags::WRITE.with(OpenFlags::CREATE))
        .unwrap();
    assert_eq!(read(&mut bytes[..127]), Err(Errno::EINVAL));
    assert_eq!(read(&mut bytes), Ok(size_of::<Dirent>()));
    assert_eq!(
        bytes[..128],
        Dirent::new(b"a", FileKind::File, 0).unwrap().to_bytes()
    );
    descriptors.seek(number as i32, 1, 0).unwrap();
    assert_eq!(read(&mut bytes), Ok(2 * size_of::<Dirent>()));
}

#[test]
fn many_files_in_one_directory_are_all_found() {
    let _machine = machine();
    let (tree, descriptors) = (FileTree::new().unwrap(), Descriptors::new());
    let name = |index: usize| format!("f{}", index * 7919 % 1000);
    for index in 0..1000 {
        let flags = OpenFlags::WRITE
            .with(OpenFlags::CREATE)
            .with(OpenFlags::EXCLUSIVE);
        let number = descriptors
            .open(&tree, name(index).as_bytes(), flags)
            .unwrap();
        write(&descriptors, number, &index.to_le_bytes()).unwrap();
        descriptors.close(number as i32).unwrap();
    }
    for index in 0..1000 {
        assert_eq!(
            contents(&tree, &name(index)).unwrap(),
            index.to_le_bytes(),
            "{index}"
        );
    }
}
