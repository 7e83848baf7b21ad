//! Mistakes with locks, pins and interrupts.

use core::mem::forget;
use core::sync::atomic::{AtomicBool, Ordering};

use mm::rw_lock::RwLock;
use proc::sched;
use proc::wait::WaitQueue;
use smp::ipi;
use smp::irq::{self, IrqOff};
use smp::lock::SpinLock;
use smp::mailbox::{self, Request};
use smp::{pin, rank};

use super::Place::{KernelProcess, WayToUserMode};
use super::{Plant, meanwhile};

type Lock<R> = SpinLock<(), R>;

static HEAP: Lock<rank::Heap> = SpinLock::new(());
static FRAMES: Lock<rank::FramesPool> = SpinLock::new(());
static RUN_QUEUE: Lock<rank::RunQueue> = SpinLock::new(());
static LOG: Lock<rank::Log> = SpinLock::new(());
static WAITERS: WaitQueue = WaitQueue::new();
/// Whether a fault that belongs in a handler has been committed in one.
static IS_COMMITTED: AtomicBool = AtomicBool::new(false);

pub(super) const PLANTS: [Plant; 16] = [
    Plant {
        name: "lock-order",
        fault: "a lock is taken with one of a higher rank held",
        place: KernelProcess,
        commit: || drop((FRAMES.lock(), HEAP.lock())),
    },
    Plant {
        name: "lock-twice",
        fault: "a lock is taken by the CPU that holds it",
        place: KernelProcess,
        commit: || drop((HEAP.lock(), HEAP.lock())),
    },
    Plant {
        name: "lock-in-handler",
        fault: "a lock that does not mask interrupts is taken in an interrupt handler",
        place: KernelProcess,
        commit: || in_a_handler(|_, _| once_in_a_handler(|| drop(HEAP.lock()))),
    },
    Plant {
        name: "lock-unmasked",
        fault: "interrupts are turned on while a lock is held that masks them",
        place: KernelProcess,
        commit: || {
            let log = LOG.lock();
            turn_interrupts_on();
            drop(log);
        },
    },
    Plant {
        name: "lock-leak",
        fault: "a lock is never given back, and somebody wants it",
        place: KernelProcess,
        commit: || {
            meanwhile(|| drop(HEAP.lock()));
            forget(HEAP.lock());
        },
    },
    Plant {
        name: "wake-under-lock",
        fault: "a waiter is woken with a run queue locked, which the waker needs himself",
        place: KernelProcess,
        commit: || {
            let _queue = RUN_QUEUE.lock();
            WAITERS.wake_one();
        },
    },
    Plant {
        name: "sleep-under-lock",
        fault: "a thread sleeps with a spin lock held",
        place: KernelProcess,
        commit: || {
            let _heap = HEAP.lock();
            let _ = proc::sleep::sleep_ns(1_000_000);
        },
    },
    Plant {
        name: "wait-under-lock",
        fault: "a thread takes a lock whose waiters sleep with a spin lock held; nobody has it just then",
        place: KernelProcess,
        commit: || {
            let sleeping_lock = RwLock::new(());
            let _heap = HEAP.lock();
            drop(sleeping_lock.read());
        },
    },
    Plant {
        name: "sleep-irq-off",
        fault: "a thread sleeps with interrupts off",
        place: KernelProcess,
        commit: || {
            let _off = irq::disable();
            let _ = proc::sleep::sleep_ns(1_000_000);
        },
    },
    Plant {
        name: "switch-in-handler",
        fault: "an interrupt handler gives the CPU away",
        place: KernelProcess,
        commit: || in_a_handler(|_, _| once_in_a_handler(sched::yield_now)),
    },
    Plant {
        name: "irq-on-in-handler",
        fault: "an interrupt handler turns interrupts on",
        place: KernelProcess,
        commit: || in_a_handler(|_, _| once_in_a_handler(turn_interrupts_on)),
    },
    Plant {
        name: "irq-left-on",
        fault: "interrupts are turned on inside of a section that keeps them off",
        place: KernelProcess,
        commit: || {
            let _off = irq::disable();
            turn_interrupts_on();
        },
    },
    Plant {
        name: "pin-leak",
        fault: "a pin is never given back",
        place: KernelProcess,
        commit: || {
            forget(pin::pin());
            sched::yield_now();
        },
    },
    Plant {
        name: "irq-left-off",
        fault: "interrupts are left off in the kernel by who returns to user mode",
        place: WayToUserMode,
        commit: || forget(irq::disable()),
    },
    Plant {
        name: "lock-into-user-mode",
        fault: "a thread goes to user mode with a spin lock held",
        place: WayToUserMode,
        commit: || forget(HEAP.lock()),
    },
    Plant {
        name: "pin-into-user-mode",
        fault: "a thread goes to user mode pinned",
        place: WayToUserMode,
        commit: || forget(pin::pin()),
    },
];

/// Has another CPU run the request until it has done so in an interrupt handler: one that waits for something when it is
/// asked serves requests there.
fn in_a_handler(function: fn(&[usize], &IrqOff)) {
    let (pin, others) = (pin::pin(), ipi::others_online());
    // The only CPU has nobody to ask.
    while !others.is_empty() && !IS_COMMITTED.load(Ordering::Relaxed) {
        mailbox::send(&pin, &others, Request::of(function)).wait();
    }
}

fn once_in_a_handler(fault: impl FnOnce()) {
    if irq::in_handler() && !IS_COMMITTED.swap(true, Ordering::Relaxed) {
        fault();
    }
}

/// What nobody may do but the guard that has turned them off.
fn turn_interrupts_on() {
    // SAFETY: 1. the caller has them off; 2. does not hold: that is the fault.
    drop(unsafe { IrqOff::adopt() });
}
