//! Shootdown between CPUs, played by threads, with the kernel's own mailboxes.
//!
//! A thread that plays a CPU has no interrupts: it answers when it asks its mailbox, or while it waits for others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mm::addr::{PAGE_SIZE, USER_END, USER_START, VirtAddr};
use mm::flush::{self, ActiveCpus, Counters, FlushBatch, SpaceId};
use mm::frame::{self, FrameKind};
use mm::hw::host::{self, Flushes, machine};
use mm::kernel_map;
use mm::page_table::{PageTable, Perm, VmIterMut, free_everything};
use smp::{CpuId, irq, mailbox, pin};

/// A page that the processor has used: its translation may be in any TLB of the space.
const USED: Perm = Perm::USER_WRITE.union(Perm::ACCESSED);

struct Space {
    active: ActiveCpus,
    root: AtomicU64,
    table: Mutex<Option<PageTable>>,
}

impl Space {
    /// A space with `pages` used pages.
    fn new(pages: u64) -> Box<Space> {
        let id = SpaceId::fresh();
        let table = PageTable::new(id).unwrap();
        let root = AtomicU64::new(table.root_pa().as_u64());
        let space = Box::new(Space {
            active: ActiveCpus::new(id),
            root,
            table: Mutex::new(Some(table)),
        });
        (0..pages).for_each(|index| space.map(index));
        space
    }

    fn batch(&self) -> FlushBatch<'_> {
        FlushBatch::new(&self.active)
    }

    fn change(&self, change: impl FnOnce(&mut PageTable)) {
        change(self.table.lock().unwrap().as_mut().unwrap());
    }

    fn map(&self, index: u64) {
        let frame = frame::alloc(FrameKind::Anonymous).unwrap();
        self.change(|table| {
            VmIterMut::new_mut(table, page(index)).map(frame, USED, &mut self.batch())
        });
    }

    /// Unmaps a page and waits for everybody who has to know.
    fn unmap(&self, index: u64) {
        let mut batch = self.batch();
        self.change(|table| VmIterMut::new_mut(table, page(index)).unmap(&mut batch));
        batch.complete();
    }

    /// Unmaps the first `pages` pages together, and waits for everybody who has to know.
    fn unmap_first(&self, pages: u64) {
        let mut batch = self.batch();
        self.change(|table| {
            for index in 0..pages {
                VmIterMut::new_mut(table, page(index)).unmap(&mut batch);
            }
        });
        batch.complete();
    }

    /// Gives back all tables, the root excepted, and waits for everybody who has to know.
    fn free_tables(&self) {
        let mut batch = self.batch();
        self.change(|table| free_everything(table, &mut batch));
        batch.complete();
    }

    fn retire(&self) {
        self.root.store(0, Ordering::Release);
        let table = self.table.lock().unwrap().take().unwrap();
        table.retire(&mut self.batch());
    }

    fn enter(&self) {
        // SAFETY: 1. the root of this space's table; 2. `retire` keeps the order; 3. the space is in a box.
        unsafe { flush::enter(&self.active, &self.root, &irq::disable()) };
    }

    fn is_loaded_here(&self) -> bool {
        flush::has_loaded(&self.active, &pin::pin())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if self.table.lock().unwrap().is_some() {
            self.retire();
        }
    }
}

/// Something that has happened.
#[derive(Default)]
struct Event(AtomicBool);

impl Event {
    fn happens(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn has_happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits like somebody who answers nobody: user code with interrupts off, as it were.
    fn await_deaf(&self) {
        while !self.has_happened() {
            thread::yield_now();
        }
    }

    /// Waits like a CPU that is interrupted now and then.
    fn await_serving(&self) {
        while !self.has_happened() {
            mailbox::serve_requests();
            thread::yield_now();
        }
    }
}

fn page(index: u64) -> VirtAddr {
    VirtAddr::new(USER_START.as_u64() + index * PAGE_SIZE as u64)
}

fn play(cpu: usize) {
    smp::host::become_cpu(CpuId::new(cpu));
}

/// How often this thread's TLB was flushed during `action`, loading a root included.
fn flushes(action: impl FnOnce()) -> Flushes {
    let before = host::flushes();
    action();
    let after = host::flushes();
    Flushes {
        pages: after.pages - before.pages,
        all: after.all - before.all,
    }
}

/// How often this thread's TLB was flushed as a whole during `action`, loading a root included.
fn full_flushes(action: impl FnOnce()) -> usize {
    flushes(action).all
}

/// What the CPU with this number counts during `action`.
fn counted(cpu: usize, action: impl FnOnce()) -> Counters {
    let read = || flush::counters().nth(cpu).unwrap().1;
    let before = read();
    action();
    let after = read();
    Counters {
        sent: after.sent - before.sent,
        targets: after.targets - before.targets,
        avoided: after.avoided - before.avoided,
        pages: after.pages - before.pages,
        full_flushes: after.full_flushes - before.full_flushes,
        served: after.served - before.served,
        wait_ns: after.wait_ns - before.wait_ns,
    }
}

/// Runs `change` on CPU 0 while CPU 1 uses `space` and answers. What CPU 1 flushed meanwhile.
fn flushes_of_another(space: &Space, change: impl FnOnce()) -> Flushes {
    let (entered, is_over) = (Event::default(), Event::default());
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            play(1);
            space.enter();
            entered.happens();
            let flushed = flushes(|| is_over.await_serving());
            flush::leave(&irq::disable());
            flushed
        });
        entered.await_deaf();
        change();
        is_over.happens();
        other.join().unwrap()
    })
}

