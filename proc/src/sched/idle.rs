//! The idle loop: what a CPU does when it has no thread to run.

use alloc::sync::Arc;

use mm::NoMemory;
use smp::cpu::CpuId;
use smp::irq::{self, IrqOff};

use super::{CPUS, Leave, RUNNING, balance, pending, place, switch_to, tick};
use crate::thread::Thread;

/// Turns the stack on which this CPU was started into its idle thread, and runs the CPU for ever.
///
/// # Errors
/// [`NoMemory`] if there is none for the idle thread; the CPU cannot be used then.
pub fn run_idle_loop(cpu: CpuId) -> Result<core::convert::Infallible, NoMemory> {
    let off = irq::disable();
    RUNNING.adopt(Thread::idle(cpu)?, &off);
    tick::begin(&off);
    drop(off);
    loop {
        let off = irq::disable();
        if pending::any(&off) {
            drop(off);
            pending::serve();
        } else if let Some(next) = next_thread(&off) {
            tick::start(&off);
            switch_to(next, Leave::Yield, off);
        } else {
            halt(off);
        }
    }
}

fn next_thread(off: &IrqOff) -> Option<Arc<Thread>> {
    CPUS.get(off)
        .queue
        .pop()
        .or_else(|| balance::steal(off.cpu()))
}

/// Halts until an interrupt. Interrupts are off since the CPU looked for something to do, and the halt turns them on in
/// one step, so nothing that comes in between is slept through.
fn halt(mut off: IrqOff) {
    let (id, cpu) = (off.cpu(), CPUS.get(&off));
    place::IDLE.rest(id, &cpu.queue, || {
        cpu.halted.during(|| off.halt_until_interrupt());
    });
}
