use mm::hw::host::machine;
use proptest::prelude::{any, proptest};
use tar_no_std::{CorruptDataError, TarArchiveRef};

use super::super::{ArchiveError, read_archive};
use super::{contents, pattern, tar};
use abi::Errno;

fn refusal(archive: &'static [u8]) -> ArchiveError {
    read_archive(archive)
        .map(|_| ())
        .expect_err("a bad archive was taken")
}

#[test]
fn files_come_out_as_they_went_in_with_their_directories() {
    let _machine = machine();
    let large = pattern(10_000, 1);
    let tree = read_archive(tar(&[
        ("./", b'5', b""),
        ("./hello", b'0', b"hi\n"),
        ("bin/deep/large", b'0', &large),
        ("empty/", b'5', b""),
        ("bin/none", b'0', b""),
    ]))
    .unwrap();
    assert_eq!(contents(&tree, "/hello").unwrap(), b"hi\n");
    assert_eq!(contents(&tree, "bin/deep/large").unwrap(), large);
    assert_eq!(contents(&tree, "bin/none").unwrap(), b"");
    assert_eq!(contents(&tree, "empty"), Err(Errno::EISDIR));
}

#[test]
fn a_name_too_long_for_one_field_is_put_together_from_both() {
    let _machine = machine();
    let directory = ["d".repeat(60), "e".repeat(60)].join("/");
    let name = [directory.as_str(), "file"].join("/");
    let tree = read_archive(tar(&[(&name, b'0', b"found")])).unwrap();
    assert_eq!(contents(&tree, &name).unwrap(), b"found");
}

#[test]
fn a_truncated_archive_is_refused_wherever_it_ends() {
    let _machine = machine();
    let archive = tar(&[("a", b'0', &pattern(3000, 0)), ("b", b'0', b"short")]);
    for len in (0..archive.len()).step_by(256) {
        assert!(
            matches!(refusal(&archive[..len]), ArchiveError::Corrupt(_)),
            "{len} bytes"
        );
    }
}

#[test]
fn what_is_neither_a_file_nor_a_directory_is_refused_with_its_place() {
    let _machine = machine();
    let archive = tar(&[("a", b'0', b"contents"), ("link", b'2', b"")]);
    assert_eq!(refusal(archive), ArchiveError::Unsupported { block: 2 });
    let message = "entry at block 2 is neither a file nor a directory (is the format ustar?)";
    assert_eq!(refusal(archive).to_string(), message);
}

#[test]
fn bad_names_are_refused_with_their_reason() {
    let _machine = machine();
    for (entries, reason) in [
        ([("a", b'0', &b""[..]), ("a", b'0', b"")], Errno::EEXIST),
        ([("a", b'0', b""), ("a/b", b'0', b"")], Errno::ENOTDIR),
        ([("a", b'5', b""), ("a", b'0', b"")], Errno::EEXIST),
        ([("a", b'0', b""), ("b/", b'0', b"")], Errno::EISDIR),
        ([("a", b'0', b""), ("", b'0', b"")], Errno::ENOENT),
    ] {
        assert_eq!(
            refusal(tar(&entries)),
            ArchiveError::BadName { block: 1, reason },
            "{entries:?}"
        );
    }
}

#[test]
fn a_size_beyond_the_archive_is_refused() {
    let _machine = machine();
    let mut archive = tar(&[("a", b'0', b"contents")]).to_vec();
    archive[124..135].copy_from_slice(b"77777777777");
    let checksum: u32 = (archive[..512].iter().enumerate())
        .map(|(index, &byte)| {
            if (148..156).contains(&index) {
                32
            } else {
                u32::from(byte)
            }
        })
        .sum();
    archive[148..154].copy_from_slice(format!("{checksum:06o}").as_bytes());
    let expected = CorruptDataError::PayloadExtendsBeyondArchive { block_index: 0 };
    assert_eq!(refusal(archive.leak()), ArchiveError::Corrupt(expected));
}

proptest! {
    #[test]
    fn a_damaged_archive_never_panics(damage: Vec<(proptest::sample::Index, u8)>, repair in any::<bool>()) {
        let _machine = machine();
        let mut archive = tar(&[("a/b", b'0', &pattern(700, 0)), ("c/", b'5', b""), ("d", b'0', b"x")]).to_vec();
        for (place, byte) in damage {
            let len = archive.len();
            archive[place.index(len)] = byte;
        }
        if repair {
            // With a checksum that fits, the damage gets past the first check.
            let is_in_checksum = |index: usize| (148..156).contains(&index);
            let sum = |(index, &byte): (usize, &u8)| if is_in_checksum(index) { 32 } else { u32::from(byte) };
            let checksum: u32 = archive[..512].iter().enumerate().map(sum).sum();
            archive[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
        }
        let archive: &'static [u8] = archive.leak();
        // As the kernel looks for its symbols, before anything else.
        if let Ok(archive) = TarArchiveRef::new(archive) {
            for entry in archive.entries() {
                let _ = (entry.filename().as_str(), entry.data());
            }
        }
        if let Ok(tree) = read_archive(archive) {
            // Whatever was taken can be read.
            let _ = contents(&tree, "a/b");
        }
    }
}
