//! Loom models of breaking the sharing of a page: `RUSTFLAGS="--cfg loom" cargo test -p mm --release --test
//! loom_claim`.
//!
//! The claim, the entry, the batch, the mailboxes and the lock are the kernel's own. Around them is a machine with one
//! page in one space: each CPU has a TLB, and its processor marks the entry as it does on x86. The frame of the page is
//! shared with another space, which must never see what is written here; each CPU writes a word of its own, and none
//! may be lost.
#![cfg(loom)]

use std::cell::Cell;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use loom::cell::UnsafeCell;
use loom::thread;
use mm::NoMemory;
use mm::addr::{PhysAddr, USER_START, VirtAddr};
use mm::flush::limbo::Limbo;
use mm::flush::{self, ActiveCpus, FlushBatch, FlushCpu, Processor, SpaceId, Strategy, switch};
use mm::page_table::{Claim, ClaimedFrame, Entry, Perm, Slot};
use mm::rw_lock::{RwLock, Sleeper};
use smp::mailbox::{Bell, Mailboxes, Pending, Request};
use smp::sync::{AtomicU32, AtomicU64, Ordering};
use smp::{CpuId, CpuSet, IrqOff, Pinned, cpu, host, irq, wait};

/// How many CPUs a model has at most.
const MOST_CPUS: usize = 3;
/// What a word of a frame is that has been given back.
const SOMEBODY_ELSES: usize = 0x0666;

/// A frame of memory, with a word for each CPU. Its address is its physical address.
#[repr(align(4096))]
struct Memory {
    words: [UnsafeCell<usize>; MOST_CPUS],
    references: AtomicU32,
    /// Where copies of it go.
    spare: Vec<Arc<Memory>>,
    spare_used: AtomicUsize,
}

// SAFETY: whether accesses exclude each other is what the models are to find out.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

impl Memory {
    fn new(references: u32, spare: Vec<Arc<Memory>>) -> Arc<Memory> {
        Arc::new(Memory {
            words: [(); MOST_CPUS].map(|()| UnsafeCell::new(0)),
            references: word(references),
            spare,
            spare_used: AtomicUsize::new(0),
        })
    }

    fn pa(&self) -> PhysAddr {
        PhysAddr::new(std::ptr::from_ref(self).expose_provenance() as u64)
    }

    fn at<'m>(pa: PhysAddr) -> &'m Memory {
        // SAFETY: the address of a frame, which the machine keeps.
        unsafe { &*std::ptr::with_exposed_provenance(pa.as_u64() as usize) }
    }

    fn read(&self, word: usize) -> usize {
        // SAFETY: see `Sync`.
        self.words[word].with(|place| unsafe { *place })
    }

    fn write(&self, word: usize, value: usize) {
        // SAFETY: see `Sync`.
        self.words[word].with_mut(|place| unsafe { *place = value });
    }
}

