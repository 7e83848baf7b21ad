//! Sleeping for a time.
//!
//! Each CPU keeps the threads that went to sleep on it in a list, the first to wake first. Its timer is set to that
//! one's deadline ([`crate::sched::tick`]).

use alloc::sync::Arc;

use mm::NoMemory;
use smp::cpu::CpuId;
use smp::list::ArcList;
use smp::lock::SpinLock;
use smp::percpu::PerCpu;
use smp::pin::{self, Pinned};
use smp::{rank, time};

use crate::sched::{self, tick};
use crate::thread::{SLEEP_LINK, Thread};
use crate::wait::{Interrupted, Waiter};

/// Sorted by [`Thread::wake_at_ns`].
type Sleepers = SpinLock<ArcList<Thread, SLEEP_LINK>, rank::Timers>;

static SLEEPERS: PerCpu<Sleepers> = PerCpu::new();

pub(crate) fn init(possible_cpus: usize) -> Result<(), NoMemory> {
    SLEEPERS
        .init(possible_cpus, |_| SpinLock::new(ArcList::new()))
        .map_err(|_| NoMemory)
}

/// Sleeps for at least `duration_ns`.
///
/// # Errors
/// [`Interrupted`] if the thread is to take a signal or to end.
pub fn sleep_ns(duration_ns: u64) -> Result<(), Interrupted> {
    smp::pin::assert_may_switch();
    let deadline_ns = time::now_ns().saturating_add(duration_ns);
    let current = sched::current();
    while time::now_ns() < deadline_ns {
        current.parking.begin();
        let cpu = add(deadline_ns, &current);
        // PARK-2: the last look, after the announcement.
        if current.is_interrupted() {
            current.parking.cancel();
        } else {
            sched::block();
        }
        // The timer has done it, unless something else has woken the thread.
        drop(SLEEPERS.of(cpu).lock().remove(&current));
        // First: a signal that comes after the time has passed does not hide that.
        let is_over = current.is_interrupted();
        if is_over && time::now_ns() < deadline_ns {
            return Err(Interrupted);
        }
    }
    Ok(())
}

/// Adds the thread to the sleepers of this CPU, which it returns.
fn add(deadline_ns: u64, thread: &Arc<Thread>) -> CpuId {
    let pin = pin::pin();
    thread.set_wake_at_ns(deadline_ns);
    let is_later = |other: &Thread| other.wake_at_ns() > deadline_ns;
    SLEEPERS
        .get(&pin)
        .lock()
        .insert_sorted(thread.clone(), is_later);
    tick::arm_for_sleeper(&pin, deadline_ns);
    pin.cpu()
}

/// Wakes the sleepers of this CPU whose time has come, and tells the deadline of the next one.
pub(crate) fn wake_expired(pin: &Pinned, now_ns: u64) -> Option<u64> {
    loop {
        let mut sleepers = SLEEPERS.get(pin).lock();
        let first_ns = sleepers.iter().next()?.wake_at_ns();
        if first_ns > now_ns {
            return Some(first_ns);
        }
        let expired = sleepers.pop_front();
        drop(sleepers);
        if let Some(thread) = expired {
            Thread::unpark(thread);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::{Arc, Once};

    use proptest::prelude::{prop_assert_eq, proptest};
    use smp::cpu::CpuId;
    use smp::{host, pin};

    use super::{SLEEPERS, Thread, add, init, wake_expired};
    use crate::sched::tick;

    const CPUS: usize = 4;

    /// Makes this thread play a CPU on which nobody sleeps.
    fn play(cpu: usize) {
        static MADE: Once = Once::new();
        MADE.call_once(|| {
            init(CPUS).unwrap();
            tick::init(CPUS).unwrap();
        });
        host::become_cpu(CpuId::new(cpu));
    }

    fn sleeper(deadline_ns: u64) -> Arc<Thread> {
        let thread = Thread::idle(CpuId::BOOT).unwrap();
        add(deadline_ns, &thread);
        thread
    }

    fn deadlines(cpu: usize) -> Vec<u64> {
        let sleepers = SLEEPERS.of(CpuId::new(cpu)).lock();
        sleepers.iter().map(Thread::wake_at_ns).collect()
    }

    proptest! {
        #[test]
        fn sleepers_wake_at_their_deadlines_in_order(
            sleeps in proptest::collection::vec(1..100_u64, 0..30),
            wakes in proptest::collection::vec(0..120_u64, 0..5),
        ) {
            play(1);
            let threads: Vec<_> = sleeps.iter().copied().map(sleeper).collect();
            let mut model = sleeps.clone();
            model.sort_unstable();
            for now_ns in wakes.into_iter().chain([u64::MAX]) {
                model.retain(|&deadline_ns| deadline_ns > now_ns);
                prop_assert_eq!(wake_expired(&pin::pin(), now_ns), model.first().copied());
                prop_assert_eq!(&deadlines(1), &model);
            }
            prop_assert_eq!(threads.iter().map(Arc::strong_count).sum::<usize>(), threads.len());
        }
    }

    #[test]
    fn each_cpu_wakes_its_own_sleepers() {
        play(2);
        let _here = sleeper(10);
        play(3);
        let _there = sleeper(20);
        assert_eq!(wake_expired(&pin::pin(), 15), Some(20));
        assert_eq!((deadlines(2), deadlines(3)), (vec![10], vec![20]));
        assert_eq!(wake_expired(&pin::pin(), 20), None);
        play(2);
        assert_eq!(wake_expired(&pin::pin(), 20), None);
    }
}
