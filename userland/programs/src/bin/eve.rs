//! Eve greets once and then loops for ever in user mode, without a single system call.
//!
//! `eve attack`: she cannot reach Alice's memory, but the kernel can. So she asks the kernel, who is deputy to all, to
//! store something there for her: `read` into a buffer that is not hers. She ends with 0 if it refuses.
#![no_std]
#![no_main]

use core::hint::black_box;

use abi::decode;
use abi::layout::PAGE_SIZE;
use programs::alice_note::{MARK, Note};
use ulib::file::{self, File};
use ulib::{Arguments, Errno, println, process, system_call};

ulib::program!(main);

fn main(arguments: Arguments) -> i32 {
    println!("Hi, I'm Eve! I keep CPU {} for myself.", process::getcpu());
    if arguments.get(1) == Some("attack") {
        return match attack() {
            Ok(0) => 0,
            Ok(_) => 1,
            Err(errno) => panic!("Eve cannot attack: {errno}"),
        };
    }
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Memory of the machine below this has no frames for programs.
const FIRST_ADDRESS: usize = 1 << 20;

/// The kernel and its files are not counted among the machine's frames, and need no more than this.
const UNCOUNTED_LEN: usize = 64 << 20;

/// Changes Alice's note wherever a copy of it is; returns how many she has changed.
fn attack() -> Result<usize, Errno> {
    let (reader, writer) = file::pipe()?;
    let frames = process::sysinfo().total_frames as usize;
    let end = FIRST_ADDRESS + UNCOUNTED_LEN + frames * PAGE_SIZE;
    let (mut refused, mut changed) = (0, 0);
    for page in (FIRST_ADDRESS..end).step_by(PAGE_SIZE) {
        match look(page, &reader, &writer) {
            Ok(MARK) => {
                let stop = page + core::mem::offset_of!(Note, stop);
                changed += usize::from(store(stop, 1, &reader, &writer).is_ok());
            }
            Ok(_) => {}
            Err(Errno::EFAULT) => refused += 1,
            Err(error) => return Err(error),
        }
    }
    println!("Eve: the kernel has refused {refused} times, and changed {changed} words for me.");
    Ok(changed)
}

/// The word at `address`, which the kernel writes into the pipe.
fn look(address: usize, reader: &File, writer: &File) -> Result<u64, Errno> {
    // SAFETY: the kernel only reads.
    decode(unsafe { system_call::write(writer.descriptor(), address as *const u8, 8) })?;
    let mut word = [0; 8];
    reader.read_full(&mut word)?;
    Ok(u64::from_le_bytes(word))
}

/// Has the kernel read `word` from the pipe to `address`. An honest `read` differs in its second argument only: a
/// buffer of the caller's own.
fn store(address: usize, word: u64, reader: &File, writer: &File) -> Result<(), Errno> {
    writer.write_all(&word.to_le_bytes())?;
    // SAFETY: it is no memory of this program.
    decode(unsafe { system_call::read(reader.descriptor(), address as *mut u8, 8) }).map(drop)
}
