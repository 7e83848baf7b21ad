//! Explores what CPUs do to one machine, with loom.

use loom::thread;
use mm::flush::Strategy;

use super::Machine;

/// What one CPU does.
pub(crate) type Script = fn(&Machine);

/// One CPU: what it has done before the others come, and what it does beside them.
#[derive(Copy, Clone)]
pub(crate) struct Cpu {
    pub(crate) before: Script,
    pub(crate) beside: Script,
}

/// All orders are explored, or those in which so many CPUs at most are stopped in the middle of something.
#[derive(Copy, Clone)]
pub(crate) enum Orders {
    All,
    Preemptions(usize),
}

/// Explores what can happen on these CPUs; the first `senders` of them change something. At last, CPU 0 does `after`,
/// alone. In limbo there is room for `slots` unmaps of each CPU.
pub(crate) fn explore<const CPUS: usize>(
    strategy: Strategy,
    slots: usize,
    orders: Orders,
    senders: usize,
    cpus: [Cpu; CPUS],
    after: Script,
) {
    let mut builder = loom::model::Builder::new();
    if let Orders::Preemptions(most) = orders {
        builder.preemption_bound = Some(most);
    }
    builder.check(move || {
        let machine = Machine::new(CPUS, senders, strategy, slots);
        for (number, cpu) in cpus.iter().enumerate() {
            machine.alone(number, cpu.before);
        }
        let others: Vec<_> = (1..CPUS)
            .map(|number| {
                let machine = machine.clone();
                thread::spawn(move || machine.play(number, cpus[number].beside))
            })
            .collect();
        machine.play(0, cpus[0].beside);
        others.into_iter().for_each(|other| other.join().unwrap());
        machine.alone(0, after);
        for number in 0..CPUS {
            machine.alone(number, Machine::leave);
        }
        assert!(!machine.is_loaded_anywhere());
        for number in 0..CPUS {
            machine.alone(number, Machine::tick);
        }
        assert!(machine.is_limbo_empty());
    });
}
