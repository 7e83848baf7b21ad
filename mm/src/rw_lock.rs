//! A lock for several readers or one writer, whose waiters sleep.
//!
//! Guarantee: a writer has the value to himself; readers share it. Whoever waits gives his CPU away, and is woken when the lock
//! becomes free; a reader that comes while a writer sleeps waits too. Nobody is handed the lock: between being woken and running,
//! a waiter can be overtaken, and then sleeps again.
//!
//! How a thread sleeps is not `mm`'s to know: `proc` says it ([`set_sleeper`]). Before that, and on the host, a waiter
//! spins, serving its flush requests (TLB-4). No spin lock is held by who takes this lock.
//!
//! - **RW-1** the word says who has the lock: `WRITER`, or the number of readers.
//! - **RW-2** who is about to sleep has set `WAITING`, and sleeps only while it is set; who gives the lock back and finds it set
//!   clears it first and then wakes everybody. So no wake-up is lost, and no wake-up is made for nobody.

use core::ops::{Deref, DerefMut};

use smp::sync::{AtomicU32, Ordering, UnsafeCell};
use smp::wait::SpinWait;
use spin::Once;

const WRITER: u32 = 1 << 31;
const WAITING: u32 = 1 << 30;

/// How a thread gives its CPU away while it waits for a lock.
pub trait Sleeper: Sync {
    /// Returns soon after `is_to_wait` has become false and `wake_all` has been called with the same key, or earlier.
    fn wait_while(&self, key: usize, is_to_wait: &dyn Fn() -> bool);
    /// Wakes all who wait with `key`. What they wait for has changed before.
    fn wake_all(&self, key: usize);
}

static SLEEPER: Once<&'static dyn Sleeper> = Once::new();

/// Says how threads sleep; once, when there are threads.
pub fn set_sleeper(sleeper: &'static dyn Sleeper) {
    SLEEPER.call_once(|| sleeper);
}

/// How the kernel's threads sleep: as `proc` has said. Before there are threads nobody else has a CPU to give away to, and a
/// waiter spins.
#[derive(Copy, Clone, Debug)]
pub struct Threads;

impl Sleeper for Threads {
    fn wait_while(&self, key: usize, is_to_wait: &dyn Fn() -> bool) {
        if let Some(sleeper) = SLEEPER.get() {
            sleeper.wait_while(key, is_to_wait);
            return;
        }
        let mut wait = SpinWait::new();
        while is_to_wait() {
            smp::mailbox::serve_flush_requests();
            assert!(wait.turn(), "a reader/writer lock is never given back");
        }
    }

    fn wake_all(&self, key: usize) {
        if let Some(sleeper) = SLEEPER.get() {
            sleeper.wake_all(key);
        }
    }
}

/// A value for several readers or one writer. See the module's page.
pub struct RwLock<T, S: Sleeper = Threads> {
    word: AtomicU32,
    value: UnsafeCell<T>,
    sleeper: S,
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
            value: UnsafeCell::new(value),
            sleeper,
        }
    }

    /// Waits until no writer has the value, and reads it.
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, T, S> {
        if !self.try_read() {
            self.wait_for(Self::try_read);
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
        if !self.try_write() {
            self.wait_for(Self::try_write);
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
        while word & (WRITER | WAITING) == 0 {
            // Acquire pairs with the Release of the last writer in `WriteGuard::drop`.
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

    #[cold]
    #[inline(never)]
    fn wait_for(&self, attempt: fn(&Self) -> bool) {
        loop {
            if attempt(self) {
                return;
            }
            // Relaxed: RW-2 is about this one word, whose changes everybody sees in one order. What orders the sleeper's last
            // look and the waker's call is the sleeper's queue.
            let word = self.word.load(Ordering::Relaxed);
            let is_taken = word != 0;
            let marked = is_taken
                && (word & WAITING != 0
                    || self
                        .word
                        .compare_exchange(
                            word,
                            word | WAITING,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        )
                        .is_ok());
            if marked {
                self.sleeper.wait_while(self.key(), &|| {
                    self.word.load(Ordering::Relaxed) & WAITING != 0
                });
            }
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
        if before == WAITING | 1 {
            self.lock.last_reader_left();
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
        // Release pairs with the Acquire of whoever comes next. RW-2: clears `WAITING` too.
        let before = self.lock.word.swap(0, Ordering::Release);
        if before & WAITING != 0 {
            self.lock.sleeper.wake_all(self.lock.key());
        }
    }
}

impl<T, S: Sleeper> RwLock<T, S> {
    /// Wakes the waiting, unless somebody has taken the lock meanwhile, who will.
    #[cold]
    #[inline(never)]
    fn last_reader_left(&self) {
        // Relaxed: as a read-modify-write it goes on with what the readers' decrements released to the next writer.
        let cleared = self
            .word
            .compare_exchange(WAITING, 0, Ordering::Relaxed, Ordering::Relaxed);
        if cleared.is_ok() {
            self.sleeper.wake_all(self.key());
        }
    }
}

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