/// A reference to a frame, which counts as the kernel's do.
struct Frame(&'static Memory);

impl ClaimedFrame for Frame {
    fn into_raw(self) -> PhysAddr {
        mem::ManuallyDrop::new(self).0.pa()
    }

    unsafe fn from_raw(pa: PhysAddr) -> Frame {
        Frame(Memory::at(pa))
    }

    fn is_sole_owner(&self) -> bool {
        self.0.references.load(Ordering::Acquire) == 1
    }

    fn copy(&self) -> Result<Frame, NoMemory> {
        let used = &self.0.spare_used;
        let spare = self
            .0
            .spare
            .get(used.fetch_add(1, Ordering::Relaxed))
            .ok_or(NoMemory)?;
        (0..MOST_CPUS).for_each(|word| spare.write(word, self.0.read(word)));
        Ok(Frame(Memory::at(spare.pa())))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if self.0.references.fetch_sub(1, Ordering::AcqRel) == 1 {
            (0..MOST_CPUS).for_each(|word| self.0.write(word, SOMEBODY_ELSES));
        }
    }
}

#[derive(Default)]
struct Released(Vec<Frame>);

impl flush::Released for Released {
    type Frame = Frame;
    type BigFrame = Frame;

    fn add(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.push(frame);
        Ok(())
    }

    fn add_big(&mut self, big: Frame) -> Result<(), Frame> {
        self.add(big)
    }

    fn add_table(&mut self, table: Frame) -> Result<(), Frame> {
        self.add(table)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn give_back(&mut self) {
        self.0.clear();
    }

    fn give_back_table(table: Frame) {
        drop(table);
    }
}

/// The interrupt line of each CPU.
#[derive(Clone)]
struct Lines(Arc<Vec<AtomicU32>>);

impl Bell for Lines {
    fn ring(&self, targets: &CpuSet, _off: &IrqOff) {
        for target in targets {
            // Release pairs with the Acquire of the CPU that is interrupted.
            self.0[target.index()].swap(1, Ordering::Release);
        }
    }
}

/// Who waits for the space's lock serves interrupts meanwhile.
struct Spin;

impl Sleeper for Spin {
    fn wait_while(&self, _key: usize, is_to_wait: &dyn Fn() -> bool) {
        while is_to_wait() {
            host::pause();
        }
    }

    fn wake_all(&self, _key: usize) {}
}

/// The machine. See the file's page.
struct Machine {
    cpus: Vec<FlushCpu>,
    /// The entry of the page as each processor remembers it.
    remembered: Vec<Cell<Option<Entry>>>,
    mailboxes: Mailboxes<Lines>,
    lines: Lines,
    space: ActiveCpus,
    root: AtomicU64,
    entry: AtomicU64,
    /// What guards the space's regions and its table: faults read.
    lock: RwLock<(), Spin>,
    /// Set by a CPU that has written its word.
    has_written: AtomicU32,
    /// How many CPUs may still ask others for something.
    playing: AtomicU32,
    /// The frame that the space has in common with another.
    original: Arc<Memory>,
}

// SAFETY: `remembered` has an element for each CPU, and one thread plays a CPU.
unsafe impl Sync for Machine {}
// SAFETY: its parts are plain data.
unsafe impl Send for Machine {}

/// Loom wants a word made before it is shared.
fn word(value: u32) -> AtomicU32 {
    let word = AtomicU32::new(value);
    word.load(Ordering::Relaxed);
    word
}

/// As `word`.
fn entry_word(entry: Entry) -> AtomicU64 {
    let word = AtomicU64::new(entry.raw());
    word.load(Ordering::Relaxed);
    word
}

const PAGE: VirtAddr = USER_START;
/// What the region allows.
const ALLOWED: Perm = Perm::USER_WRITE;
/// What the entry of a shared page allows.
const SHARED: Perm = Perm::USER_READ.union(Perm::COPY_ON_WRITE);

impl Machine {
    /// Of so many CPUs. The page is mapped, with the rights `perm` and the marks in it, to a frame that has `references`
    /// references and can be copied `copies` times.
    fn new(cpus: usize, perm: Perm, references: u32, copies: usize) -> Arc<Machine> {
        cpu::set_possible(cpus);
        wait::set_spin_limit(0);
        let lines = Lines(Arc::new((0..cpus).map(|_| word(0)).collect()));
        let mailboxes = Mailboxes::new(cpus, lines.clone()).expect("memory");
        assert!(mailboxes.are_idle());
        let space = ActiveCpus::new(SpaceId::KERNEL);
        for reach in [flush::Reach::Active, flush::Reach::Loaded] {
            let mut others = CpuSet::new();
            space.publish(reach, CpuId::BOOT, &mut others);
            assert!(others.is_empty());
        }
        let lock = RwLock::with_sleeper((), Spin);
        assert!(format!("{lock:?}").contains("turn: 0"));
        let spare = (0..copies)
            .map(|_| Memory::new(1, vec![Memory::new(1, Vec::new())]))
            .collect();
        let original = Memory::new(references, spare);
        Arc::new(Machine {
            cpus: (0..cpus).map(CpuId::new).map(FlushCpu::new).collect(),
            remembered: (0..cpus).map(|_| Cell::new(None)).collect(),
            mailboxes,
            lines,
            space,
            root: entry_word(Entry::from_raw(0x1000)),
            entry: entry_word(Entry::new(original.pa(), perm)),
            lock,
            has_written: word(0),
            playing: word(cpus as u32),
            original,
        })
    }

    fn become_cpu(self: &Arc<Machine>, cpu: usize) {
        host::become_cpu(CpuId::new(cpu));
        let machine = Arc::downgrade(self);
        host::on_interrupt(move || {
            let machine = machine.upgrade().expect("a CPU outlived its machine");
            if machine.lines.0[cpu].swap(0, Ordering::Acquire) != 0 {
                machine.mailboxes.serve(&irq::disable());
            }
        });
    }

    fn own(&self) -> &FlushCpu {
        &self.cpus[cpu::id_racy().index()]
    }

    fn remembered(&self) -> &Cell<Option<Entry>> {
        &self.remembered[cpu::id_racy().index()]
    }

    /// This CPU runs a thread of the space.
    fn enter(&self) {
        // SAFETY: 1. it stands for one; 2. it is never retired; 3. the space stays in the machine.
        unsafe { switch::enter(self, self.own(), &self.space, &self.root, &irq::disable()) };
    }

    /// The entry as this processor sees it, which it marks before it remembers it; `None` if the page is not present or
    /// does not allow the access.
    fn translate(&self, write: bool) -> Option<Entry> {
        let marks = match write {
            true => Perm::ACCESSED | Perm::DIRTY,
            false => Perm::ACCESSED,
        };
        loop {
            host::poll_interrupt();
            // Acquire: what is mapped was written before it was mapped, and loads on x86 are in order.
            let known = self.remembered().take();
            let entry =
                known.unwrap_or_else(|| Entry::from_raw(self.entry.load(Ordering::Acquire)));
            if !entry.is_present() || (write && !entry.perm().contains(Perm::WRITE)) {
                return None;
            }
            let marked = Entry::new(entry.pa(), entry.perm() | marks);
            let is_marked = entry == marked
                || self
                    .entry
                    .compare_exchange(
                        entry.raw(),
                        marked.raw(),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    )
                    .is_ok();
            if is_marked {
                self.remembered().set(Some(marked));
                return Some(marked);
            }
        }
    }

    /// Reads a word of the page, if it is mapped for reading.
    fn read(&self, word: usize) -> Option<usize> {
        Some(Memory::at(self.translate(false)?.pa()).read(word))
    }

    /// Writes this CPU's word, with as many faults as it takes. False if the fault cannot be repaired.
    fn write(&self, value: usize) -> bool {
        loop {
            if let Some(entry) = self.translate(true) {
                Memory::at(entry.pa()).write(cpu::id_racy().index(), value);
                self.has_written.store(1, Ordering::Release);
                return true;
            }
            if !self.fault() {
                return false;
            }
        }
    }

    /// What `Memory::fault` does about a write to a page that is there. False if nothing is, or there is no memory.
    fn fault(&self) -> bool {
        let _regions = self.lock.read();
        let slot = Slot::lone(&self.entry);
        let entry = slot.load();
        if entry.is_claimed() {
            host::pause();
            return true;
        }
        if !entry.is_present() {
            return false;
        }
        if entry.perm().contains(Perm::WRITE) {
            return true;
        }
        // SAFETY: 1. the entry owns a reference; 2. nobody borrows it.
        match unsafe { Claim::<Frame>::new(PAGE, slot, entry) } {
            Some(claim) => claim.make_own(ALLOWED, self, &self.space).is_ok(),
            None => true,
        }
    }

    /// Unmaps the page, as `Space::remove`.
    fn unmap(&self) {
        let _regions = self.lock.write();
        let entry = Slot::lone(&self.entry).take();
        assert!(!entry.is_claimed(), "a claim beside a writer");
        let mut batch = FlushBatch::on(self, &self.space);
        batch.record(PAGE);
        // SAFETY: the entry owned a reference, and has been taken out.
        batch.release(unsafe { Frame::from_raw(entry.pa()) });
        batch.complete();
    }

    /// Shares the page with a child, as `Space::fork`; returns its frame.
    fn fork(&self) -> &'static Memory {
        let _regions = self.lock.write();
        let mut batch = FlushBatch::on(self, &self.space);
        let entry = Slot::lone(&self.entry).update(|entry| {
            let perm = entry.perm().difference(Perm::WRITE) | Perm::COPY_ON_WRITE;
            Entry::new(entry.pa(), perm)
        });
        assert!(!entry.is_claimed(), "a claim beside a writer");
        let memory: &'static Memory = Memory::at(entry.pa());
        memory.references.fetch_add(1, Ordering::Relaxed);
        batch.record(PAGE);
        batch.complete();
        memory
    }
}

impl Processor for &Machine {
    fn flush_page(&self, _page: VirtAddr) {
        self.flush_all();
    }

    fn flush_all(&self) {
        self.remembered().set(None);
    }
}

impl flush::Machine for &Machine {
    type Bell = Lines;
    type Released = Released;

    fn cpu<'m>(self, pin: &Pinned) -> Option<&'m FlushCpu>
    where
        Self: 'm,
    {
        self.cpus.get(pin.cpu().index())
    }

    fn send<'p>(self, pin: &'p Pinned, targets: &CpuSet, request: Request<'_>) -> Pending<'p, Lines>
    where
        Self: 'p,
    {
        self.mailboxes.send(pin, targets, request)
    }

    fn everybody(self) -> CpuSet {
        CpuSet::first(self.cpus.len())
    }

    fn strategy(self) -> Strategy {
        Strategy::Targeted
    }

    fn limbo<'m>(self) -> Option<&'m Limbo<Released>>
    where
        Self: 'm,
    {
        None
    }

    unsafe fn load_root(self, _root: PhysAddr, _off: &IrqOff) {
        self.flush_all();
    }

    fn load_kernel_root(self, _off: &IrqOff) {
        self.flush_all();
    }

    fn to_word(self) -> usize {
        std::ptr::from_ref(self).expose_provenance()
    }

    unsafe fn from_word(word: usize) -> Self {
        // SAFETY: the caller's condition; every CPU plays until the last has finished.
        unsafe { &*std::ptr::with_exposed_provenance(word) }
    }
}

type Script = fn(&Machine);

/// Explores, with so many preemptions at most, what CPUs do, a script each, that have all done `before`.
fn explore<const CPUS: usize>(
    preemptions: Option<usize>,
    make: fn(usize) -> Arc<Machine>,
    before: Script,
    scripts: [Script; CPUS],
    after: Script,
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        let machine = make(CPUS);
        for cpu in 0..CPUS {
            machine.become_cpu(cpu);
            machine.enter();
            before(&machine);
        }
        let play = move |cpu: usize, machine: Arc<Machine>| {
            machine.become_cpu(cpu);
            scripts[cpu](&machine);
            machine.playing.fetch_sub(1, Ordering::Release);
            while machine.playing.fetch_add(0, Ordering::AcqRel) != 0 {
                host::pause();
            }
        };
        let others = (1..CPUS).map(|cpu| {
            let machine = machine.clone();
            thread::spawn(move || play(cpu, machine))
        });
        let others: Vec<_> = others.collect();
        play(0, machine.clone());
        for other in others {
            other.join().unwrap();
        }
        machine.become_cpu(0);
        after(&machine);
        for cpu in 0..CPUS {
            machine.become_cpu(cpu);
            switch::leave(&*machine, machine.own(), &irq::disable());
        }
    });
}

