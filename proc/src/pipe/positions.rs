//! Where reader and writer of a pipe are, and whether one of them waits for the other.
//!
//! Positions count bytes since the pipe was made and wrap; only their differences mean anything. The reader alone
//! changes `taken`, the writer alone `put`.
//!
//! The guarantee: a wake-up is asked for when, and only when, the other side may be asleep.
//!
//! - **POS-1** the bytes from `taken` to `put` are the reader's, all others the writer's. Publishing a position gives
//!   bytes to the other side (release), looking at it receives them (acquire).
//! - **POS-2** who is going to sleep first says so and then looks at the other's position (and whether it is closed);
//!   who moves its position first publishes it and then looks whether the other sleeps. Between the two steps both have
//!   a SeqCst fence, so one of the two sees the other. (Who closes wakes in any case.)
//! - **POS-3** who finds that the other sleeps clears its note and wakes it afterwards: should the other have just
//!   written it anew, the wake-up makes it look once more.
//!
//! A writer sleeps until there is room for all that it still has to write, or half the pipe: a reader that takes a byte
//! at a time does not wake it for each. It cannot happen that both sleep: the reader does so only when the pipe is
//! empty, which is enough for any writer.

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use abi::Errno;

use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};

/// How many bytes a pipe holds.
pub(super) const CAPACITY_BYTES: usize = 64 * 1024;

/// The most room that a writer waits for.
const WRITER_PATIENCE_BYTES: usize = CAPACITY_BYTES / 2;

/// Whether the other side has to be woken.
#[must_use]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Wake {
    NotNeeded,
    Needed,
}

pub(super) struct Positions {
    /// After the last byte written.
    put: AtomicUsize,
    /// After the last byte read.
    taken: AtomicUsize,
    /// The reader sleeps until there is a byte, or is about to.
    reader_waits: AtomicBool,
    /// The writer sleeps until there is this much room, or is about to; 0 if it does not.
    writer_wants: AtomicUsize,
    has_reader: AtomicBool,
    has_writer: AtomicBool,
}

impl Positions {
    pub(super) fn new() -> Positions {
        Positions {
            put: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            reader_waits: AtomicBool::new(false),
            writer_wants: AtomicUsize::new(0),
            has_reader: AtomicBool::new(true),
            has_writer: AtomicBool::new(true),
        }
    }

    /// Where the reader is. For the reader, which alone changes it.
    #[inline]
    pub(super) fn taken(&self) -> usize {
        // Relaxed: the caller's own, or handed on with the lock of its side.
        self.taken.load(Ordering::Relaxed)
    }

    /// Where the writer is. For the writer, which alone changes it.
    #[inline]
    pub(super) fn put(&self) -> usize {
        // Relaxed: as in `taken`.
        self.put.load(Ordering::Relaxed)
    }

    /// How many bytes there are to read. For the reader.
    #[inline]
    pub(super) fn available(&self) -> usize {
        // Acquire: POS-1, pairs with the store in `add`.
        self.put.load(Ordering::Acquire).wrapping_sub(self.taken())
    }

    /// Whether there is a writer. If not, `available` says for good how many bytes there are.
    #[inline]
    pub(super) fn has_writer(&self) -> bool {
        // Acquire pairs with `close_writing`: what was written before closing is seen.
        self.has_writer.load(Ordering::Acquire)
    }

    /// How many bytes there are to read, or 0 if there will never be any; none if the reader has to wait. It has
    /// announced that, then.
    pub(super) fn available_or_wait(&self) -> Option<usize> {
        // Relaxed: the fence orders it.
        self.reader_waits.store(true, Ordering::Relaxed);
        // POS-2: pairs with the fence in `add`, and with the wake-up after `close_writing` (SINGLE-1).
        fence(Ordering::SeqCst);
        let is_closed = !self.has_writer();
        let available = self.available();
        let is_decided = available > 0 || is_closed;
        if is_decided {
            // Relaxed: a writer that still sees the old value wakes nobody.
            self.reader_waits.store(false, Ordering::Relaxed);
        }
        is_decided.then_some(available)
    }

    /// The reader has taken `len` bytes out.
    #[inline]
    pub(super) fn take(&self, len: usize) -> Wake {
        let taken = self.taken().wrapping_add(len);
        // Release: POS-1, pairs with the load in `free`.
        self.taken.store(taken, Ordering::Release);
        // POS-2: pairs with the fence in `free_or_wait`.
        fence(Ordering::SeqCst);
        // Relaxed, load and store: the fence and the waiting place order them.
        let wanted = self.writer_wants.load(Ordering::Relaxed);
        if wanted == 0 || self.room(taken) < wanted {
            return Wake::NotNeeded;
        }
        self.writer_wants.store(0, Ordering::Relaxed);
        Wake::Needed
    }

    /// How much room there is. For the writer.
    ///
    /// # Errors
    /// `EPIPE` if there is no reader.
    #[inline]
    pub(super) fn free(&self) -> Result<usize, Errno> {
        // Relaxed: nothing comes with it; see `close_reading`.
        if !self.has_reader.load(Ordering::Relaxed) {
            return Err(Errno::EPIPE);
        }
        // Acquire: POS-1, pairs with the store in `take`.
        Ok(self.room(self.taken.load(Ordering::Acquire)))
    }

    /// How much room there is once there is enough for `len` bytes or half the pipe, or `EPIPE`; none if the writer has
    /// to wait. It has announced that, then.
    pub(super) fn free_or_wait(&self, len: usize) -> Option<Result<usize, Errno>> {
        let wanted = len.min(WRITER_PATIENCE_BYTES);
        // Relaxed: the fence orders it.
        self.writer_wants.store(wanted, Ordering::Relaxed);
        // POS-2: pairs with the fence in `take`, and with the wake-up after `close_reading` (SINGLE-1).
        fence(Ordering::SeqCst);
        let outcome = Some(self.free()).filter(|free| !free.is_ok_and(|room| room < wanted));
        if outcome.is_some() {
            // Relaxed: a reader that still sees the old value wakes nobody.
            self.writer_wants.store(0, Ordering::Relaxed);
        }
        outcome
    }

    /// The writer has added `len` bytes.
    #[inline]
    pub(super) fn add(&self, len: usize) -> Wake {
        // Release: POS-1, pairs with the load in `available`.
        self.put
            .store(self.put().wrapping_add(len), Ordering::Release);
        // POS-2: pairs with the fence in `available_or_wait`.
        fence(Ordering::SeqCst);
        // Relaxed, load and store: the fence and the waiting place order them.
        if !self.reader_waits.load(Ordering::Relaxed) {
            return Wake::NotNeeded;
        }
        self.reader_waits.store(false, Ordering::Relaxed);
        Wake::Needed
    }

    /// There will be no reader any more. The caller wakes the writer afterwards, whatever that has said.
    pub(super) fn close_reading(&self) {
        // Relaxed: nothing comes with it, and the wake-up orders it before a writer's last look (SINGLE-1).
        self.has_reader.store(false, Ordering::Relaxed);
    }

    /// There will be no writer any more. The caller wakes the reader afterwards, whatever that has said.
    pub(super) fn close_writing(&self) {
        // Release pairs with the load in `has_writer`: what was written comes before. As above, the wake-up orders it
        // before a reader's last look.
        self.has_writer.store(false, Ordering::Release);
    }

    fn room(&self, taken: usize) -> usize {
        CAPACITY_BYTES - self.put.load(Ordering::Relaxed).wrapping_sub(taken)
    }
}