fn frames_in_use(kind: FrameKind) -> usize {
    frame::accounts().in_use(kind)
}

/// Long enough for a CPU that does not wait to have gone on.
fn some_time() {
    thread::sleep(Duration::from_millis(30));
}

#[test]
fn tlb_1_a_frame_comes_back_only_after_every_active_cpu_has_answered() {
    let _machine = machine();
    let space = Space::new(2);
    let (entered, may_answer, is_over) = (Event::default(), Event::default(), Event::default());
    let before = frames_in_use(FrameKind::Anonymous);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            play(1);
            space.enter();
            entered.happens();
            may_answer.await_deaf();
            let flushed = flushes(|| is_over.await_serving());
            flush::leave(&irq::disable());
            flushed
        });
        entered.await_deaf();
        let unmapping = scope.spawn(|| {
            play(2);
            space.unmap(0);
        });
        some_time();
        assert!(!unmapping.is_finished());
        assert_eq!(frames_in_use(FrameKind::Anonymous), before);
        may_answer.happens();
        unmapping.join().unwrap();
        assert_eq!(frames_in_use(FrameKind::Anonymous), before - 1);
        is_over.happens();
        assert_eq!(other.join().unwrap(), Flushes { pages: 1, all: 0 });
    });
}

#[test]
fn other_cpus_flush_up_to_fourteen_pages_one_by_one_and_more_all_at_once() {
    let _machine = machine();
    for (pages, expected) in [
        (1, Flushes { pages: 1, all: 0 }),
        (14, Flushes { pages: 14, all: 0 }),
        (15, Flushes { pages: 0, all: 1 }),
    ] {
        let space = Space::new(pages);
        let flushed = flushes_of_another(&space, || space.unmap_first(pages));
        assert_eq!(flushed, expected, "{pages} pages");
    }
}

#[test]
fn counters_say_what_was_sent_served_and_avoided() {
    let _machine = machine();
    let space = Space::new(4);
    space.enter();
    let alone = counted(0, || space.unmap(0));
    let expected = Counters {
        avoided: 1,
        pages: 1,
        ..Counters::default()
    };
    assert_eq!(alone, expected, "nobody else uses the space");
    let mut sender = Counters::default();
    let target = counted(1, || {
        sender = counted(0, || {
            flushes_of_another(&space, || space.unmap_first(4));
        });
    });
    assert!(sender.wait_ns > 0);
    let expected = Counters {
        sent: 1,
        targets: 1,
        pages: 3,
        wait_ns: sender.wait_ns,
        ..Counters::default()
    };
    assert_eq!(sender, expected);
    let expected = Counters {
        served: 1,
        pages: 3,
        ..Counters::default()
    };
    assert_eq!(target, expected);
}

#[test]
fn tlb_1_an_idle_cpu_is_not_waited_for_and_catches_up_once() {
    let _machine = machine();
    let space = Space::new(3);
    let (is_idle, are_unmapped) = (Event::default(), Event::default());
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            play(1);
            space.enter();
            flush::become_idle(&irq::disable());
            is_idle.happens();
            are_unmapped.await_deaf();
            let flushed = [
                full_flushes(|| space.enter()),
                full_flushes(|| space.enter()),
            ];
            flush::become_idle(&irq::disable());
            let nothing_new = full_flushes(|| space.enter());
            flush::leave(&irq::disable());
            (flushed, nothing_new)
        });
        is_idle.await_deaf();
        (0..3).for_each(|index| space.unmap(index));
        are_unmapped.happens();
        assert_eq!(other.join().unwrap(), ([1, 0], 0));
    });
}

