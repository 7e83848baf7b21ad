//! Finished lines of input on their way from the line discipline to the programs that read them.
//!
//! The guarantee: every line arrives once, whole and in order, though perhaps in several reads; a read never goes
//! beyond the end of a line; an end of file (Ctrl-D on an empty line) is seen by exactly one read.
//!
//! A line is kept as its length in two bytes, and its bytes. A line without any bytes is an end of file.

use abi::Errno;
use smp::lock::SpinLock;
use smp::rank;

use crate::file::buffer::{ReadBuffer, Source};
use crate::sleep_lock::SleepLock;
use crate::wait::WaitQueue;

const CAPACITY_BYTES: usize = 4096;
const LENGTH_BYTES: usize = 2;
/// How much a read moves at a time.
const PIECE_BYTES: usize = 128;

/// There is no room for the line: nobody reads. It has been dropped.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct QueueFull;

/// Lines that were typed and not yet read.
pub struct LineQueue {
    ring: SpinLock<Ring, rank::ConsoleInput>,
    /// Held by who takes bytes out, so that a line goes to one reader.
    reading: SleepLock<()>,
    /// Where that reader waits for a line.
    arrived: WaitQueue,
}

struct Ring {
    bytes: [u8; CAPACITY_BYTES],
    /// Where the first line begins, unless `open` bytes of it are left: then where these begin.
    start: usize,
    /// How many bytes are in use.
    len: usize,
    /// How much is left of a line that has been read in part.
    open: Option<usize>,
}

impl Default for LineQueue {
    fn default() -> LineQueue {
        LineQueue::new()
    }
}

impl LineQueue {
    /// Without any line.
    pub const fn new() -> LineQueue {
        LineQueue {
            ring: SpinLock::new(Ring {
                bytes: [0; CAPACITY_BYTES],
                start: 0,
                len: 0,
                open: None,
            }),
            reading: SleepLock::new(()),
            arrived: WaitQueue::new(),
        }
    }

    /// Adds a line, its line feed included; one without any bytes is an end of file. Not from an interrupt handler.
    ///
    /// # Errors
    /// [`QueueFull`]; there are too many lines that nobody reads, or it is too long.
    pub fn push(&self, line: &[u8]) -> Result<(), QueueFull> {
        self.ring.lock().push(line)?;
        self.arrived.wake_one();
        Ok(())
    }

    /// Takes out the lines that nobody has begun to read, and hands `each` their bytes.
    pub fn take_unread(&self, each: impl FnMut(u8)) {
        self.ring.lock().take_unread(each);
    }

    /// Takes the first line out, or as much of it as `buffer` holds; waits for one if there is none.
    ///
    /// Returns how many bytes these are; 0 for an end of file.
    ///
    /// # Errors
    /// `EINTR` if a signal or its end interrupts the caller while it waits; `EFAULT` if not even the first byte could be stored: nothing
    /// is taken then.
    pub fn read(&self, buffer: &mut ReadBuffer<'_>) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let _reading = self.reading.lock()?;
        let mut left = self
            .arrived
            .wait_until(|| self.ring.lock().open_line())?
            .min(buffer.len());
        if left == 0 {
            self.ring.lock().take(0);
            return Ok(0);
        }
        let mut total = 0;
        let mut piece = [0; PIECE_BYTES];
        while left > 0 {
            let len = left.min(PIECE_BYTES);
            let piece = piece.get_mut(..len).unwrap_or_default();
            self.ring.lock().peek(piece);
            let put = buffer.put(Source::Bytes(piece), len);
            self.ring.lock().take(put);
            total += put;
            left -= put;
            if put < len {
                return if total > 0 {
                    Ok(total)
                } else {
                    Err(Errno::EFAULT)
                };
            }
        }
        Ok(total)
    }
}

impl Ring {
    fn push(&mut self, line: &[u8]) -> Result<(), QueueFull> {
        let len = u16::try_from(line.len()).map_err(|_| QueueFull)?;
        if LENGTH_BYTES + line.len() > CAPACITY_BYTES - self.len {
            return Err(QueueFull);
        }
        for &byte in len.to_le_bytes().iter().chain(line) {
            self.bytes[(self.start + self.len) % CAPACITY_BYTES] = byte;
            self.len += 1;
        }
        Ok(())
    }

    /// How many bytes are left of the first line; none if there is no line.
    fn open_line(&mut self) -> Option<usize> {
        if self.open.is_none() && self.len > 0 {
            let mut length = [0; LENGTH_BYTES];
            self.peek(&mut length);
            self.skip(LENGTH_BYTES);
            self.open = Some(u16::from_le_bytes(length).into());
        }
        self.open
    }

    /// Copies the next bytes, which there are.
    fn peek(&self, into: &mut [u8]) {
        for (distance, byte) in into.iter_mut().enumerate() {
            *byte = self.bytes[(self.start + distance) % CAPACITY_BYTES];
        }
    }

    /// Takes `len` bytes of the first line out, and the line itself with its last byte.
    fn take(&mut self, len: usize) {
        self.skip(len);
        self.open = self.open.map(|left| left - len).filter(|&left| left > 0);
    }

    fn take_unread(&mut self, mut each: impl FnMut(u8)) {
        let begun = self.open.unwrap_or(0);
        let byte = |distance| self.bytes[(self.start + distance) % CAPACITY_BYTES];
        let mut at = begun;
        while at < self.len {
            let text = at + LENGTH_BYTES;
            at = text + usize::from(u16::from_le_bytes([byte(at), byte(at + 1)]));
            (text..at).for_each(|distance| each(byte(distance)));
        }
        self.len = begun;
    }

    fn skip(&mut self, len: usize) {
        self.start = (self.start + len) % CAPACITY_BYTES;
        self.len -= len;
    }
}