fn nothing(_machine: &Machine) {}

fn reads(machine: &Machine) {
    assert_eq!(machine.read(0), Some(0));
}

fn writes(machine: &Machine) {
    assert!(machine.write(1));
}

/// Of a page that the space has in common with another.
fn shared(cpus: usize) -> Arc<Machine> {
    Machine::new(cpus, SHARED, 2, cpus)
}

#[test]
fn of_two_that_write_a_shared_page_one_copies_it_and_both_end_with_one_frame() {
    explore(Some(3), shared, reads, [writes, writes], |machine| {
        let (original, end) = (
            &machine.original,
            Entry::from_raw(machine.entry.load(Ordering::Relaxed)),
        );
        assert_eq!((original.read(0), original.read(1)), (0, 0));
        assert_eq!(original.references.load(Ordering::Relaxed), 1);
        assert_eq!((machine.read(0), machine.read(1)), (Some(1), Some(1)));
        assert_eq!(
            original.spare_used.load(Ordering::Relaxed),
            1,
            "copied twice"
        );
        assert!(end.perm().contains(Perm::WRITE));
    });
}

/// Uses the page, and then reads what the other CPU has written, if it has been told that it has.
fn looks(machine: &Machine) {
    machine.read(1);
    if machine.has_written.load(Ordering::Acquire) == 1 {
        let seen = machine.read(0);
        assert_eq!(
            seen,
            Some(1),
            "the original is read after the copy was written"
        );
    }
}

