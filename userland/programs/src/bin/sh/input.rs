//! Lines of the standard input. At the console the kernel collects a line, lets it be edited, remembers earlier ones,
//! and hands it over whole.

use alloc::string::String;
use alloc::vec::Vec;

use abi::STDIN;
use ulib::{Errno, file};

const PIECE_BYTES: usize = 256;

/// What comes from the standard input.
pub(crate) enum Line {
    /// A line, without its end. What is not UTF-8 in it is replaced.
    Whole(String),
    /// Ctrl-C instead of a line.
    Interrupted,
    /// There are no more.
    End,
}

/// The standard input.
#[derive(Default)]
pub(crate) struct Input {
    /// What was read and is not yet a line.
    bytes: Vec<u8>,
}

impl Input {
    /// Waits for the next line.
    pub(crate) fn read_line(&mut self) -> Result<Line, Errno> {
        loop {
            if let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).take(end).collect();
                return Ok(Line::Whole(String::from_utf8_lossy(&line).into_owned()));
            }
            let mut piece = [0; PIECE_BYTES];
            match file::read(STDIN, &mut piece) {
                // Ctrl-D hands over what was typed; a last line may lack its end.
                Ok(0) if !self.bytes.is_empty() => self.bytes.push(b'\n'),
                Ok(0) => return Ok(Line::End),
                Ok(len) => self.bytes.extend(piece.iter().take(len)),
                Err(Errno::EINTR) => {
                    self.bytes.clear();
                    return Ok(Line::Interrupted);
                }
                Err(errno) => return Err(errno),
            }
        }
    }
}
