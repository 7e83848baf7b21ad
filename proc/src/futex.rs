//! Futexes: waiting for a word of user memory to change, without a system call as long as nobody has to wait.
//!
//! The guarantee: whoever changes a word and then calls [`wake`] wakes the threads that have seen the old value in
//! [`wait`] and sleep for it, as many as he asks for, and no thread goes to sleep any more for the old value.
//!
//! The threads that wait are kept in lists, one for all words whose names ([`Space::memory_name`]) fall together.
//!
//! - **FUTEX-1** a thread is in the list before it reads the word. If the waker has looked into the list before, the
//!   store that came before that look is seen by the read that comes after: the lock of the list orders the two.
//! - **FUTEX-2** who is taken out of the list has been woken; everybody else takes himself out. So each wake-up is
//!   counted once, whatever else ends the wait.
//! - **FUTEX-3** private memory can become shared memory, and so get another name, while somebody waits there
//!   (`share`). Whoever has made it so takes those out that wait by the old name, and they begin anew (`restart`). A
//!   thread looks at the name again when it is in the list: either it sees the new one there, or it is found there.
//!
//! Reading the word may sleep, since it may fault, and so the thread may sleep, and be woken, while it is in the list.
//! That is why it hangs there by a link of its own, and goes by whether it is still there, not by how often it was
//! woken.

#[cfg(all(test, loom))]
mod model;

use abi::Errno;
use mm::addr::VirtAddr;
use mm::space::{MemoryName, Space};
use mm::user::UserPtr;
use smp::list::ArcList;
use smp::lock::SpinLock;
use smp::rank;

use crate::thread::{FUTEX_LINK, Thread};
use crate::wait::Waiter;

const LISTS: usize = 128;

static WAITERS: [Waiters; LISTS] = [const { Waiters::new() }; LISTS];

/// The key of who is to begin anew: no name has these words.
const RESTARTED: [u64; 2] = [0; 2];

/// If the word at `address` is `value`, sleeps until [`wake`] is called for it.
///
/// # Errors
/// `EAGAIN` if the word is something else, `EINVAL` if it is not aligned, `EFAULT` if it cannot be read, `EINTR`.
pub fn wait(space: &Space, address: usize, value: u32) -> Result<(), Errno> {
    loop {
        let key = name(space, address)?;
        let look = || match UserPtr::<u32>::new(address).read()? {
            // FUTEX-3.
            _ if name(space, address)?.words() != key.words() => Ok(Seen::Renamed),
            found if found == value => Ok(Seen::Value),
            _ => Ok(Seen::Other),
        };
        match waiters(&key).wait(key.words(), look)? {
            Ended::Woken => return Ok(()),
            Ended::Restarted => {}
        }
    }
}

/// Wakes up to `count` threads that wait for the word at `address`, the first to come first. Returns how many.
///
/// # Errors
/// `EINVAL` if the word is not aligned, `EFAULT` if nothing is mapped there.
pub fn wake(space: &Space, address: usize, count: usize) -> Result<usize, Errno> {
    let name = name(space, address)?;
    Ok(waiters(&name).wake(name.words(), count))
}

/// Has all begin anew that wait for words in the page of `space` at `page`, which has become shared memory (FUTEX-3).
pub(crate) fn restart(space: &Space, page: VirtAddr) {
    for waiters in &WAITERS {
        waiters.restart(|key| space.is_private_name(key, page));
    }
}

fn name(space: &Space, address: usize) -> Result<MemoryName, Errno> {
    if !address.is_multiple_of(size_of::<u32>()) {
        return Err(Errno::EINVAL);
    }
    space
        .memory_name(VirtAddr::new(address as u64))
        .ok_or(Errno::EFAULT)
}

/// Those that wait for what has this name, among others.
fn waiters(name: &MemoryName) -> &'static Waiters {
    // Words lie next to each other, and the sources of shared memory far apart: all bits are to count.
    let [first, second] = name.words();
    let mixed = (first ^ second.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &WAITERS[(mixed >> 32) as usize % LISTS]
}

/// The threads that wait for words whose names fall together.
struct Waiters {
    list: SpinLock<ArcList<Thread, FUTEX_LINK>, rank::Futexes>,
}

impl Waiters {
    const fn new() -> Waiters {
        Waiters {
            list: SpinLock::new(ArcList::new()),
        }
    }

    /// If `look` sees the value that the word behind `key` is to have, sleeps until it is woken, or to begin anew.
    ///
    /// # Errors
    /// `EAGAIN` if it sees another one; `EINTR`; those of `look`.
    fn wait(
        &self,
        key: [u64; 2],
        look: impl FnOnce() -> Result<Seen, Errno>,
    ) -> Result<Ended, Errno> {
        let current = Thread::current();
        current.set_futex_key(key);
        self.list.lock().push_back(current.clone());
        // FUTEX-1.
        let outcome = match look() {
            Ok(Seen::Value) => self.sleep(&current).map(|()| Ended::Woken),
            Ok(Seen::Other) => Err(Errno::EAGAIN),
            Ok(Seen::Renamed) => Ok(Ended::Restarted),
            Err(error) => Err(error),
        };
        // FUTEX-2: who has been woken, has been; the word may have changed just because of that.
        match self.list.lock().remove(&current) {
            Some(_) => outcome,
            None if current.futex_key() == RESTARTED => Ok(Ended::Restarted),
            None => Ok(Ended::Woken),
        }
    }

    /// Sleeps until `current` is not in the list any more.
    ///
    /// # Errors
    /// `EINTR`.
    fn sleep(&self, current: &Thread) -> Result<(), Errno> {
        while self.list.lock().contains(current) {
            current.parking.begin();
            // PARK-2: the last look, after the announcement.
            if !self.list.lock().contains(current) {
                current.parking.cancel();
            } else if current.is_interrupted() {
                current.parking.cancel();
                return Err(Errno::EINTR);
            } else {
                Thread::block();
            }
        }
        Ok(())
    }

    /// Wakes up to `count` of those that wait for the word behind `key`.
    fn wake(&self, key: [u64; 2], count: usize) -> usize {
        let is_wanted = |thread: &Thread| thread.futex_key() == key;
        // With the lock, so that whoever comes back is not woken again.
        let mut list = self.list.lock();
        list.take_where(count, is_wanted, Thread::unpark)
    }

    /// Has all begin anew who wait for a word behind one of these keys.
    fn restart(&self, is_wanted: impl Fn([u64; 2]) -> bool) {
        let mut list = self.list.lock();
        let is_wanted = |thread: &Thread| is_wanted(thread.futex_key());
        list.take_where(usize::MAX, is_wanted, |thread| {
            thread.set_futex_key(RESTARTED);
            Thread::unpark(thread);
        });
    }
}

/// What a thread sees that is about to sleep.
enum Seen {
    /// The value for which it is to sleep.
    Value,
    /// Another one.
    Other,
    /// That the word has another name by now.
    Renamed,
}

/// How a wait has ended.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
enum Ended {
    /// By a wake-up.
    Woken,
    /// For the word has another name.
    Restarted,
}
