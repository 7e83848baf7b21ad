//! Loom models of the mailbox: `RUSTFLAGS="--cfg loom" cargo test -p smp --release --test 'loom_*'`.
//!
//! Interrupts are polls: ringing raises a line, and a CPU with interrupts on looks at its line when it pauses and where
//! interrupts come on. Loom ends a model that goes round for ever with an error, so a lost ring or a deadlock fails.
#![cfg(loom)]

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use smp::mailbox::{Bell, Mailboxes, Pending, Request};
use smp::pin::{Pinned, pin};
use smp::wait::set_spin_limit;
use smp::{CpuId, CpuSet, IrqOff, host, irq};

/// The interrupt line of each CPU.
#[derive(Clone)]
struct Lines(Arc<Vec<AtomicBool>>);

impl Bell for Lines {
    fn ring(&self, targets: &CpuSet, _off: &IrqOff) {
        for target in targets {
            self.0[target.index()].swap(true, Ordering::Release);
        }
    }
}

struct Machine {
    mailboxes: Mailboxes<Lines>,
    lines: Lines,
    /// How many requests each CPU has run.
    served: Vec<AtomicUsize>,
    /// What each CPU's request is about: written before it is sent and after it is answered, read by the targets.
    payloads: Vec<UnsafeCell<usize>>,
}

// SAFETY: whether the payloads are accessed in turn is what the models are to find out.
unsafe impl Sync for Machine {}
// SAFETY: as above.
unsafe impl Send for Machine {}

/// What targets run: the words are the machine's address, the sender, and what the payload should be.
fn look_at_payload(words: &[usize], _off: &IrqOff) {
    // SAFETY: the sender holds the machine until the request has been answered.
    let machine = unsafe { &*(words[0] as *const Machine) };
    // SAFETY: the sender leaves the payload alone while its request is under way.
    let payload = machine.payloads[words[1]].with(|payload| unsafe { *payload });
    assert_eq!(payload, words[2], "another request's payload");
    machine.served[smp::cpu::id_racy().index()].fetch_add(1, Ordering::Relaxed);
}

