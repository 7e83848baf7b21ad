//! Where reader and writer of a pipe are, and whether one of them waits for the other.
//!
//! Positions count bytes since the pipe was made and wrap; only their differences mean anything. The reader alone changes
//! `taken`, the writer alone `put`.
//!
//! The guarantee: a wake-up is asked for when, and only when, the other side may be asleep.
//!
//! - **POS-1** the bytes from `taken` to `put` are the reader's, all others the writer's. Publishing a position gives bytes
//!   to the other side (release), looking at it receives them (acquire).
//! - **POS-2** who is going to sleep first says so and then looks at the other's position (and whether it is closed); who
//!   moves its position first publishes it and then looks whether the other sleeps. All four are SeqCst, so one of the
//!   two sees the other.
//!
//! A writer sleeps until there is room for all that it still has to write, or half the pipe: a reader that takes a byte at
//! a time does not wake it for each. It cannot happen that both sleep: the reader does so only when the pipe is empty,
//! which is enough for any writer.

use abi::Errno;

use crate::sync::{AtomicBool, AtomicUsize, Ordering};

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

    /// How many bytes there are to read, or 0 if there will never be any; none if the reader has to wait. It has announced
    /// that, then.
    pub(super) fn available_or_wait(&self) -> Option<usize> {
        // SeqCst, all three loads and stores: POS-2, pairs with `add` and `close_writing`.
        self.reader_waits.store(true, Ordering::SeqCst);
        let is_closed = !self.has_writer.load(Ordering::SeqCst);
        // After the look at `has_writer`: what was written before closing is seen.
        let available = self.put.load(Ordering::SeqCst).wrapping_sub(self.taken());
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
        // SeqCst: POS-2, pairs with `free_or_wait`; as a release, POS-1, with the load in `free`.
        self.taken.store(taken, Ordering::SeqCst);
        let wanted = self.writer_wants.load(Ordering::SeqCst);
        if wanted == 0 || self.room(taken) < wanted {
            return Wake::NotNeeded;
        }
        // Relaxed: it only saves the next caller a needless wake-up; a writer that goes on waiting sets it anew.
        self.writer_wants.store(0, Ordering::Relaxed);
        Wake::Needed
    }

    /// How much room there is. For the writer.
    ///
    /// # Errors
    /// `EPIPE` if there is no reader.
    #[inline]
    pub(super) fn free(&self) -> Result<usize, Errno> {
        // Relaxed: what matters is not to wait for a reader that has gone, and before that it is looked at again.
        if !self.has_reader.load(Ordering::Relaxed) {
            return Err(Errno::EPIPE);
        }
        // Acquire: POS-1, pairs with the store in `take`.
        Ok(self.room(self.taken.load(Ordering::Acquire)))
    }

    /// How much room there is once there is enough for `len` bytes or half the pipe, or `EPIPE`; none if the writer has to
    /// wait. It has announced that, then.
    pub(super) fn free_or_wait(&self, len: usize) -> Option<Result<usize, Errno>> {
        let wanted = len.min(WRITER_PATIENCE_BYTES);
        // SeqCst, all three: POS-2, pairs with `take` and `close_reading`.
        self.writer_wants.store(wanted, Ordering::SeqCst);
        let outcome = if !self.has_reader.load(Ordering::SeqCst) {
            Some(Err(Errno::EPIPE))
        } else {
            let room = self.room(self.taken.load(Ordering::SeqCst));
            (room >= wanted).then_some(Ok(room))
        };
        if outcome.is_some() {
            // Relaxed: a reader that still sees the old value wakes nobody.
            self.writer_wants.store(0, Ordering::Relaxed);
        }
        outcome
    }

    /// The writer has added `len` bytes.
    #[inline]
    pub(super) fn add(&self, len: usize) -> Wake {
        // SeqCst: POS-2, pairs with `available_or_wait`; as a release, POS-1, with the load in `available`.
        self.put.store(self.put().wrapping_add(len), Ordering::SeqCst);
        if !self.reader_waits.load(Ordering::SeqCst) {
            return Wake::NotNeeded;
        }
        // Relaxed: as in `take`.
        self.reader_waits.store(false, Ordering::Relaxed);
        Wake::Needed
    }

    /// There will be no reader any more. Wake the writer afterwards.
    pub(super) fn close_reading(&self) {
        // SeqCst: POS-2, pairs with `free_or_wait`.
        self.has_reader.store(false, Ordering::SeqCst);
    }

    /// There will be no writer any more. Wake the reader afterwards.
    pub(super) fn close_writing(&self) {
        // SeqCst: POS-2, pairs with `available_or_wait`; as a release, what was written comes before.
        self.has_writer.store(false, Ordering::SeqCst);
    }

    fn room(&self, taken: usize) -> usize {
        CAPACITY_BYTES - self.put.load(Ordering::Relaxed).wrapping_sub(taken)
    }
}
