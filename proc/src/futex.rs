//! Futexes: waiting for a word of user memory to change, without a system call as long as nobody has to wait.
//!
//! The guarantee: whoever changes a word and then calls [`wake`] wakes the threads that have seen the old value in [`wait`]
//! and sleep for it, as many as he asks for, and no thread goes to sleep any more for the old value.
//!
//! The threads that wait are kept in lists, one for all words whose names ([`Space::memory_name`]) fall together.
//!
//! - **FUTEX-1** a thread is in the list before it reads the word. If the waker has looked into the list before, the store
//!   that came before that look is seen by the read that comes after: the lock of the list orders the two.
//! - **FUTEX-2** who is taken out of the list has been woken; everybody else takes himself out. So each wake-up is counted
//!   once, whatever else ends the wait.
//!
//! Reading the word may sleep, since it may fault, and so the thread may sleep, and be woken, while it is in the list. That is
//! why it hangs there by a link of its own, and goes by whether it is still there, not by how often it was woken.

use abi::Errno;
use mm::addr::VirtAddr;
use mm::space::{MemoryName, Space};
use mm::user::UserPtr;
use smp::list::ArcList;
use smp::lock::SpinLock;
use smp::rank;

use crate::sched;
use crate::thread::{FUTEX_LINK, Thread};
use crate::wait::Waiter;

const LISTS: usize = 128;

type Waiters = SpinLock<ArcList<Thread, FUTEX_LINK>, rank::Futexes>;

static WAITERS: [Waiters; LISTS] = [const { SpinLock::new(ArcList::new()) }; LISTS];

/// If the word at `address` is `value`, sleeps until [`wake`] is called for it.
///
/// # Errors
/// `EAGAIN` if the word is something else, `EINVAL` if it is not aligned, `EFAULT` if it cannot be read, `EINTR`.
pub fn wait(space: &Space, address: usize, value: u32) -> Result<(), Errno> {
    let name = name(space, address)?;
    let (current, waiters) = (sched::current(), list(&name));
    current.set_futex_key(name.words());
    waiters.lock().push_back(current.clone());
    // FUTEX-1.
    let found = UserPtr::<u32>::new(address).read();
    let outcome = match found {
        Ok(found) if found == value => sleep_in(waiters, &current),
        Ok(_) => Err(Errno::EAGAIN),
        Err(error) => Err(error.into()),
    };
    // FUTEX-2: who has been woken, has been; the word may have changed just because of that.
    match waiters.lock().remove(&current) {
        Some(_) => outcome,
        None => Ok(()),
    }
}

/// Sleeps until `current` is not in the list any more.
///
/// # Errors
/// `EINTR`.
fn sleep_in(waiters: &Waiters, current: &Thread) -> Result<(), Errno> {
    while waiters.lock().contains(current) {
        current.parking.begin();
        // PARK-2: the last look, after the announcement.
        if !waiters.lock().contains(current) {
            current.parking.cancel();
        } else if current.is_interrupted() {
            current.parking.cancel();
            return Err(Errno::EINTR);
        } else {
            sched::block();
        }
    }
    Ok(())
}

/// Wakes up to `count` threads that wait for the word at `address`, the first to come first. Returns how many.
///
/// # Errors
/// `EINVAL` if the word is not aligned, `EFAULT` if nothing is mapped there.
pub fn wake(space: &Space, address: usize, count: usize) -> Result<usize, Errno> {
    let name = name(space, address)?;
    let key = name.words();
    let mut waiters = list(&name).lock();
    let mut woken = 0;
    while woken < count {
        let Some(thread) = waiters.pop_first_where(|thread| thread.futex_key() == key) else {
            break;
        };
        // With the lock, so that whoever comes back is not woken again.
        Thread::unpark(thread);
        woken += 1;
    }
    Ok(woken)
}

fn name(space: &Space, address: usize) -> Result<MemoryName, Errno> {
    if !address.is_multiple_of(size_of::<u32>()) {
        return Err(Errno::EINVAL);
    }
    space
        .memory_name(VirtAddr::new(address as u64))
        .ok_or(Errno::EFAULT)
}

/// The list for a name.
fn list(name: &MemoryName) -> &'static Waiters {
    // Words lie next to each other, and the sources of shared memory far apart: all bits are to count.
    let [first, second] = name.words();
    let mixed = (first ^ second.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &WAITERS[(mixed >> 32) as usize % LISTS]
}
