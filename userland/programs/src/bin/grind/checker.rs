//! A process beside the storm that has done nothing to anybody: its memory stays as it is.
//!
//! It has a pattern in each kind of memory, several MiB in all, and looks through them again and again: private memory,
//! shared memory, a private and a shared mapping of a file.

use abi::layout::PAGE_SIZE;
use abi::{Errno, OpenFlags};
use core::sync::atomic::Ordering;
use ulib::file::File;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{MapFlags, println, process};

use crate::tally::Tally;

const LEN: usize = 512 * PAGE_SIZE;
const FILE_LEN: usize = 64 * PAGE_SIZE;
/// How long it lets the others be between two looks.
const PAUSE_MS: u64 = 100;
/// The file that the checker maps. Nothing else opens it.
const FILE: &str = "grind.checked";

/// The exit code for memory that has changed.
const CHANGED: i32 = 3;

/// Makes the file, empty.
///
/// # Errors
/// Those of the system call `open`.
pub(crate) fn empty_file() -> Result<(), Errno> {
    let flags = OpenFlags::READ_WRITE
        .with(OpenFlags::CREATE)
        .with(OpenFlags::TRUNCATE);
    File::open(FILE, flags).map(drop)
}

/// Fills its memory, says so by the pipe `ready`, and looks after it until the storm is over.
pub(crate) fn run(tally: &Tally, ready: &File) -> i32 {
    match check(tally, ready) {
        Ok(()) => 0,
        Err(errno) => {
            println!("grind: the checker failed: {errno}");
            1
        }
    }
}

fn check(tally: &Tally, ready: &File) -> Result<(), Errno> {
    let file = File::open(FILE, OpenFlags::READ_WRITE)?;
    for index in 0..FILE_LEN / 8 {
        file.write_all(&pattern(3, index).to_ne_bytes())?;
    }
    let places = [
        ("private", MapRequest::anonymous(LEN)),
        ("shared", MapRequest::anonymous(LEN).flags(MapFlags::SHARED)),
        (
            "a shared file",
            MapRequest::file(&file, 0, FILE_LEN).flags(MapFlags::SHARED),
        ),
        ("a private file", MapRequest::file(&file, 0, FILE_LEN)),
    ];
    let mut filled = [None, None, None, None];
    for (number, (_, request)) in places.iter().enumerate() {
        let mapping = Mapping::new(request)?;
        for (index, word) in mapping.words().iter().enumerate() {
            // Relaxed, here and below: nobody else uses this memory.
            word.store(pattern(number, index), Ordering::Relaxed);
        }
        filled[number] = Some(mapping);
    }
    ready.write_all(&[1])?;
    let mut rounds = 0_u64;
    while !tally.is_over() {
        for (number, mapping) in filled.iter().flatten().enumerate() {
            for (index, word) in mapping.words().iter().enumerate() {
                let found = word.load(Ordering::Relaxed);
                if found != pattern(number, index) {
                    println!(
                        "grind: {} memory has changed at word {index}: {found:#x}",
                        places[number].0
                    );
                    process::exit(CHANGED);
                }
            }
        }
        rounds += 1;
        process::sleep_ms(PAUSE_MS);
    }
    println!("grind: the checker found its memory as it was, {rounds} times");
    Ok(())
}

/// What stands in a word. The file has the pattern of its shared mapping until the private one has its own.
fn pattern(number: usize, index: usize) -> u64 {
    (index as u64 ^ (number as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
