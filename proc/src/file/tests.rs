//! Files from the outside: through descriptors, with kernel memory as the other side.

mod archive;
mod console;
mod contents;
mod descriptors;
mod memory;
mod model;
mod tree;
mod user_memory;

use std::vec::Vec;

use abi::{Errno, OpenFlags};

use super::{Descriptors, FileTree, ReadBuffer, WriteBuffer, read_archive};

/// A plain tar archive, kept for ever: a name, a type (`0` file, `5` directory) and contents for each entry.
fn tar(entries: &[(&str, u8, &[u8])]) -> &'static [u8] {
    let mut archive = Vec::new();
    for &(name, kind, contents) in entries {
        let mut header = [0_u8; 512];
        let (prefix, name) = match name.len() {
            0..=100 => ("", name),
            _ => name.split_at(
                name[..name.len().min(155)]
                    .rfind('/')
                    .expect("a place to split at"),
            ),
        };
        put(&mut header, 0, name.trim_start_matches('/'));
        put(&mut header, 100, "0000644\0");
        put(&mut header, 124, &format!("{:011o}\0", contents.len()));
        put(&mut header, 136, "00000000000\0");
        put(&mut header, 148, "        ");
        header[156] = kind;
        put(&mut header, 257, "ustar\x0000");
        put(&mut header, 345, prefix);
        let checksum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        put(&mut header, 148, &format!("{checksum:06o}\0 "));
        archive.extend_from_slice(&header);
        archive.extend_from_slice(contents);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive.leak()
}

fn put(header: &mut [u8; 512], at: usize, text: &str) {
    header[at..at + text.len()].copy_from_slice(text.as_bytes());
}

/// Bytes that differ from place to place, and from `salt` to `salt`.
fn pattern(len: usize, salt: usize) -> Vec<u8> {
    (0..len)
        .map(|index| (index * 7 + index / 251 + salt * 13 + 1) as u8)
        .collect()
}

fn read(descriptors: &Descriptors, number: usize, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0xee; len];
    let len = descriptors.read(number as i32, ReadBuffer::Kernel(&mut bytes))?;
    bytes.truncate(len);
    Ok(bytes)
}

fn write(descriptors: &Descriptors, number: usize, bytes: &[u8]) -> Result<usize, Errno> {
    descriptors.write(number as i32, WriteBuffer::Kernel(bytes))
}

fn contents(tree: &FileTree, path: &str) -> Result<Vec<u8>, Errno> {
    let descriptors = Descriptors::new();
    let number = descriptors.open(tree, path.as_bytes(), OpenFlags::READ)?;
    read(&descriptors, number, 1 << 20)
}
