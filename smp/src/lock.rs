//! The kernel's spin lock.
//!
//! Between `lock` and the guard's drop no other CPU, and no interrupt handler of this one, gets at the value.
//!
//! The lock is one word, set by a compare-and-exchange and cleared by a store. It is not fair, on purpose: where there
//! are more virtual CPUs than host cores, a queue waits for its first member even while the host does not run that.
//! A waiting CPU reads, and pauses now and then, as [`crate::wait`] says.
//!
//! - LOCK-1, LOCK-2: order and masking, see [`crate::rank`].
//! - **LOCK-3**: a thread that holds a spin lock keeps its CPU. (The scheduler asserts it by
//!   [`pin::assert_may_switch`](crate::pin::assert_may_switch).)
//! - **TLB-4**: a CPU that waits for a lock serves its requests, since the holder may be waiting for the answer.
//!
//! A lock that stays held past a bound is a panic ([`crate::watchdog`]). Debug builds check the order, and know the
//! holder; release builds have one test besides the lock's own instructions: whether statistics are kept.

mod raw;
mod statistics;

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

pub use raw::RawLock;
pub use statistics::{
    LockStatistics, are_statistics_kept, reset_statistics, set_statistics, statistics,
};

use crate::cpu;
use crate::hw;
use crate::irq::{self, IrqOff};
use crate::mailbox;
use crate::rank::Rank;
use crate::wait::SpinWait;

/// What a guard holds besides the lock itself.
pub trait Hold: Sized {
    /// Whether that keeps interrupts off.
    const MASKS_INTERRUPTS: bool;
    /// Begins to hold it.
    fn begin() -> Self;
}

impl Hold for IrqOff {
    const MASKS_INTERRUPTS: bool = true;

    #[inline(always)]
    fn begin() -> IrqOff {
        irq::disable()
    }
}

/// Nothing: interrupts stay as they are.
#[derive(Debug)]
pub struct Unmasked;

impl Hold for Unmasked {
    const MASKS_INTERRUPTS: bool = false;

    #[inline(always)]
    fn begin() -> Unmasked {
        Unmasked
    }
}

/// A value that one CPU at a time gets at. `R` says when the lock may be taken and whether it masks interrupts.
pub struct SpinLock<T: ?Sized, R: Rank> {
    raw: RawLock,
    rank: PhantomData<fn() -> R>,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is reached only through a guard, of which there is one at a time, or through `&mut self`.
unsafe impl<T: ?Sized + Send, R: Rank> Sync for SpinLock<T, R> {}

impl<T, R: Rank> SpinLock<T, R> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> SpinLock<T, R> {
        SpinLock {
            raw: RawLock::new(),
            rank: PhantomData,
            value: UnsafeCell::new(value),
        }
    }

    /// The value, when nobody shares the lock any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized, R: Rank> SpinLock<T, R> {
    /// Waits until the lock is free, and takes it.
    #[inline(always)]
    pub fn lock(&self) -> SpinGuard<'_, T, R> {
        if cfg!(debug_assertions) {
            check_rank::<R>();
        }
        let hold = R::Hold::begin();
        if !self.raw.try_acquire(own_mark()) {
            wait_for::<R>(&self.raw);
        }
        self.guard(hold)
    }

    /// Takes the lock if it is free. Since this does not wait, the order of ranks does not matter.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T, R>> {
        let hold = R::Hold::begin();
        self.raw.try_acquire(own_mark()).then(|| self.guard(hold))
    }

    /// The value, without locking: nobody else can have the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The guard of a lock that has just been acquired.
    #[inline(always)]
    fn guard(&self, hold: R::Hold) -> SpinGuard<'_, T, R> {
        if statistics::are_statistics_kept() {
            statistics::acquired::<R>();
        }
        if cfg!(debug_assertions) {
            hw::block().rank_taken(R::LEVEL);
        }
        // SAFETY: a cell's address is not null.
        let value = unsafe { NonNull::new_unchecked(self.value.get()) };
        SpinGuard {
            raw: &self.raw,
            value,
            borrow: PhantomData,
            _hold: hold,
        }
    }
}

impl<T: ?Sized, R: Rank> fmt::Debug for SpinLock<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock")
            .field("rank", &R::NAME)
            .finish_non_exhaustive()
    }
}

impl<T: Default, R: Rank> Default for SpinLock<T, R> {
    fn default() -> SpinLock<T, R> {
        SpinLock::new(T::default())
    }
}

/// What the lock's word holds while this CPU has it: not 0, and in debug builds it names the CPU.
#[inline(always)]
fn own_mark() -> u32 {
    if cfg!(debug_assertions) {
        cpu::id_racy().index() as u32 + 1
    } else {
        1
    }
}

/// LOCK-1 and LOCK-2, for a lock that this CPU is about to wait for.
fn check_rank<R: Rank>() {
    let block = hw::block();
    assert!(
        R::MASKS_INTERRUPTS || block.handler_depth() == 0,
        "LOCK-2: an interrupt handler takes a lock of rank {}, which does not mask interrupts",
        R::NAME
    );
    if let Some(held) = block.highest_rank_held() {
        let held_name = crate::rank::name(held);
        assert!(
            held < R::LEVEL,
            "LOCK-1: a lock of rank {} is taken while one of rank {held_name} is held",
            R::NAME
        );
    }
}

/// Waits for a lock that was not free, and takes it.
#[cold]
#[inline(never)]
fn wait_for<R: Rank>(raw: &RawLock) {
    let mut wait = SpinWait::new();
    raw.acquire_waiting(own_mark(), |holder_mark| {
        mailbox::serve_requests();
        if !wait.turn() {
            stays_held::<R>(holder_mark);
        }
    });
    if statistics::are_statistics_kept() {
        statistics::contended::<R>(wait.turns());
    }
}

/// The backtraces that follow show who has it. Only debug builds know the CPU.
fn stays_held<R: Rank>(holder_mark: u32) -> ! {
    if cfg!(debug_assertions) {
        panic!(
            "watchdog: a lock of rank {} stays held by CPU {}",
            R::NAME,
            holder_mark - 1
        );
    }
    panic!("watchdog: a lock of rank {} stays held", R::NAME);
}

/// The right to the value of a [`SpinLock`], until it is dropped.
#[must_use = "the lock is held only while the guard lives"]
pub struct SpinGuard<'a, T: ?Sized, R: Rank> {
    raw: &'a RawLock,
    value: NonNull<T>,
    borrow: PhantomData<&'a mut T>,
    /// Dropped after the lock has been released: interrupts come back last.
    _hold: R::Hold,
}

impl<T: ?Sized, R: Rank> Deref for SpinGuard<'_, T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only way to the value while it lives.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, R: Rank> DerefMut for SpinGuard<'_, T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, R: Rank> Drop for SpinGuard<'_, T, R> {
    #[inline(always)]
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            hw::block().rank_given_back(R::LEVEL);
            assert!(
                !(R::MASKS_INTERRUPTS && hw::interrupts_enabled()),
                "LOCK-2: interrupts were turned on while a lock of rank {} was held",
                R::NAME
            );
        }
        self.raw.release();
    }
}

impl<T: ?Sized + fmt::Debug, R: Rank> fmt::Debug for SpinGuard<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests;