/// TLB-5: the reader has the old translation.
#[test]
fn who_knows_of_a_write_to_the_copy_does_not_read_the_original() {
    explore(None, shared, reads, [writes, looks], nothing);
}

/// TLB-5: a third CPU finds the copy as soon as it is mapped, and the second has the old translation until it has been
/// flushed.
#[test]
fn nobody_finds_the_copy_while_another_can_still_read_the_original() {
    let writes_once_mapped: Script = |machine| {
        // The first time, it may go by what it remembers.
        let found = (0..2).find_map(|_| machine.translate(true));
        if let Some(entry) = found {
            Memory::at(entry.pa()).write(2, 1);
            machine.has_written.store(2, Ordering::Release);
        }
    };
    let looks: Script = |machine| {
        if machine.has_written.load(Ordering::Acquire) == 2 {
            let seen = machine.read(2);
            assert_eq!(
                seen,
                Some(1),
                "the original is read after the copy was written"
            );
        }
    };
    let scripts = [writes, looks, writes_once_mapped];
    explore(Some(2), shared, reads, scripts, nothing);
}

/// The processor of the reader marks the entry while it is being claimed. A page without a mark needs no flush.
#[test]
fn a_mark_that_comes_while_the_page_is_claimed_is_not_overlooked() {
    explore(None, shared, nothing, [writes, looks], nothing);
}

