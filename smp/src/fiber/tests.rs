//! Fibers on the host: the real switch, on stacks from the host's heap, by threads that each play a CPU.
//!
//! A fiber that moves to another thread must not look at thread-local things (which CPU it is, whether interrupts are
//! on) in a function that it has entered before: the compiler may have kept their address from the thread before.

use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::boxed::Box;
use std::sync::Arc;
use std::vec::Vec;

use super::{Fiber, FpuState, HasFiber, KernelStackOwner, Running, UserState};
use crate::tls::TlsBase;
use crate::{CpuId, host, irq};

const STACK_WORDS: usize = 16 * 1024;

/// A stack that counts itself when it is freed.
struct HostStack(Box<Body>);

struct Body {
    words: Vec<u128>,
    freed: Arc<AtomicUsize>,
}

impl HostStack {
    fn new(freed: &Arc<AtomicUsize>) -> HostStack {
        HostStack(Box::new(Body {
            words: std::vec![0; STACK_WORDS],
            freed: freed.clone(),
        }))
    }
}

impl Drop for HostStack {
    fn drop(&mut self) {
        self.0.freed.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: the vector neither moves nor changes, is mapped in all threads, and is used by nobody else; its elements give
// the alignment.
unsafe impl KernelStackOwner for HostStack {
    fn top(&self) -> usize {
        self.0.words.as_ptr_range().end.expose_provenance()
    }
}

/// What runs in a test: it counts its rounds and switches back to whoever ran before, for ever.
struct Runner {
    fiber: Fiber,
    _test: Arc<Test>,
    rounds: AtomicUsize,
}

struct Test {
    running: Running<Runner>,
    freed_stacks: Arc<AtomicUsize>,
}

impl HasFiber for Runner {
    fn fiber(&self) -> &Fiber {
        &self.fiber
    }
}

impl Test {
    fn new() -> Arc<Test> {
        let test = Arc::new(Test {
            running: Running::new(),
            freed_stacks: Arc::default(),
        });
        test.running.init(4).unwrap();
        test
    }

    /// Makes this thread play `cpu`, with an idle loop.
    fn start_cpu(self: &Arc<Test>, cpu: usize) {
        host::become_cpu(CpuId::new(cpu));
        let idle = Runner {
            fiber: Fiber::idle(),
            _test: self.clone(),
            rounds: AtomicUsize::new(0),
        };
        self.running.adopt(Arc::new(idle), &irq::disable());
    }

    fn runner(
        self: &Arc<Test>,
        entry: extern "C" fn(usize) -> !,
        fpu: Option<FpuState>,
    ) -> Arc<Runner> {
        let fiber = Fiber::new(
            HostStack::new(&self.freed_stacks),
            entry,
            Arc::as_ptr(self).addr(),
            fpu.map(|fpu| UserState::new(fpu, TlsBase::default())),
        );
        Arc::new(Runner {
            fiber,
            _test: self.clone(),
            rounds: AtomicUsize::new(0),
        })
    }

    #[inline(never)]
    fn count_round(&self) {
        self.running
            .with_current(|current| current.rounds.fetch_add(1, Ordering::Relaxed));
    }

    /// Switches to `next` and back.
    fn visit(&self, next: &Arc<Runner>) {
        let off = irq::disable();
        let (previous, _) = self.running.switch_to(next.clone(), 0, &off);
        assert!(Arc::ptr_eq(&previous, next));
    }
}

/// The test to which a fiber belongs, from its argument.
fn test_of(argument: usize) -> Arc<Test> {
    let test = core::ptr::with_exposed_provenance::<Test>(argument);
    // SAFETY: `Test::runner` passed the address of a test that its runner keeps alive.
    unsafe {
        Arc::increment_strong_count(test);
        Arc::from_raw(test)
    }
}

extern "C" fn count_rounds(argument: usize) -> ! {
    let test = test_of(argument);
    let (mut previous, _, off) = test.running.begin();
    drop(off);
    assert!(irq::are_enabled());
    let off = irq::disable();
    loop {
        test.count_round();
        (previous, _) = test.running.switch_to(previous, 0, &off);
    }
}

fn load_xmm13(value: u64) {
    // SAFETY: a caller-saved register, declared lost.
    unsafe { asm!("movq xmm13, {}", in(reg) value, out("xmm13") _, options(nomem, nostack)) };
}

/// Overwrites a register, as a user program does between two system calls.
extern "C" fn spoil_fpu(argument: usize) -> ! {
    let test = test_of(argument);
    let (mut previous, _, off) = test.running.begin();
    loop {
        load_xmm13(0xbad);
        (previous, _) = test.running.switch_to(previous, 0, &off);
    }
}

/// Holds a value in a register across two switches, another one each time, and counts the rounds in which it was still
/// there.
extern "C" fn keep_fpu(argument: usize) -> ! {
    let test = test_of(argument);
    let (mut previous, _, off) = test.running.begin();
    let mut value = 0x1234_5678_u64;
    loop {
        load_xmm13(value);
        (previous, _) = test.running.switch_to(previous, 0, &off);
        let found: u64;
        // SAFETY: reads a register.
        unsafe { asm!("movq {}, xmm13", out(reg) found, options(nomem, nostack)) };
        if found == value {
            test.count_round();
        }
        value = value.rotate_left(1);
    }
}

#[test]
fn a_fiber_goes_on_where_it_was_left() {
    let test = Test::new();
    test.start_cpu(0);
    let (first, second) = (
        test.runner(count_rounds, None),
        test.runner(count_rounds, None),
    );
    for _ in 0..100 {
        test.visit(&first);
        test.visit(&second);
    }
    assert_eq!(
        (
            first.rounds.load(Ordering::Relaxed),
            second.rounds.load(Ordering::Relaxed)
        ),
        (100, 100)
    );
    assert!(first.fiber.is_suspended());
    assert!(
        test.running
            .with_current(|current| !current.fiber.is_suspended())
    );
}

#[test]
fn a_fiber_moves_between_cpus() {
    let test = Test::new();
    let runner = test.runner(count_rounds, Some(FpuState::new().unwrap()));
    for cpu in [0, 1, 2] {
        let (test, runner) = (test.clone(), runner.clone());
        let cpu_thread = std::thread::spawn(move || {
            test.start_cpu(cpu);
            for _ in 0..50 {
                test.visit(&runner);
            }
        });
        cpu_thread.join().unwrap();
    }
    assert_eq!(runner.rounds.load(Ordering::Relaxed), 150);
}

#[test]
fn the_stack_is_freed_with_its_fiber_and_not_before() {
    let test = Test::new();
    test.start_cpu(0);
    let runner = test.runner(count_rounds, None);
    test.visit(&runner);
    assert_eq!(test.freed_stacks.load(Ordering::Relaxed), 0);
    drop(runner);
    assert_eq!(test.freed_stacks.load(Ordering::Relaxed), 1);
}

#[test]
#[should_panic(expected = "FIBER-1")]
fn the_running_fiber_cannot_be_switched_to() {
    let test = Test::new();
    test.start_cpu(0);
    let idle = test.running.current();
    test.running.switch_to(idle, 0, &irq::disable());
}

#[test]
#[should_panic(expected = "FIBER-1")]
fn a_fiber_that_another_cpu_runs_cannot_be_switched_to() {
    let test = Test::new();
    test.start_cpu(0);
    let other = test.clone();
    let running_elsewhere = std::thread::spawn(move || {
        other.start_cpu(1);
        other.running.current()
    });
    let running_elsewhere = running_elsewhere.join().unwrap();
    test.running
        .switch_to(running_elsewhere, 0, &irq::disable());
}

#[test]
#[should_panic(expected = "runs a fiber already")]
fn a_cpu_adopts_one_idle_loop() {
    let test = Test::new();
    test.start_cpu(0);
    let second = Runner {
        fiber: Fiber::idle(),
        _test: test.clone(),
        rounds: AtomicUsize::new(0),
    };
    test.running.adopt(Arc::new(second), &irq::disable());
}

#[test]
fn fpu_registers_survive_other_fibers_and_other_cpus() {
    let test = Test::new();
    let keeper = test.runner(keep_fpu, Some(FpuState::new().unwrap()));
    for cpu in [0, 1, 3] {
        let (test, keeper) = (test.clone(), keeper.clone());
        let cpu_thread = std::thread::spawn(move || {
            test.start_cpu(cpu);
            let spoiler = test.runner(spoil_fpu, Some(FpuState::new().unwrap()));
            for _ in 0..20 {
                test.visit(&keeper);
                test.visit(&spoiler);
            }
        });
        cpu_thread.join().unwrap();
    }
    // It looks each time that it comes back: at all visits but the first.
    assert_eq!(keeper.rounds.load(Ordering::Relaxed), 3 * 20 - 1);
}

#[test]
fn fpu_registers_that_a_cpu_still_holds_are_stale_once_the_fiber_ran_elsewhere() {
    let test = Test::new();
    let keeper = test.runner(keep_fpu, Some(FpuState::new().unwrap()));
    let turn = AtomicUsize::new(0);
    std::thread::scope(|cpus| {
        for cpu in [0, 1] {
            let (test, keeper, turn) = (&test, &keeper, &turn);
            cpus.spawn(move || {
                test.start_cpu(cpu);
                for round in 0..10 {
                    while turn.load(Ordering::Acquire) != 2 * round + cpu {
                        std::thread::yield_now();
                    }
                    // Twice, so that the second time nothing needs to be loaded.
                    test.visit(keeper);
                    test.visit(keeper);
                    turn.fetch_add(1, Ordering::Release);
                }
            });
        }
    });
    assert_eq!(keeper.rounds.load(Ordering::Relaxed), 2 * 2 * 10 - 1);
}
