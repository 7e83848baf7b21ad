//! Loom models of run queues and idle CPUs: `RUSTFLAGS="--cfg loom" cargo test -p proc --release --test 'loom_*'`.
//!
//! An interrupt is a note that ends a halt. Loom reports a deadlock if a CPU halts for ever.
#![cfg(loom)]

mod line;

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use proc::sched::idle_cpus::IdleCpus;
use proc::sched::run_queue::RunQueue;
use proc::thread::RUN_LINK;
use smp::list::{Link, Linked};
use smp::wait::set_spin_limit;
use smp::{CpuId, cpu, host};

use self::line::Line;

/// What runs.
struct Job {
    number: usize,
    is_running: AtomicBool,
    link: Link<Job>,
}

impl Job {
    fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// A CPU runs it from now on.
    fn run(&self) -> usize {
        assert!(
            !self.is_running.swap(true, Ordering::Acquire),
            "FIBER-1: run twice"
        );
        self.number
    }

    fn suspend(&self) {
        self.is_running.store(false, Ordering::Release);
    }
}

impl Linked<RUN_LINK> for Job {
    fn link(&self) -> &Link<Job> {
        &self.link
    }
}

fn job(number: usize) -> Arc<Job> {
    Arc::new(Job {
        number,
        is_running: AtomicBool::new(false),
        link: Link::new(),
    })
}

/// One CPU's queue, and its interrupt line.
struct Machine {
    queue: RunQueue<Job>,
    idle: IdleCpus,
    interrupt: Line,
}

const OWNER: CpuId = CpuId::BOOT;

impl Machine {
    fn new() -> Arc<Machine> {
        set_spin_limit(0);
        cpu::set_possible(3);
        let machine = Machine {
            queue: RunQueue::new(),
            idle: IdleCpus::new(),
            interrupt: Line::new(),
        };
        // Loom wants its atomics made before they are shared.
        assert!(!machine.queue.has_racy(|_| true) && machine.idle.load_racy().is_empty());
        Arc::new(machine)
    }

    /// The idle loop of the owner, until there is something to run.
    fn next(&self) -> usize {
        loop {
            if let Some(job) = self.queue.pop() {
                return job.number;
            }
            self.idle.rest(OWNER, &self.queue, || self.interrupt.wait());
        }
    }

    fn hand_over(&self, number: usize) {
        if self.idle.hand_over(job(number), &self.queue, OWNER) {
            self.interrupt.raise();
        }
    }
}

fn on_cpu<T: 'static>(
    machine: &Arc<Machine>,
    cpu: usize,
    run: impl FnOnce(&Machine) -> T + 'static,
) -> thread::JoinHandle<T> {
    let machine = machine.clone();
    thread::spawn(move || {
        host::become_cpu(CpuId::new(cpu));
        run(&machine)
    })
}

/// There are too many interleavings for all of them.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// IDLE-1.
#[test]
fn a_cpu_that_falls_asleep_runs_what_is_put_into_its_queue() {
    loom::model(|| {
        let machine = Machine::new();
        let other = on_cpu(&machine, 1, |machine| machine.hand_over(7));
        assert_eq!(machine.next(), 7);
        other.join().unwrap();
    });
}

#[test]
fn a_cpu_that_falls_asleep_twice_runs_both() {
    bounded(|| {
        let machine = Machine::new();
        let other = on_cpu(&machine, 1, |machine| {
            machine.hand_over(1);
            machine.hand_over(2);
        });
        assert_eq!((machine.next(), machine.next()), (1, 2));
        other.join().unwrap();
        assert_eq!(machine.queue.len_racy(), 0);
    });
}

#[test]
fn two_cpus_that_hand_over_at_once_are_both_served() {
    bounded(|| {
        let machine = Machine::new();
        let others = [1, 2].map(|cpu| on_cpu(&machine, cpu, move |machine| machine.hand_over(cpu)));
        assert_eq!(machine.next() + machine.next(), 3);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// RUN-1.
#[test]
fn a_job_goes_to_its_cpu_or_to_one_thief() {
    bounded(|| {
        let machine = Machine::new();
        machine.queue.push(job(1));
        machine.queue.push(job(2));
        let thieves = [1, 2].map(|cpu| {
            on_cpu(&machine, cpu, |machine| {
                machine.queue.take_first(|job| job.number == 2).is_some()
            })
        });
        let mut popped = Vec::new();
        while let Some(job) = machine.queue.pop() {
            popped.push(job.number);
        }
        let stolen = thieves.map(|thief| thief.join().unwrap());
        match stolen.iter().filter(|&&stolen| stolen).count() {
            0 => assert_eq!(popped, [1, 2]),
            1 => assert_eq!(popped, [1]),
            _ => panic!("RUN-1: stolen twice"),
        }
        assert_eq!(machine.queue.len_racy(), 0);
    });
}

/// RUN-2.
#[test]
fn a_job_that_yields_goes_to_a_thief_only_when_it_is_suspended() {
    bounded(|| {
        let machine = Machine::new();
        machine.queue.push(job(1));
        let thief = on_cpu(&machine, 1, |machine| {
            let taken = machine.queue.take_first(|job| !job.is_running());
            taken.map(|job| job.run())
        });
        let yielding = job(2);
        yielding.run();
        let mut ran = Vec::new();
        if let Some(next) = machine.queue.exchange(yielding.clone()) {
            ran.push(next.run());
            yielding.suspend();
            ran.extend(machine.queue.pop().map(|job| job.run()));
        }
        ran.extend(thief.join().unwrap());
        ran.sort_unstable();
        assert!(ran == [1] && machine.queue.len_racy() == 0 || ran == [1, 2]);
    });
}
