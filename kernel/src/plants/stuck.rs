//! CPUs that get stuck.

use core::hint::spin_loop;

use smp::lock::SpinLock;
use smp::mailbox::{self, Request};
use smp::{ipi, irq, pin, rank};

use super::Place::KernelProcess;
use super::{Plant, meanwhile};

static FILE: SpinLock<(), rank::File> = SpinLock::new(());

pub(super) const PLANTS: [Plant; 4] = [
    Plant {
        name: "loop-irq-off",
        fault: "a CPU loops for ever with interrupts off",
        place: KernelProcess,
        commit: loop_with_interrupts_off,
    },
    Plant {
        name: "loop-irq-on",
        fault: "a CPU loops for ever in the kernel",
        place: KernelProcess,
        commit: loop_for_ever,
    },
    Plant {
        name: "lock-held",
        fault: "a CPU keeps a lock for ever that another one wants",
        place: KernelProcess,
        commit: || {
            meanwhile(|| drop(FILE.lock()));
            let _file = FILE.lock();
            loop_for_ever();
        },
    },
    Plant {
        name: "deaf",
        fault: "a CPU ignores a shootdown",
        place: KernelProcess,
        commit: || {
            meanwhile(ask_everybody_to_flush);
            loop_with_interrupts_off();
        },
    },
];

fn loop_with_interrupts_off() {
    let _off = irq::disable();
    loop_for_ever();
}

/// A function of its own in the backtraces.
#[inline(never)]
fn loop_for_ever() {
    loop {
        spin_loop();
    }
}

fn ask_everybody_to_flush() {
    let pin = pin::pin();
    let request = Request::of(|_, _| ());
    mailbox::send(&pin, &ipi::others_online(), request).wait();
}
