//! Lists directories: length and name of each file, a slash behind the name of a directory.
//!
//! `ls [PATH...]` (the root of the tree). Exits with 1 if one could not be listed.
#![no_std]
#![no_main]

use abi::{Dirent, FileKind, OpenFlags};
use ulib::file::File;
use ulib::{Arguments, Errno, println};

ulib::program!(main);

/// How many entries are read at a time.
const ENTRIES: usize = 16;

fn main(arguments: Arguments) -> i32 {
    let root = (arguments.len() < 2).then_some("/");
    let mut status = 0;
    for path in arguments.operands().chain(root) {
        if let Err(errno) = list(path) {
            ulib::eprintln!("ls: {path}: {errno}");
            status = 1;
        }
    }
    status
}

fn list(path: &str) -> Result<(), Errno> {
    let directory = File::open(path, OpenFlags::READ)?;
    let mut entries = [Dirent::EMPTY; ENTRIES];
    loop {
        let count = directory.read_directory(&mut entries)?;
        let Some(read @ [_, ..]) = entries.get(..count) else {
            return Ok(());
        };
        for entry in read {
            let name = str::from_utf8(entry.name()).unwrap_or("?");
            let slash = match FileKind::from_number(entry.kind) {
                Some(FileKind::Directory) => "/",
                _ => "",
            };
            println!("{:>10} {name}{slash}", entry.len);
        }
    }
}
