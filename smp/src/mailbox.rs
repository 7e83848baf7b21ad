//! Requests from one CPU to others: a function and a few words, run by each target once.
//!
//! When [`Pending::wait`] returns, every target has run the function and no target uses the request any more.
//!
//! A CPU that waits for something must still answer those that wait for it. So what others are asked for is harmless
//! (MAIL-5), and a CPU does it from the interrupt and wherever it spins or waits, whatever locks it holds and with
//! interrupts off.
//!
//! Each CPU has one record (what it asks others for) and one inbox (a bitmap of the CPUs that ask it). A sender fills
//! its record, sets its bit in each target's inbox and rings; a target takes its whole inbox with one swap, runs each
//! sender's request and counts down that record.
//!
//! - **MAIL-1**: a record is written only by its own CPU, with interrupts off, while its count of unfinished targets is
//!   0. So nobody reads a request while it changes, and no request is replaced before every target has finished
//!   with it.
//! - **MAIL-2**: a sender sets its bit once for each target and request, and whoever clears the bit by the swap, with
//!   interrupts off, runs the request. So each target runs it exactly once.
//! - **MAIL-3**: whoever makes a word of an inbox other than 0 rings its owner before it does anything else. So a bit
//!   in an inbox always has an interrupt on the way, though not every sender rings.
//! - **MAIL-4**: a CPU that waits for others serves what it is asked for meanwhile (TLB-4). So CPUs that send to each
//!   other get on.
//! - **MAIL-5**: what a request runs takes no lock, allocates nothing, wakes nobody and waits for nothing.
//! - **MAIL-6**: who has waited for long rings again at those that have not looked. So an interrupt that got lost
//!   costs time, and if none arrives the wait ends with a panic that names those CPUs.

mod post;
mod record;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicPtr, Ordering};

pub use post::{Bell, Mailboxes, Pending};

use crate::OutOfMemory;
use crate::cpu_set::CpuSet;
use crate::irq::IrqOff;
use crate::pin::{self, Pinned};

/// How many words say what a request is about.
pub const SUBJECT_WORDS: usize = 3;

/// How many words may follow them: the pages of a flush page by page.
pub const LIST_MAX: usize = 14;

/// What a target runs, with interrupts off, on the words of a request: those of its subject, and then its list.
pub type Function = fn(&[usize], &IrqOff);

/// What a target shall do: `function(words)`. The words are copied, so that targets never look at the sender's stack.
#[derive(Copy, Clone, Debug)]
pub struct Request<'w> {
    /// Run by each target. It keeps MAIL-5.
    pub function: Function,
    /// Its first words.
    pub subject: [usize; SUBJECT_WORDS],
    /// Its other words, at most [`LIST_MAX`].
    pub list: &'w [usize],
}

impl Request<'_> {
    /// A request that needs no words.
    pub const fn of(function: Function) -> Request<'static> {
        Request {
            function,
            subject: [0; SUBJECT_WORDS],
            list: &[],
        }
    }
}

/// Interrupts each CPU of the set, so that it calls [`serve_from_interrupt`].
pub type Ring = fn(&CpuSet, &IrqOff);

impl<F: Fn(&CpuSet, &IrqOff)> Bell for F {
    #[inline(always)]
    fn ring(&self, targets: &CpuSet, off: &IrqOff) {
        self(targets, off);
    }
}

/// The machine's mailboxes, or null until `init`.
static MAILBOXES: AtomicPtr<Mailboxes<Ring>> = AtomicPtr::new(core::ptr::null_mut());

/// Makes the mailboxes of the CPUs `0..possible_cpus`, once, before a second CPU runs. `ring` is how CPUs are
/// interrupted.
///
/// # Errors
/// [`OutOfMemory`].
pub fn init(possible_cpus: usize, ring: Ring) -> Result<(), OutOfMemory> {
    let mailboxes = Mailboxes::new(possible_cpus, ring)?;
    let layout = core::alloc::Layout::new::<Mailboxes<Ring>>();
    // SAFETY: the layout is not empty.
    let place = unsafe { alloc::alloc::alloc(layout) }.cast::<Mailboxes<Ring>>();
    if place.is_null() {
        return Err(OutOfMemory);
    }
    // SAFETY: just allocated with the layout of this type.
    let mailboxes = unsafe {
        place.write(mailboxes);
        Box::from_raw(place)
    };
    // Release pairs with the Acquire in `mailboxes`.
    let earlier = MAILBOXES.swap(Box::leak(mailboxes), Ordering::Release);
    assert!(earlier.is_null(), "the mailboxes were made twice");
    Ok(())
}

#[inline(always)]
fn mailboxes() -> Option<&'static Mailboxes<Ring>> {
    // Acquire pairs with the Release in `init`.
    let mailboxes = MAILBOXES.load(Ordering::Acquire);
    // SAFETY: null, or leaked by `init`.
    unsafe { mailboxes.as_ref() }
}

/// Asks each CPU of `targets`, which are others than this one, for `request`.
///
/// May be called with interrupts off and locks held. If this CPU's earlier request is still under way, waits for that
/// first.
#[inline(always)]
pub fn send<'p>(pin: &'p Pinned, targets: &CpuSet, request: Request<'_>) -> Pending<'p, Ring> {
    match mailboxes() {
        Some(mailboxes) => mailboxes.send(pin, targets, request),
        None => send_before_init(targets),
    }
}

#[cold]
fn send_before_init<'p>(targets: &CpuSet) -> Pending<'p, Ring> {
    assert!(
        targets.is_empty(),
        "a request to other CPUs before there are mailboxes"
    );
    Pending::done()
}

/// Runs what this CPU has been asked for. Every CPU that spins or waits for another calls it again and again; it costs a
/// few reads when there is nothing.
#[inline]
pub fn serve_requests() {
    if let Some(mailboxes) = mailboxes() {
        mailboxes.serve_requests(&pin::pin());
    }
}

/// As [`serve_requests`]: the body of the mailbox interrupt's handler.
pub fn serve_from_interrupt(off: &IrqOff) {
    if let Some(mailboxes) = mailboxes() {
        mailboxes.serve(off);
    }
}
