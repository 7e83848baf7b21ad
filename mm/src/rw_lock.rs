//! A lock for several readers or one writer, whose waiters sleep.
//!
//! Guarantee: a writer has the value to himself; readers share it. Whoever waits gives his CPU away, and sleeps four
//! times at most, however many others come meanwhile: so nobody waits for ever, as long as those who have the lock give
//! it back.
//!
//! While somebody sleeps, no reader comes in. But nobody is handed the lock as a rule: who runs when it becomes free
//! may take it before those who have been woken, since it would lie idle until they run. Who has been woken and
//! overtaken takes a number. The numbers are served in turn, and whose turn it is *reserves* the lock if he is
//! overtaken again: then it is his as soon as those who have it are gone.
//!
//! How a thread sleeps is not `mm`'s to know: `proc` says it ([`set_sleeper`]). Before that, and on the host, a waiter
//! spins, serving its requests (TLB-4). No spin lock is held by who takes this lock.
//!
//! - **RW-1** the word says who has the lock: `WRITER`, or the number of readers.
//! - **RW-2** who is about to sleep has read `wakes` and then set `WAITING`, and sleeps only until `wakes` changes; who
//!   gives the lock back and finds `WAITING` set clears it, changes `wakes`, and then wakes everybody. So no wake-up is
//!   lost, none is made for nobody, and who runs late does not take the next one's `WAITING` for his own.
//! - **RW-3** only whose turn it is sets `RESERVED`, and only he clears it, as he takes the lock. Nobody else takes a
//!   lock that is reserved, and his turn ends when he has it.

mod sleeper;

use core::fmt;
use core::ops::{Deref, DerefMut};

use smp::sync::{AtomicU32, Ordering, UnsafeCell};

pub use self::sleeper::{Ending, Sleeper, Threads, pause_point, set_sleeper};

const WRITER: u32 = 1 << 31;
const WAITING: u32 = 1 << 30;
const RESERVED: u32 = 1 << 29;
const READERS: u32 = RESERVED - 1;

/// A value for several readers or one writer. See the module's page.
pub struct RwLock<T, S: Sleeper = Threads> {
    word: AtomicU32,
    /// How often those who wait have been woken because the lock became free.
    wakes: AtomicU32,
    /// The number that who is overtaken next gets.
    next_number: AtomicU32,
    /// The number whose turn it is.
    turn: AtomicU32,
    value: UnsafeCell<T>,
    sleeper: S,
}

/// What somebody wants to do with the value.
#[derive(Copy, Clone)]
enum Access {
    Read,
    Write,
}

impl Access {
    /// What is set in the word while the lock is reserved for this. A writer's also has the last reader wake him.
    const fn reservation(self) -> u32 {
        match self {
            Access::Read => RESERVED,
            Access::Write => RESERVED | WAITING,
        }
    }

    /// The word of a reserved lock, which is `word`, once whom it is reserved for has taken it. `None` if others have
    /// it.
    const fn take_reserved(self, word: u32) -> Option<u32> {
        match self {
            Access::Read if word & WRITER == 0 => Some((word & !RESERVED) + 1),
            Access::Write if word & (WRITER | READERS) == 0 => Some(word & !RESERVED | WRITER),
            Access::Read | Access::Write => None,
        }
    }
}

// SAFETY: readers have `&T` on several CPUs at a time, and writers take turns with `&mut T`.
unsafe impl<T: Send + Sync, S: Sleeper> Sync for RwLock<T, S> {}
// SAFETY: the lock owns the value and the sleeper.
unsafe impl<T: Send, S: Sleeper + Send> Send for RwLock<T, S> {}

impl<T> RwLock<T> {
    /// An unlocked lock around `value`.
    pub fn new(value: T) -> RwLock<T> {
        RwLock::with_sleeper(value, Threads)
    }
}

