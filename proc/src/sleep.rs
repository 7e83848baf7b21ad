//! Sleeping for a time.
//!
//! Each CPU keeps the sleepers that went to sleep on it, the first to wake last in the vector. Its timer is set to that
//! one's deadline ([`crate::sched::tick`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use mm::NoMemory;
use smp::cpu::CpuId;
use smp::lock::SpinLock;
use smp::percpu::PerCpu;
use smp::pin::{self, Pinned};
use smp::{rank, time};

use crate::sched::{self, tick};
use crate::thread::Thread;

struct Sleeper {
    deadline_ns: u64,
    thread: Arc<Thread>,
}

/// Sorted by deadline, latest first.
type Sleepers = SpinLock<Vec<Sleeper>, rank::Timers>;

static SLEEPERS: PerCpu<Sleepers> = PerCpu::new();

pub(crate) fn init(possible_cpus: usize) -> Result<(), NoMemory> {
    SLEEPERS.init(possible_cpus, |_| SpinLock::new(Vec::new())).map_err(|_| NoMemory)
}

/// Sleeps for at least `duration_ns`.
///
/// # Errors
/// `EINTR` if the thread is being killed; `ENOMEM` if the sleep cannot be noted.
pub fn sleep_ns(duration_ns: u64) -> Result<(), Errno> {
    let deadline_ns = time::now_ns().saturating_add(duration_ns);
    let current = sched::current();
    while time::now_ns() < deadline_ns {
        current.parking.begin();
        let cpu = match add(deadline_ns, &current) {
            Ok(cpu) => cpu,
            Err(NoMemory) => {
                current.parking.cancel();
                return Err(Errno::ENOMEM);
            }
        };
        if current.is_dying() {
            current.parking.cancel();
        } else {
            sched::block();
        }
        remove(cpu, &current);
        if current.is_dying() {
            return Err(Errno::EINTR);
        }
    }
    Ok(())
}

/// Adds the thread to the sleepers of this CPU, which it returns.
fn add(deadline_ns: u64, thread: &Arc<Thread>) -> Result<CpuId, NoMemory> {
    let pin = pin::pin();
    {
        let mut sleepers = SLEEPERS.get(&pin).lock();
        sleepers.try_reserve(1).map_err(|_| NoMemory)?;
        let place = sleepers.partition_point(|sleeper| sleeper.deadline_ns > deadline_ns);
        sleepers.insert(place, Sleeper { deadline_ns, thread: thread.clone() });
    }
    tick::arm_for_sleeper(&pin, deadline_ns);
    Ok(pin.cpu())
}

/// Removes the thread from the sleepers of `cpu`, if the timer has not done it.
fn remove(cpu: CpuId, thread: &Arc<Thread>) {
    let mut sleepers = SLEEPERS.of(cpu).lock();
    sleepers.retain(|sleeper| !Arc::ptr_eq(&sleeper.thread, thread));
    if sleepers.is_empty() {
        // An idle machine's accounts are those of a fresh one.
        *sleepers = Vec::new();
    }
}

/// Wakes the sleepers of this CPU whose time has come, and tells the deadline of the next one.
pub(crate) fn wake_expired(pin: &Pinned, now_ns: u64) -> Option<u64> {
    loop {
        let mut sleepers = SLEEPERS.get(pin).lock();
        let first = sleepers.last()?;
        if first.deadline_ns > now_ns {
            return Some(first.deadline_ns);
        }
        let expired = sleepers.pop();
        drop(sleepers);
        if let Some(sleeper) = expired {
            sched::unpark(sleeper.thread);
        }
    }
}
