//! The pipe that all processes have in common: `piperead` and `pipewrite`.
//!
//! Two programs that know nothing of each other talk through it. What makes that cheap can be left out, one by one, to
//! see what each part is worth, down to a pipe of one byte whose users ask again and again ([`Modes`]).
//!
//! The guarantee: what is put in comes out once and in order. In every mode but that without blocking, what one call
//! puts in is not mixed with another's as long as nothing goes wrong, and the bytes of a call that fit get in at once.

use abi::{COMMON_PIPE_LEN, Errno};
use mm::user::UserSlice;
use smp::lock::SpinLock;
use smp::rank;
use spin::Once;

use crate::file::pause_point;
use crate::sched;
use crate::turn::Turn;
use crate::wait::WaitQueue;

/// What the two calls do for their callers.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Modes {
    /// A call that can move nothing waits; otherwise it fails with `EAGAIN`.
    pub is_blocking: bool,
    /// A call moves as many bytes as it can; otherwise one, and the pipe holds one.
    pub is_batching: bool,
    /// Without blocking, each call lets others run before it returns. (With it who waits does so anyway.)
    pub is_scheduling: bool,
}

impl Default for Modes {
    fn default() -> Modes {
        Modes {
            is_blocking: true,
            is_batching: true,
            is_scheduling: true,
        }
    }
}

impl Modes {
    /// How many bytes the pipe holds, and a call moves in one step.
    fn capacity_bytes(self) -> usize {
        if self.is_batching { COMMON_PIPE_LEN } else { 1 }
    }
}

struct CommonPipe {
    modes: Modes,
    contents: SpinLock<Contents, rank::CommonPipe>,
    /// Who has the turn of `reading` takes bytes out, who has that of `writing` puts some in. Neither lock is held
    /// during a copy, which may fault and sleep.
    reading: Turn,
    writing: Turn,
    /// Where who has the turn of `reading` waits for bytes.
    filled: WaitQueue,
    /// Where who has the turn of `writing` waits for room.
    drained: WaitQueue,
}

static PIPE: Once<CommonPipe> = Once::new();

/// Makes the pipe, at boot.
pub fn install(modes: Modes) {
    PIPE.call_once(|| CommonPipe {
        modes,
        contents: SpinLock::new(Contents::EMPTY),
        reading: Turn::new(),
        writing: Turn::new(),
        filled: WaitQueue::new(),
        drained: WaitQueue::new(),
    });
}

/// Takes bytes out of the pipe, as many as there are and `into` has room for; returns how many.
///
/// # Errors
/// `EINTR` if the caller is to take a signal or to end while it waits; `EAGAIN` if there are none and it may not wait;
/// `EFAULT`. The bytes are still in the pipe then.
pub fn read(into: UserSlice) -> Result<usize, Errno> {
    with_pipe(|pipe| pipe.read(into))
}

/// Puts the bytes of `from` into the pipe; returns how many.
///
/// # Errors
/// `EINTR` if the caller is to take a signal or to end while it waits; `EAGAIN` if there is no room and it may not
/// wait; `EFAULT`. No byte has been put there then.
pub fn write(from: UserSlice) -> Result<usize, Errno> {
    with_pipe(|pipe| pipe.write(from))
}

fn with_pipe(call: impl FnOnce(&CommonPipe) -> Result<usize, Errno>) -> Result<usize, Errno> {
    let pipe = PIPE.get().ok_or(Errno::ENOSYS)?;
    let result = call(pipe);
    if pipe.modes.is_scheduling && !pipe.modes.is_blocking {
        sched::yield_now();
    }
    result
}

impl CommonPipe {
    fn read(&self, into: UserSlice) -> Result<usize, Errno> {
        let (into, _) = into.split_at(self.modes.capacity_bytes());
        if into.is_empty() {
            return Ok(0);
        }
        let _reading = self.reading.take()?;
        self.wait_on(&self.filled, || self.contents.lock().len > 0)?;
        let contents = *self.contents.lock();
        let len = into.copy_out(contents.bytes())?;
        self.contents.lock().remove(len);
        self.drained.wake_one();
        Ok(len)
    }

    fn write(&self, from: UserSlice) -> Result<usize, Errno> {
        let _writing = self.writing.take()?;
        let (mut rest, mut total) = (from, 0);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(self.modes.capacity_bytes());
            match self.write_piece(piece) {
                Ok(len) => total += len,
                Err(error) if total == 0 => return Err(error),
                Err(_) => break,
            }
            rest = later;
            if !self.modes.is_blocking || !self.modes.is_batching || pause_point().is_err() {
                break;
            }
        }
        Ok(total)
    }

    /// Puts `piece` into the pipe, which is large enough for it: all of it, or without blocking what there is room for.
    fn write_piece(&self, piece: UserSlice) -> Result<usize, Errno> {
        let mut bytes = [0; COMMON_PIPE_LEN];
        let len = piece.copy_in(&mut bytes)?;
        let capacity = self.modes.capacity_bytes();
        let wanted = if self.modes.is_blocking { len } else { 1 };
        self.wait_on(&self.drained, || {
            self.contents.lock().len + wanted <= capacity
        })?;
        let mut contents = self.contents.lock();
        let len = len.min(capacity - contents.len);
        contents.add(&bytes[..len]);
        drop(contents);
        self.filled.wake_one();
        Ok(len)
    }

    /// Waits in `queue` until `is_ready`. What makes it ready, only the caller with its turn can undo.
    fn wait_on(&self, queue: &WaitQueue, is_ready: impl Fn() -> bool) -> Result<(), Errno> {
        if is_ready() {
            return Ok(());
        }
        if !self.modes.is_blocking {
            return Err(Errno::EAGAIN);
        }
        Ok(queue.wait_until(|| is_ready().then_some(()))?)
    }
}

/// The bytes in the pipe, the oldest first.
#[derive(Copy, Clone)]
struct Contents {
    bytes: [u8; COMMON_PIPE_LEN],
    len: usize,
}

impl Contents {
    const EMPTY: Contents = Contents {
        bytes: [0; COMMON_PIPE_LEN],
        len: 0,
    };

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Adds bytes for which there is room.
    fn add(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Removes the first `len` bytes, which are there.
    fn remove(&mut self, len: usize) {
        self.bytes.copy_within(len..self.len, 0);
        self.len -= len;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Contents;

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came() {
        let mut contents = Contents::EMPTY;
        contents.add(b"abcd");
        contents.remove(2);
        contents.add(b"ef");
        assert_eq!(contents.bytes(), b"cdef");
        contents.remove(4);
        assert_eq!(contents.bytes(), b"");
    }
}
