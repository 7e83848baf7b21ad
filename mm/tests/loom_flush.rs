//! Loom models of TLB-2 and TLB-3: `RUSTFLAGS="--cfg loom" cargo test -p mm --release --test loom_flush`.
//!
//! The sets, the generation and what each CPU knows are the kernel's own code; the page table is one entry, and each
//! CPU has a model TLB. Interrupts are polls.
#![cfg(loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use mm::addr::VirtAddr;
use mm::flush::{ActiveCpus, CpuTlb, Flushed, Processor, Reach, SpaceId};
use smp::{CpuId, host, irq};

/// What the entry names at first, a frame or a page-table page, and what is freed when it has been taken away.
const FRAME: usize = 1;

struct Machine {
    space: ActiveCpus,
    /// The page table: what the one page is mapped to, 0 for nothing.
    entry: AtomicUsize,
    /// Whom taking it away concerns.
    reach: Reach,
    /// Whether the frame has been given back, and so may be anybody's.
    is_freed: AtomicBool,
    /// Whether the other CPU is asked to flush, and whether it has.
    is_asked: AtomicBool,
    has_answered: AtomicBool,
}

impl Machine {
    fn new(reach: Reach) -> Arc<Machine> {
        smp::cpu::set_possible(2);
        let space = ActiveCpus::new(SpaceId::KERNEL);
        // Loom makes atomics at their first use, which has to come before there are two threads.
        space.publish(Reach::Active, CpuId::BOOT);
        space.publish(Reach::Loaded, CpuId::BOOT);
        Arc::new(Machine {
            space,
            entry: AtomicUsize::new(FRAME),
            reach,
            is_freed: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
        })
    }

    /// What a `FlushBatch` does: unmap, publish, ask whom it concerns, wait, free.
    fn unmap_and_free(&self, other: CpuId) {
        // As `Slot::take`.
        self.entry.swap(0, Ordering::AcqRel);
        let published = self.space.publish(self.reach, CpuId::BOOT);
        if published
            .others
            .is_some_and(|others| others.contains(other))
        {
            self.is_asked.store(true, Ordering::Release);
            while !self.has_answered.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
        self.is_freed.store(true, Ordering::Release);
    }
}

/// A CPU that uses the space.
struct User<'m> {
    machine: &'m Machine,
    tlb: CpuTlb,
    processor: ModelTlb,
}

/// The translation of the one page that a processor keeps.
#[derive(Default)]
struct ModelTlb(std::cell::Cell<Option<usize>>);

impl Processor for ModelTlb {
    fn flush_page(&self, _page: VirtAddr) {
        self.0.set(None);
    }

    fn flush_all(&self) {
        self.0.set(None);
    }
}

impl<'m> User<'m> {
    fn new(machine: &'m Machine, cpu: CpuId) -> User<'m> {
        host::become_cpu(cpu);
        User {
            machine,
            tlb: CpuTlb::new(cpu),
            processor: ModelTlb::default(),
        }
    }

    fn enter(&self) {
        let load_root = || {
            self.processor.flush_all();
            // From here on the processor may use the table, whether it has been told to or not.
            self.access();
        };
        // SAFETY: the space lives in the machine, which the user borrows.
        let flushed = unsafe {
            self.tlb.enter(
                &self.machine.space,
                &irq::disable(),
                &self.processor,
                load_root,
            )
        };
        assert_ne!(flushed, Flushed::Pages(0));
    }

    /// The processor looks at the page: by its TLB, or by the page table, which it then remembers. It must not be
    /// freed.
    fn access(&self) {
        let kept = self.processor.0.get();
        let translation = kept.unwrap_or_else(|| self.machine.entry.load(Ordering::Relaxed));
        if translation != 0 {
            self.processor.0.set(Some(translation));
            assert!(
                !self.machine.is_freed.load(Ordering::Relaxed),
                "read a freed frame"
            );
        }
    }

    /// A point at which the CPU may be interrupted.
    fn poll(&self) {
        if self.machine.is_asked.load(Ordering::Acquire)
            && !self.machine.has_answered.load(Ordering::Relaxed)
        {
            let flushed = self.tlb.flush_for_another(
                self.machine.space.space(),
                u64::MAX,
                [].into_iter(),
                &self.processor,
                &irq::disable(),
            );
            assert_ne!(flushed, Flushed::Pages(0));
            self.machine.has_answered.store(true, Ordering::Release);
        }
    }

    fn leave(&self) {
        self.tlb.leave(&irq::disable(), || {
            // Until now.
            if self.machine.reach == Reach::Loaded {
                self.access();
            }
            self.processor.flush_all();
        });
        self.machine.has_answered.store(true, Ordering::Release);
    }
}

fn explore(reach: Reach, user: impl Fn(&User<'_>) + Sync + Send + Copy + 'static) {
    loom::model(move || {
        let machine = Machine::new(reach);
        let cpu = CpuId::new(1);
        let shared = machine.clone();
        let other = thread::spawn(move || {
            let this = User::new(&shared, cpu);
            user(&this);
            this.leave();
        });
        host::become_cpu(CpuId::BOOT);
        machine.unmap_and_free(cpu);
        other.join().unwrap();
    });
}

#[test]
fn tlb_3_a_cpu_that_switches_in_never_reads_a_freed_frame() {
    explore(Reach::Active, |user| {
        user.enter();
        user.access();
        user.poll();
        user.access();
    });
}

#[test]
fn tlb_2_a_cpu_that_was_idle_catches_up_before_it_uses_the_space() {
    explore(Reach::Active, |user| {
        user.enter();
        user.access();
        user.poll();
        user.tlb.become_idle(&irq::disable());
        user.poll();
        user.enter();
        user.access();
    });
}

/// The processor may walk the page table at any time, also while the CPU is idle in the space.
#[test]
fn tlb_1_the_page_walker_of_an_idle_cpu_never_reads_a_freed_table() {
    explore(Reach::Loaded, |user| {
        user.enter();
        user.poll();
        user.tlb.become_idle(&irq::disable());
        user.access();
        user.poll();
        user.access();
    });
}
