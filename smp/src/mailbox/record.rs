//! What one CPU asks others for.

use super::{Function, LIST_MAX, Request, SUBJECT_WORDS};
use crate::irq::IrqOff;
use crate::sync::{AtomicU32, Ordering, UnsafeCell};

const WORDS_MAX: usize = SUBJECT_WORDS + LIST_MAX;

/// A CPU's request, and how many targets have not finished with it.
#[derive(Debug)]
pub(super) struct Record {
    unfinished: AtomicU32,
    request: UnsafeCell<Copied>,
}

/// A [`Request`] with the words themselves.
#[derive(Debug)]
struct Copied {
    function: Function,
    /// How many words count; at most `WORDS_MAX`.
    len: usize,
    words: [usize; WORDS_MAX],
}

// SAFETY: MAIL-1: `request` is written by one CPU while `unfinished` is 0, and read while it is not.
unsafe impl Sync for Record {}
// SAFETY: its parts are plain data.
unsafe impl Send for Record {}

impl Record {
    pub(super) fn new() -> Record {
        Record {
            unfinished: AtomicU32::new(0),
            request: UnsafeCell::new(Copied {
                function: nothing,
                len: 0,
                words: [0; WORDS_MAX],
            }),
        }
    }

    /// Whether every target has finished.
    #[inline]
    pub(super) fn is_finished(&self) -> bool {
        // Acquire pairs with the Release in `run`: what the targets did is seen, and their reads of the request come
        // before our next write to it.
        self.unfinished.load(Ordering::Acquire) == 0
    }

    /// Writes the request that `targets` CPUs shall run.
    ///
    /// # Safety
    /// MAIL-1: this is the record's own CPU, interrupts are off, and `is_finished` has been seen since they are.
    pub(super) unsafe fn fill(&self, request: Request<'_>, targets: u32) {
        self.request.with_mut(|place| {
            // SAFETY: no target has a bit of ours to find until the caller sets one, and those of earlier requests have
            // finished; on this CPU nobody interrupts.
            let place = unsafe { &mut *place };
            place.function = request.function;
            place.len = SUBJECT_WORDS + request.list.len();
            let (subject, list) = place.words.split_at_mut(SUBJECT_WORDS);
            subject.copy_from_slice(&request.subject);
            for (word, value) in list.iter_mut().zip(request.list) {
                *word = *value;
            }
        });
        // Relaxed: the Release by which the caller sets its bit in the targets' inboxes publishes it.
        self.unfinished.store(targets, Ordering::Relaxed);
    }

    /// Runs the request, as one of its targets, and says so.
    ///
    /// # Safety
    /// MAIL-2: the caller has just taken the sender's bit out of its own inbox, with Acquire.
    pub(super) unsafe fn run(&self, off: &IrqOff) {
        self.request.with(|request| {
            // SAFETY: the request was written before the bit was set and is not written again before the count below is
            // 0, which it cannot be without our step.
            let request = unsafe { &*request };
            (request.function)(&request.words[..request.len], off);
        });
        // Release pairs with the Acquire in `is_finished`.
        self.unfinished.fetch_sub(1, Ordering::Release);
    }
}

fn nothing(_words: &[usize], _off: &IrqOff) {}