impl<T, S: Sleeper> RwLock<T, S> {
    /// An unlocked lock around `value`, whose waiters sleep as `sleeper` says.
    pub fn with_sleeper(value: T, sleeper: S) -> RwLock<T, S> {
        RwLock {
            word: AtomicU32::new(0),
            wakes: AtomicU32::new(0),
            next_number: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            value: UnsafeCell::new(value),
            sleeper,
        }
    }

    /// Waits until no writer has the value, and reads it.
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, T, S> {
        smp::pin::assert_may_wait();
        if !self.try_read() {
            self.wait_for(Access::Read);
        }
        ReadGuard { lock: self }
    }

    /// Reads the value, unless a writer has it or waits for it.
    #[inline]
    pub fn read_if_free(&self) -> Option<ReadGuard<'_, T, S>> {
        self.try_read().then(|| ReadGuard { lock: self })
    }

    /// Waits until nobody has the value, and takes it.
    #[inline]
    pub fn write(&self) -> WriteGuard<'_, T, S> {
        smp::pin::assert_may_wait();
        if !self.try_write() {
            self.wait_for(Access::Write);
        }
        WriteGuard { lock: self }
    }

    /// The value, which nobody else can reach.
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` is the only way to the value.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// Whether somebody has the value now.
    #[cfg(test)]
    pub(crate) fn is_taken_racy(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn try_read(&self) -> bool {
        // Relaxed: a guess, which the exchange checks.
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WRITER | WAITING | RESERVED) == 0 {
            // Acquire pairs with the Release of the last writer, in `WriteGuard::drop` or `writer_left`.
            match self
                .word
                .compare_exchange(word, word + 1, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    #[inline]
    fn try_write(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !WAITING == 0 {
            // Acquire pairs with the Release of the last writer, and of every reader in `ReadGuard::drop`.
            match self.word.compare_exchange(
                word,
                word | WRITER,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    fn try_access(&self, access: Access) -> bool {
        match access {
            Access::Read => self.try_read(),
            Access::Write => self.try_write(),
        }
    }

    /// Takes the lock, which was not free.
    #[cold]
    #[inline(never)]
    fn wait_for(&self, access: Access) {
        if self.try_when_free(access) {
            return;
        }
        // Relaxed, and below: each number is one thread's; what orders a sleeper's last look and the waker's call is
        // the sleeper's queue.
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        self.sleep_while(|| self.turn.load(Ordering::Relaxed) != number);
        if !self.try_when_free(access) {
            self.reserve_and_take(access);
        }
        self.turn.store(number.wrapping_add(1), Ordering::Relaxed);
        self.sleeper.wake_all(self.key());
    }

    /// Sleeps until those who have the lock have given it back, and tries to take it.
    fn try_when_free(&self, access: Access) -> bool {
        // Acquire pairs with the Release in `wake`: a `WAITING` that is seen or set below has not been cleared by those
        // who have been counted already (RW-2).
        let wakes = self.wakes.load(Ordering::Acquire);
        if self.mark_waiting() {
            self.sleep_while(|| self.wakes.load(Ordering::Relaxed) == wakes);
        }
        self.try_access(access)
    }

    /// Sees to it that the caller is woken when the lock becomes free. False if it may be free, or the word changes
    /// meanwhile.
    fn mark_waiting(&self) -> bool {
        // Relaxed: RW-2 is about this one word, whose changes everybody sees in one order.
        let word = self.word.load(Ordering::Relaxed);
        let marked = word | WAITING;
        word != 0
            && (word == marked
                || self
                    .word
                    .compare_exchange(word, marked, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok())
    }

    /// Takes the lock as soon as those are gone who have it, before anybody who comes. It is the caller's turn (RW-3).
    fn reserve_and_take(&self, access: Access) {
        self.word.fetch_or(access.reservation(), Ordering::Relaxed);
        loop {
            let look = || {
                let word = self.word.load(Ordering::Relaxed);
                access.take_reserved(word).map(|taken| (word, taken))
            };
            self.sleep_while(|| look().is_none());
            // It fails only if somebody has come meanwhile and set `WAITING`. Acquire as in `try_write`.
            if let Some((word, taken)) = look()
                && self
                    .word
                    .compare_exchange(word, taken, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
        }
    }

    fn sleep_while(&self, is_to_wait: impl Fn() -> bool) {
        self.sleeper.wait_while(self.key(), &is_to_wait);
    }

    /// Wakes all who wait. The lock is free, but may be reserved, and `WAITING` has been cleared.
    fn wake(&self) {
        // Release pairs with the Acquire in `try_when_free`.
        self.wakes.fetch_add(1, Ordering::Release);
        self.sleeper.wake_all(self.key());
    }

    /// Gives the lock back, of which a writer has found that somebody waits for it.
    #[cold]
    #[inline(never)]
    fn writer_left(&self) {
        // Release as in `WriteGuard::drop`. A reservation stays.
        self.word.fetch_and(RESERVED, Ordering::Release);
        self.wake();
    }

    /// A reader has left while somebody waits; the word was `before`. The last one wakes them, unless somebody has
    /// taken the lock meanwhile, who will.
    #[cold]
    #[inline(never)]
    fn reader_left(&self, before: u32) {
        if before & READERS != 1 {
            return;
        }
        let free = before - 1;
        // Relaxed: as a read-modify-write it goes on with what the readers' decrements released to the next writer.
        let cleared =
            self.word
                .compare_exchange(free, free & RESERVED, Ordering::Relaxed, Ordering::Relaxed);
        if cleared.is_ok() {
            self.wake();
        }
    }

    fn key(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}

/// The right to read the value of a [`RwLock`].
#[must_use = "dropping the guard unlocks at once"]
pub struct ReadGuard<'l, T, S: Sleeper = Threads> {
    lock: &'l RwLock<T, S>,
}

impl<T, S: Sleeper> Deref for ReadGuard<'_, T, S> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: RW-1: there is no writer while this reader counts.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T, S: Sleeper> Drop for ReadGuard<'_, T, S> {
    #[inline]
    fn drop(&mut self) {
        // Release pairs with the Acquire of the next writer: what this reader read, it read before.
        let before = self.lock.word.fetch_sub(1, Ordering::Release);
        // There is no `WRITER`, and this reader counted: `WAITING` is set.
        if before > WAITING {
            self.lock.reader_left(before);
        }
    }
}

/// The right to change the value of a [`RwLock`].
#[must_use = "dropping the guard unlocks at once"]
pub struct WriteGuard<'l, T, S: Sleeper = Threads> {
    lock: &'l RwLock<T, S>,
}

impl<T, S: Sleeper> Deref for WriteGuard<'_, T, S> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: RW-1: the writer is alone.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T, S: Sleeper> DerefMut for WriteGuard<'_, T, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T, S: Sleeper> Drop for WriteGuard<'_, T, S> {
    #[inline]
    fn drop(&mut self) {
        // Release pairs with the Acquire of whoever comes next.
        let freed =
            self.lock
                .word
                .compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed);
        if freed.is_err() {
            self.lock.writer_left();
        }
    }
}

impl<T, S: Sleeper> fmt::Debug for RwLock<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: for a message.
        let of = |word: &AtomicU32| word.load(Ordering::Relaxed);
        f.debug_struct("RwLock")
            .field("word", &format_args!("{:#x}", of(&self.word)))
            .field("wakes", &of(&self.wakes))
            .field("next_number", &of(&self.next_number))
            .field("turn", &of(&self.turn))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod overtaking;

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::RwLock;

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let lock = RwLock::new(0_usize);
        let (readers, most_readers) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        *lock.write() += 1;
                        let value = lock.read();
                        let now = readers.fetch_add(1, Ordering::SeqCst) + 1;
                        most_readers.fetch_max(now, Ordering::SeqCst);
                        assert!(*value > 0);
                        readers.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*lock.read(), 8000);
    }

    #[test]
    fn two_readers_have_the_value_at_the_same_time() {
        let lock = RwLock::new(5);
        let (first, second) = (lock.read(), lock.read());
        assert_eq!(*first + *second, 10);
    }
}
