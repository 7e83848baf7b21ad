//! The mailbox with threads as CPUs: more CPUs than the loom models have, and the machine's own mailboxes.
#![cfg(not(loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use smp::mailbox::{self, Bell, Mailboxes, Request, SUBJECT_WORDS};
use smp::pin::pin;
use smp::{CpuId, CpuSet, IrqOff, SpinLock, host, irq, rank};

const CPUS: usize = 6;
const ROUNDS: usize = 300;

struct Lines(Arc<Vec<AtomicBool>>);

impl Bell for Lines {
    fn ring(&self, targets: &CpuSet, _off: &IrqOff) {
        for target in targets {
            self.0[target.index()].store(true, Ordering::SeqCst);
        }
    }
}

/// Counts one request of the sender `words[1]` on the CPU that runs this, in the table at `words[0]`.
fn count(words: &[usize], _off: &IrqOff) {
    // SAFETY: the senders hold the table until their requests have been answered.
    let served = unsafe { &*(words[0] as *const [[AtomicUsize; CPUS]; CPUS]) };
    served[smp::cpu::id_racy().index()][words[SUBJECT_WORDS]].fetch_add(1, Ordering::Relaxed);
}

#[test]
fn every_target_runs_every_request_once() {
    let lines: Arc<Vec<_>> = Arc::new((0..CPUS).map(|_| AtomicBool::new(false)).collect());
    let mailboxes = Arc::new(Mailboxes::new(CPUS, Lines(lines.clone())).unwrap());
    let served = [const { [const { AtomicUsize::new(0) }; CPUS] }; CPUS];
    let still_sending = AtomicUsize::new(CPUS);
    thread::scope(|scope| {
        for cpu in 0..CPUS {
            let (lines, mailboxes, served, still_sending) =
                (lines.clone(), mailboxes.clone(), &served, &still_sending);
            scope.spawn(move || {
                host::become_cpu(CpuId::new(cpu));
                let interrupted = mailboxes.clone();
                host::on_interrupt(move || {
                    if lines[cpu].swap(false, Ordering::SeqCst) {
                        interrupted.serve(&irq::disable());
                    }
                });
                let request = Request {
                    function: count,
                    subject: [std::ptr::from_ref(served) as usize, 0, 0],
                    list: &[cpu],
                };
                let others = CpuSet::first(CPUS).without(CpuId::new(cpu));
                for _ in 0..ROUNDS {
                    mailboxes.send(&pin(), &others, request).wait();
                }
                still_sending.fetch_sub(1, Ordering::SeqCst);
                while still_sending.load(Ordering::SeqCst) != 0 {
                    irq::disable().halt_until_interrupt();
                }
            });
        }
    });
    assert!(mailboxes.are_idle());
    for (target, by_sender) in served.iter().enumerate() {
        for (sender, requests) in by_sender.iter().enumerate() {
            let expected = if sender == target { 0 } else { ROUNDS };
            assert_eq!(
                requests.load(Ordering::Relaxed),
                expected,
                "CPU {target} for CPU {sender}"
            );
        }
    }
}

/// TLB-4, with the kernel's own lock and mailboxes: the holder of the lock waits for the CPU that waits for the lock
/// with interrupts off. (If nobody serves, this takes a minute to fail.)
#[test]
fn a_cpu_that_waits_for_a_lock_with_interrupts_off_serves_flush_requests() {
    static LOCK: SpinLock<(), rank::Log> = SpinLock::new(());
    mailbox::init(2, |_, _| ()).unwrap();
    let waits = AtomicBool::new(false);
    thread::scope(|scope| {
        let guard = LOCK.lock();
        scope.spawn(|| {
            host::become_cpu(CpuId::new(1));
            let _off = irq::disable();
            waits.store(true, Ordering::SeqCst);
            drop(LOCK.lock());
        });
        while !waits.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let request = Request::of(|_, _| ());
        mailbox::send(&pin(), &CpuSet::single(CpuId::new(1)), request).wait();
        drop(guard);
    });
}

#[test]
fn a_request_to_nobody_is_done_at_once() {
    let mailboxes = Mailboxes::new(1, |_: &CpuSet, _: &IrqOff| panic!("rang")).unwrap();
    let (pin, request) = (pin(), Request::of(|_, _| panic!("ran")));
    let pending = mailboxes.send(&pin, &CpuSet::new(), request);
    assert!(pending.is_finished());
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a CPU asks itself")]
fn a_request_to_oneself_is_refused() {
    let mailboxes = Mailboxes::new(1, |_: &CpuSet, _: &IrqOff| ()).unwrap();
    let (pin, request) = (pin(), Request::of(|_, _| ()));
    mailboxes
        .send(&pin, &CpuSet::single(CpuId::BOOT), request)
        .wait();
}
