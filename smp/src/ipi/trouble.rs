//! Injected failures: interrupts between CPUs that are lost or come late (`fail=ipi` on the boot line).

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::Ipi;
use crate::time::Deadline;
use crate::{hw, mailbox};

/// What becomes of an interrupt.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Trouble {
    /// It never arrives.
    Lost,
    /// It is sent so much later. The sender waits for that.
    Late {
        /// How much.
        delay_ns: u64,
    },
}

/// What has been arranged for one kind of interrupt.
struct Plan {
    /// Every so many are in trouble; 0 for none.
    every: AtomicU32,
    /// 0 for lost.
    delay_ns: AtomicU64,
    sent: AtomicU32,
}

static IS_ARRANGED: AtomicBool = AtomicBool::new(false);
static RESCHEDULE: Plan = Plan::new();
static MAILBOX: Plan = Plan::new();

/// Has trouble come to every `every`-th interrupt of the kind `ipi`: the first is number `every`. At boot.
pub fn arrange(ipi: Ipi, every: NonZeroU32, trouble: Trouble) {
    let plan = plan_of(ipi);
    // Relaxed, here and below: no other CPU runs yet.
    plan.every.store(every.get(), Ordering::Relaxed);
    if let Trouble::Late { delay_ns } = trouble {
        plan.delay_ns.store(delay_ns, Ordering::Relaxed);
    }
    IS_ARRANGED.store(true, Ordering::Relaxed);
}

fn plan_of(ipi: Ipi) -> &'static Plan {
    match ipi {
        Ipi::Reschedule => &RESCHEDULE,
        Ipi::Mailbox => &MAILBOX,
    }
}

/// Whether the interrupt that is about to be sent is to be lost. If it is to be late, returns when it is time.
#[inline]
pub(super) fn is_lost(ipi: Ipi) -> bool {
    IS_ARRANGED.load(Ordering::Relaxed) && plan_of(ipi).next_is_lost()
}

impl Plan {
    const fn new() -> Plan {
        Plan {
            every: AtomicU32::new(0),
            delay_ns: AtomicU64::new(0),
            sent: AtomicU32::new(0),
        }
    }

    #[cold]
    fn next_is_lost(&self) -> bool {
        let every = self.every.load(Ordering::Relaxed);
        let number = self.sent.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if every == 0 || !number.is_multiple_of(every) {
            return false;
        }
        let delay_ns = self.delay_ns.load(Ordering::Relaxed);
        let deadline = Deadline::after_ns(delay_ns);
        while delay_ns != 0 && !deadline.has_passed() {
            // TLB-4.
            mailbox::serve_requests();
            hw::pause();
        }
        delay_ns == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Ordering, Plan};

    #[test]
    fn every_so_many_are_lost_and_without_a_plan_none() {
        let plan = Plan::new();
        let next = || plan.next_is_lost();
        assert_eq!([next(), next()], [false, false]);
        let plan = Plan::new();
        plan.every.store(3, Ordering::Relaxed);
        let next = || plan.next_is_lost();
        let lost = [next(), next(), next(), next(), next(), next(), next()];
        assert_eq!(lost, [false, false, true, false, false, true, false]);
    }

    #[test]
    fn what_is_late_is_not_lost() {
        let plan = Plan::new();
        plan.every.store(1, Ordering::Relaxed);
        plan.delay_ns.store(1_000, Ordering::Relaxed);
        assert!(!plan.next_is_lost());
    }
}