/// Then its frame is written without a copy, or a copy is made and the frame is free.
#[test]
fn the_other_space_may_let_go_of_the_page_meanwhile() {
    let lets_go: Script = |machine| {
        let original: &'static Memory = Memory::at(machine.original.pa());
        assert_eq!(original.read(0), 0, "written while another has it");
        drop(Frame(original));
    };
    explore(None, shared, nothing, [writes, lets_go], |machine| {
        assert_eq!(machine.read(0), Some(1));
        let copies = machine.original.spare_used.load(Ordering::Relaxed);
        assert_eq!(
            machine.original.read(0),
            if copies == 0 { 1 } else { SOMEBODY_ELSES }
        );
    });
}

#[test]
fn a_page_is_unmapped_before_a_claim_or_after_it() {
    let writes_if_mapped: Script = |machine| {
        machine.write(1);
    };
    explore(
        Some(3),
        shared,
        reads,
        [writes_if_mapped, Machine::unmap],
        |machine| {
            assert_eq!(machine.read(0), None);
            let original = &machine.original;
            assert_eq!(
                (
                    original.read(0),
                    original.references.load(Ordering::Relaxed)
                ),
                (0, 1)
            );
        },
    );
}

/// The child sees what was there at the fork, whenever that was.
#[test]
fn a_page_is_forked_before_a_claim_or_after_it() {
    let forks: Script = |machine| {
        let child = machine.fork();
        let at_first = child.read(0);
        machine.read(1);
        assert_eq!(
            child.read(0),
            at_first,
            "a store after the fork reached the child"
        );
    };
    explore(Some(3), shared, reads, [writes, forks], |machine| {
        assert_eq!(machine.read(0), Some(1));
    });
}

#[test]
fn a_claim_that_finds_no_memory_puts_the_page_back() {
    let without_memory = |cpus| Machine::new(cpus, SHARED, 2, 0);
    let fails: Script = |machine| assert!(!machine.write(1));
    explore(Some(3), without_memory, reads, [fails, fails], |machine| {
        assert_eq!(machine.read(0), Some(0));
        assert_eq!(machine.original.references.load(Ordering::Relaxed), 2);
    });
}