impl Machine {
    fn new(cpus: usize) -> Arc<Machine> {
        set_spin_limit(0);
        let lines = Lines(Arc::new(
            (0..cpus).map(|_| AtomicBool::new(false)).collect(),
        ));
        let mailboxes = Mailboxes::new(cpus, lines.clone()).unwrap();
        assert!(mailboxes.are_idle());
        Arc::new(Machine {
            mailboxes,
            lines,
            served: (0..cpus).map(|_| AtomicUsize::new(0)).collect(),
            payloads: (0..cpus).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    /// This thread plays `cpu`. Interrupts are off, or wait for the next point at which they are taken.
    fn play(self: &Arc<Machine>, cpu: usize) {
        host::become_cpu(CpuId::new(cpu));
        let machine = Arc::downgrade(self);
        host::on_interrupt(move || {
            let machine = machine.upgrade().expect("a CPU outlived its machine");
            if machine.lines.0[cpu].swap(false, Ordering::Acquire) {
                machine.mailboxes.serve(&irq::disable());
            }
        });
    }

    fn set_payload(&self, cpu: usize, value: usize) {
        // SAFETY: no request of this CPU is under way.
        self.payloads[cpu].with_mut(|payload| unsafe { *payload = value });
    }

    /// Asks those of `targets` that are other CPUs than `cpu` to look at the payload of `cpu`, which should be `payload`.
    fn send<'a>(&'a self, pin: &'a Pinned, targets: &CpuSet, payload: usize) -> Pending<'a, Lines> {
        let request = Request {
            function: look_at_payload,
            subject: [
                std::ptr::from_ref(self) as usize,
                pin.cpu().index(),
                payload,
            ],
            list: &[],
        };
        let others = targets.without(pin.cpu());
        self.mailboxes.send(pin, &others, request)
    }

    /// Sends and waits, and checks by the payload that nobody looks at the request before or after.
    fn ask(&self, cpu: usize, targets: &CpuSet) {
        self.set_payload(cpu, 1);
        self.send(&pin(), targets, 1).wait();
        self.set_payload(cpu, 2);
    }

    /// Does nothing but take interrupts until this CPU has served `requests`.
    fn idle_until_served(&self, cpu: usize, requests: usize) {
        while self.served[cpu].load(Ordering::Relaxed) < requests {
            irq::disable().halt_until_interrupt();
        }
    }

    /// Keeps interrupts off, and polls until this CPU has served `requests`.
    fn poll_until_served(&self, cpu: usize, requests: usize) {
        while self.served[cpu].load(Ordering::Relaxed) < requests {
            self.mailboxes.serve_requests(&pin());
            host::pause();
        }
    }

    /// How many requests each CPU has run, now that all have been answered.
    fn served(&self) -> Vec<usize> {
        assert!(self.mailboxes.are_idle());
        self.served
            .iter()
            .map(|served| served.load(Ordering::Relaxed))
            .collect()
    }
}

fn on_cpu(
    machine: &Arc<Machine>,
    cpu: usize,
    run: impl FnOnce(&Machine) + 'static,
) -> thread::JoinHandle<()> {
    let machine = machine.clone();
    thread::spawn(move || {
        machine.play(cpu);
        run(&machine);
    })
}

fn with_preemption_bound(bound: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(model);
}

/// MAIL-4, both with interrupts off for good: each serves while it waits.
#[test]
fn two_cpus_that_flush_each_other_with_interrupts_off_both_get_on() {
    loom::model(|| {
        let machine = Machine::new(2);
        let other = on_cpu(&machine, 1, |machine| {
            let _off = irq::disable();
            machine.ask(1, &CpuSet::first(2));
            machine.poll_until_served(1, 1);
        });
        machine.play(0);
        let _off = irq::disable();
        machine.ask(0, &CpuSet::first(2));
        machine.poll_until_served(0, 1);
        other.join().unwrap();
        assert_eq!(machine.served(), [1, 1]);
    });
}

/// MAIL-4 with interrupts on: each may also be interrupted while it waits.
#[test]
fn two_cpus_that_flush_each_other_with_interrupts_on_both_get_on() {
    loom::model(|| {
        let machine = Machine::new(2);
        let other = on_cpu(&machine, 1, |machine| {
            machine.ask(1, &CpuSet::first(2));
            machine.idle_until_served(1, 1);
        });
        machine.play(0);
        machine.ask(0, &CpuSet::first(2));
        machine.idle_until_served(0, 1);
        other.join().unwrap();
        assert_eq!(machine.served(), [1, 1]);
    });
}

/// MAIL-1, MAIL-2: the second request waits for the first, and each runs once.
#[test]
fn a_record_is_not_used_again_before_its_target_has_finished() {
    loom::model(|| {
        let machine = Machine::new(2);
        let target = on_cpu(&machine, 1, |machine| machine.idle_until_served(1, 2));
        machine.play(0);
        let pin = pin();
        machine.set_payload(0, 1);
        let first = machine.send(&pin, &CpuSet::first(2), 1);
        let second = machine.send(&pin, &CpuSet::first(2), 1);
        first.wait();
        second.wait();
        machine.set_payload(0, 2);
        target.join().unwrap();
        assert_eq!(machine.served(), [0, 2]);
    });
}

/// MAIL-3: two senders share a word of the target's inbox and possibly one ring; neither request is lost.
#[test]
fn two_senders_to_one_cpu_are_both_served_by_interrupt() {
    with_preemption_bound(3, || {
        let machine = Machine::new(3);
        let target = on_cpu(&machine, 2, |machine| machine.idle_until_served(2, 2));
        let other = on_cpu(&machine, 1, |machine| {
            machine.ask(1, &CpuSet::single(CpuId::new(2)))
        });
        machine.play(0);
        machine.ask(0, &CpuSet::single(CpuId::new(2)));
        other.join().unwrap();
        target.join().unwrap();
        assert_eq!(machine.served(), [0, 0, 2]);
    });
}

/// MAIL-3: of two targets one may have been rung at by another sender; then the other one still has to be.
#[test]
fn of_two_targets_the_one_at_which_nobody_rings_is_interrupted() {
    with_preemption_bound(2, || {
        let machine = Machine::new(3);
        let target = on_cpu(&machine, 2, |machine| machine.idle_until_served(2, 2));
        let other = on_cpu(&machine, 1, |machine| {
            machine.ask(1, &CpuSet::single(CpuId::new(2)));
            machine.idle_until_served(1, 1);
        });
        machine.play(0);
        machine.ask(0, &CpuSet::first(3));
        other.join().unwrap();
        target.join().unwrap();
        assert_eq!(machine.served(), [0, 1, 2]);
    });
}

/// MAIL-2: the waiting CPU polls and is interrupted, and yet runs each request once; both targets finish before `wait`
/// returns.
#[test]
fn three_cpus_flush_each_other() {
    with_preemption_bound(2, || {
        let machine = Machine::new(3);
        let others = [1, 2].map(|cpu| {
            on_cpu(&machine, cpu, move |machine| {
                machine.ask(cpu, &CpuSet::first(3));
                machine.idle_until_served(cpu, 1);
            })
        });
        machine.play(0);
        machine.idle_until_served(0, 2);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(machine.served(), [2, 1, 1]);
    });
}
