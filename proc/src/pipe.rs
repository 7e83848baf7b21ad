//! Pipes: bytes from writers to readers, in order, through 64 KiB of kernel memory.
//!
//! The guarantee: what is written is read once and in order; the bytes of one `write` are not mixed with another's. A
//! writer waits while the pipe is full, a reader while it is empty. When the last reading end is closed a write fails
//! with `EPIPE`; when the last writing end is closed, and all is read, a read returns 0.
//!
//! Bytes move straight between user memory and the pipe's frames, as many as fit at a time. A frame is allocated when
//! the first byte goes into it, so a pipe for short messages costs a page.
//!
//! - **PIPE-1** who writes has the turn of `writing`, who reads that of `reading`: one writer and one reader work at
//!   the same time, on different bytes (`Positions`). Neither holds a spin lock during a copy, which may fault and
//!   sleep.
//! - **PIPE-2** a frame below `put` has been allocated; frames stay until the pipe goes.
//! - **PIPE-3** each end is woken only if it has said that it waits (`Positions`); only who has its turn does.

mod positions;
#[cfg(all(test, not(loom)))]
mod tests;

use alloc::sync::Arc;

use abi::Errno;
use mm::NoMemory;
use mm::addr::PAGE_SIZE;
use mm::frame::{self, Frame, FrameKind};
use mm::heap::try_arc;
use spin::Once;

use self::positions::{CAPACITY_BYTES, Positions, Wake};
use crate::file::buffer::{ReadBuffer, Source, WriteBuffer};
use crate::file::pause_point;
use crate::single_wait::SingleWait;
use crate::turn::Turn;
use crate::wait::Interrupted;

const FRAMES: usize = CAPACITY_BYTES / PAGE_SIZE;

struct Pipe {
    positions: Positions,
    reading: Turn,
    writing: Turn,
    /// Where who has the turn of `reading` waits for bytes.
    filled: SingleWait,
    /// Where who has the turn of `writing` waits for room.
    drained: SingleWait,
    /// Made by who has the turn of `writing`, so nobody ever waits for one that is being made.
    frames: [Once<Frame>; FRAMES],
}

/// The reading end of a pipe; dropping it closes it.
pub struct PipeReader(Arc<Pipe>);

/// The writing end of a pipe; dropping it closes it.
pub struct PipeWriter(Arc<Pipe>);

/// Makes an empty pipe.
///
/// # Errors
/// There is no memory for it.
pub fn new_pipe() -> Result<(PipeReader, PipeWriter), NoMemory> {
    let pipe = try_arc(Pipe {
        positions: Positions::new(),
        reading: Turn::new(),
        writing: Turn::new(),
        filled: SingleWait::new(),
        drained: SingleWait::new(),
        frames: [const { Once::new() }; FRAMES],
    })?;
    Ok((PipeReader(pipe.clone()), PipeWriter(pipe)))
}

impl PipeReader {
    /// Moves bytes into `buffer`, as many as there are and it takes; waits for the first.
    ///
    /// Returns how many; 0 if there are none and there is no writer.
    ///
    /// # Errors
    /// `EINTR` if a signal or its end interrupts the caller while it waits; `EFAULT` if not even the first byte could be stored. The bytes
    /// are still in the pipe then.
    pub fn read(&self, buffer: &mut ReadBuffer<'_>) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let pipe = &*self.0;
        let _reading = pipe.reading.take()?;
        let mut available = pipe.positions.available();
        if available == 0 {
            available = pipe.wait_for_bytes()?;
        }
        let mut total = 0;
        while available > 0 {
            let (frame, offset, room) = pipe.place(pipe.positions.taken());
            let len = available.min(room).min(buffer.len());
            let moved = frame.map_or(0, |frame| buffer.put(Source::Frame(frame, offset), len));
            total += moved;
            if pipe.positions.take(moved) == Wake::Needed {
                pipe.drained.wake();
            }
            if moved < len {
                return if total > 0 {
                    Ok(total)
                } else {
                    Err(Errno::EFAULT)
                };
            }
            if buffer.is_empty() {
                break;
            }
            if pause_point().is_err() {
                break;
            }
            available = pipe.positions.available();
        }
        Ok(total)
    }
}

impl PipeWriter {
    /// Moves all of `buffer` into the pipe; waits for room.
    ///
    /// If an error comes after the first byte, the result says how many bytes were moved; the others have not been.
    ///
    /// # Errors
    /// `EPIPE` if there is no reader; `EINTR` if a signal or its end interrupts the caller while it waits; `EFAULT` if the first byte
    /// could not be read; `ENOMEM` if there is no memory for a frame.
    pub fn write(&self, buffer: &mut WriteBuffer<'_>) -> Result<usize, Errno> {
        let pipe = &*self.0;
        let _writing = pipe.writing.take()?;
        let mut total = 0;
        while !buffer.is_empty() {
            match pipe.write_piece(buffer) {
                Ok(moved) => total += moved,
                Err(error) if total == 0 => return Err(error),
                Err(_) => break,
            }
            if !buffer.is_empty() && pause_point().is_err() {
                break;
            }
        }
        Ok(total)
    }
}

impl Pipe {
    /// Moves what fits into one frame, at least a byte, with the turn of `writing`.
    #[inline]
    fn write_piece(&self, buffer: &mut WriteBuffer<'_>) -> Result<usize, Errno> {
        let mut free = self.positions.free()?;
        if free == 0 {
            free = self.wait_for_room(buffer.len())?;
        }
        let (frame, offset, room) = self.place_to_fill(self.positions.put())?;
        let len = free.min(room).min(buffer.len());
        let moved = buffer.take_into_frame(frame, offset, len);
        if self.positions.add(moved) == Wake::Needed {
            self.filled.wake();
        }
        if moved == 0 {
            Err(Errno::EFAULT)
        } else {
            Ok(moved)
        }
    }

    /// Waits until there are bytes, or no writer; returns how many there are.
    #[inline(never)]
    fn wait_for_bytes(&self) -> Result<usize, Interrupted> {
        if !self.positions.has_writer() {
            return Ok(self.positions.available());
        }
        self.filled
            .sleep_until(|| self.positions.available_or_wait())
    }

    /// Waits until there is enough room for `len` bytes, or half the pipe; returns how much there is.
    #[inline(never)]
    fn wait_for_room(&self, len: usize) -> Result<usize, Errno> {
        self.drained
            .sleep_until(|| self.positions.free_or_wait(len))?
    }

    /// Where the byte at `position` is: its frame, the offset in it, and the bytes from there to the frame's end.
    #[inline]
    fn place(&self, position: usize) -> (Option<&Frame>, usize, usize) {
        let offset = position % PAGE_SIZE;
        (
            self.frames[position / PAGE_SIZE % FRAMES].get(),
            offset,
            PAGE_SIZE - offset,
        )
    }

    #[inline]
    fn place_to_fill(&self, position: usize) -> Result<(&Frame, usize, usize), NoMemory> {
        let offset = position % PAGE_SIZE;
        let place = &self.frames[position / PAGE_SIZE % FRAMES];
        let frame = match place.get() {
            Some(frame) => frame,
            None => place.try_call_once(|| frame::alloc(FrameKind::Pipe))?,
        };
        Ok((frame, offset, PAGE_SIZE - offset))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.positions.close_reading();
        self.0.drained.wake();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.positions.close_writing();
        self.0.filled.wake();
    }
}