#[test]
fn tlb_1_freeing_page_table_pages_waits_for_idle_cpus_too() {
    let _machine = machine();
    let space = Space::new(1);
    let (is_idle, may_answer, is_over) = (Event::default(), Event::default(), Event::default());
    let before = frames_in_use(FrameKind::PageTable);
    thread::scope(|scope| {
        scope.spawn(|| {
            play(1);
            space.enter();
            flush::become_idle(&irq::disable());
            is_idle.happens();
            may_answer.await_deaf();
            is_over.await_serving();
            flush::leave(&irq::disable());
        });
        is_idle.await_deaf();
        let freeing = scope.spawn(|| {
            play(2);
            space.free_tables();
        });
        some_time();
        assert!(!freeing.is_finished());
        assert_eq!(frames_in_use(FrameKind::PageTable), before);
        may_answer.happens();
        freeing.join().unwrap();
        assert_eq!(frames_in_use(FrameKind::PageTable), before - 3);
        is_over.happens();
    });
}

#[test]
fn retiring_a_table_sends_the_cpus_that_have_it_loaded_away() {
    let _machine = machine();
    let space = Space::new(1);
    let (is_idle, is_retired) = (Event::default(), Event::default());
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            play(1);
            space.enter();
            flush::become_idle(&irq::disable());
            is_idle.happens();
            is_retired.await_serving();
            (space.is_loaded_here(), Some(mm::hw::current_root()))
        });
        is_idle.await_deaf();
        space.enter();
        space.retire();
        assert!(!space.is_loaded_here());
        is_retired.happens();
        assert_eq!(other.join().unwrap(), (false, kernel_map::root_pa()));
    });
    assert!(space.active.loaded().is_empty());
}

#[test]
fn entering_a_space_whose_table_is_retired_leaves_the_kernels_own() {
    let _machine = machine();
    let space = Space::new(0);
    space.retire();
    space.enter();
    assert!(!space.is_loaded_here() && space.active.loaded().is_empty());
    assert_eq!(Some(mm::hw::current_root()), kernel_map::root_pa());
}

#[test]
fn tlb_2_switching_moves_this_cpu_from_one_space_to_the_other() {
    let _machine = machine();
    let (first, second) = (Space::new(0), Space::new(0));
    first.enter();
    assert_eq!(full_flushes(|| second.enter()), 1);
    assert!(first.active.loaded().is_empty() && first.active.active().is_empty());
    assert!(second.active.active().contains(CpuId::BOOT));
    assert_eq!(
        mm::hw::current_root().as_u64(),
        second.root.load(Ordering::SeqCst)
    );
    flush::leave(&irq::disable());
    assert!(second.active.loaded().is_empty());
}

#[test]
fn tlb_4_cpus_that_unmap_in_one_space_at_once_all_get_on() {
    const CPUS: usize = 3;
    const ROUNDS: u64 = 300;
    let _machine = machine();
    let before = frames_in_use(FrameKind::Anonymous);
    let space = Space::new(0);
    let unfinished = AtomicU64::new(CPUS as u64);
    thread::scope(|scope| {
        for cpu in 0..CPUS {
            let (space, unfinished) = (&space, &unfinished);
            scope.spawn(move || {
                play(cpu);
                space.enter();
                for round in 0..ROUNDS {
                    let index = cpu as u64 * 1000 + round % 7;
                    space.map(index);
                    space.unmap(index);
                }
                unfinished.fetch_sub(1, Ordering::SeqCst);
                while unfinished.load(Ordering::SeqCst) != 0 {
                    mailbox::serve_requests();
                    thread::yield_now();
                }
                flush::leave(&irq::disable());
            });
        }
    });
    assert_eq!(frames_in_use(FrameKind::Anonymous), before);
}

#[test]
fn tlb_5_the_new_frame_appears_only_after_the_others_have_forgotten_the_old() {
    let _machine = machine();
    let space = Space::new(1);
    let (entered, may_answer, is_over) = (Event::default(), Event::default(), Event::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            play(1);
            space.enter();
            entered.happens();
            may_answer.await_deaf();
            is_over.await_serving();
            flush::leave(&irq::disable());
        });
        entered.await_deaf();
        let mapping = scope.spawn(|| {
            play(2);
            space.map(0);
        });
        some_time();
        // The table is locked meanwhile, so this looks at the entry by way of the memory that the root is in.
        let mut entry = space.root.load(Ordering::SeqCst);
        for index in [256, 0, 0, 0] {
            let table = mm::hw::phys_to_ptr(mm::addr::PhysAddr::new(entry & 0x000f_ffff_ffff_f000));
            // SAFETY: a table of the space, which nobody frees meanwhile; its entries are atomic.
            entry = unsafe { &*table.cast::<AtomicU64>().add(index) }.load(Ordering::SeqCst);
        }
        assert_eq!(entry, 0);
        may_answer.happens();
        mapping.join().unwrap();
        is_over.happens();
    });
    space.change(|table| assert!(VmIterMut::new_mut(table, page(0)).find_mapping(USER_END)));
}
