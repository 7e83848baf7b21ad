//! A machine for models of the flush protocol.
//!
//! What is explored is the kernel's own code: batches, mailboxes, the sets and generation of a space, and how CPUs
//! switch. Around it is a machine of a few words: each CPU has a TLB and a page walker that remember what they have
//! seen until they are told to forget it; the one page table has a root and a table with two pages. A frame that is
//! given back has a new owner at once, who writes it: if a CPU can still reach it, it reads what is not its own, or
//! loom sees both touch it at the same time. Interrupts are polls.

#[cfg(loom)]
pub(crate) mod explore;

use std::cell::Cell;
use std::sync::Arc;

use mm::addr::{PAGE_SIZE, PhysAddr, USER_START, UserRange, VirtAddr};
use mm::flush::limbo::{self, Limbo};
use mm::flush::{self, ActiveCpus, FlushBatch, FlushCpu, Processor, SpaceId, Strategy, switch};
use smp::mailbox::{Bell, Mailboxes, Pending, Request};
use smp::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};
use smp::{CpuId, CpuSet, IrqOff, Pinned, cpu, host, irq, wait};

/// What a page of the space holds, and its table.
const OWN: usize = 0x0123;
/// What the next owner of a frame writes.
const SOMEBODY_ELSES: usize = 0x0666;

/// The pages of the space.
pub(crate) const PAGES: usize = 2;
/// The physical address of the root; there is nothing to be read.
const ROOT: u64 = 0x1000;

/// One frame of memory.
pub(crate) struct Memory(UnsafeCell<usize>);

// SAFETY: whether accesses exclude each other is what the models are to find out.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

impl Memory {
    fn new() -> Arc<Memory> {
        Arc::new(Memory(UnsafeCell::new(OWN)))
    }

    /// The CPU that runs this reads the frame for the space that had it.
    fn read(&self) {
        // SAFETY: see `Sync`.
        let content = self.0.with(|content| unsafe { *content });
        assert_eq!(content, OWN, "read a frame that has another owner");
    }

    fn is_free(&self) -> bool {
        // SAFETY: see `Sync`.
        self.0.with(|content| unsafe { *content }) == SOMEBODY_ELSES
    }

    fn write(&self, content: usize) {
        // SAFETY: see `Sync`.
        self.0.with_mut(|place| unsafe { *place = content });
    }
}

/// The last reference to a frame.
pub(crate) struct Frame(Arc<Memory>);

impl Drop for Frame {
    fn drop(&mut self) {
        self.0.write(SOMEBODY_ELSES);
    }
}

/// What a batch has collected.
#[derive(Default)]
pub(crate) struct Released {
    frames: Vec<Frame>,
    tables: Vec<Frame>,
}

impl flush::Released for Released {
    type Frame = Frame;
    type BigFrame = Frame;

    fn add(&mut self, frame: Frame) -> Result<(), Frame> {
        self.frames.push(frame);
        Ok(())
    }

    fn add_big(&mut self, big: Frame) -> Result<(), Frame> {
        self.add(big)
    }

    fn add_table(&mut self, table: Frame) -> Result<(), Frame> {
        self.tables.push(table);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.tables.is_empty()
    }

    fn give_back(&mut self) {
        self.tables.clear();
        self.frames.clear();
    }

    fn give_back_table(table: Frame) {
        drop(table);
    }
}

/// The interrupt line of each CPU.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Vec<AtomicU32>>);

impl Bell for Lines {
    fn ring(&self, targets: &CpuSet, _off: &IrqOff) {
        for target in targets {
            // Release pairs with the Acquire of the CPU that is interrupted.
            self.0[target.index()].swap(1, Ordering::Release);
        }
    }
}

/// What a processor remembers. Only its own CPU uses it.
#[derive(Default)]
struct Remembered {
    /// Whether CR3 holds the space's root.
    has_root: Cell<bool>,
    /// The entry of the root.
    has_table: Cell<bool>,
    /// The frames of the pages: the TLB.
    pages: [Cell<Option<usize>>; PAGES],
}

/// The machine, with one address space. See the module's page.
pub(crate) struct Machine {
    cpus: Vec<FlushCpu>,
    remembered: Vec<Remembered>,
    mailboxes: Mailboxes<Lines>,
    lines: Lines,
    strategy: Strategy,
    /// Used if that is `Deferred`.
    limbo: Limbo<Released>,
    space: ActiveCpus,
    /// What `flush::switch::enter` gets as the space's root.
    root: AtomicU64,
    /// The entry of the root: 1 if it names the table.
    root_entry: AtomicU32,
    /// The entries of the table: the number of a frame and 1, 0 for none.
    entries: Vec<AtomicU32>,
    /// What the entries are, or will be again, from now on for whoever has seen this; 0 until they have been mapped
    /// again.
    mapped_again: Vec<AtomicU32>,
    /// The frames of the pages, then those that may come in their places, then the table.
    memory: Vec<Arc<Memory>>,
    /// How many ticks there have been.
    ticks: AtomicU32,
    /// How many CPUs may still ask others for something.
    senders: AtomicU32,
    /// How many there were.
    first_senders: usize,
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

impl Machine {
    /// A machine of `cpus` CPUs, none of which has the space loaded. Both pages are mapped. `senders` CPUs change
    /// something; they come first. In limbo there is room for `slots` unmaps of each CPU.
    pub(crate) fn new(
        cpus: usize,
        senders: usize,
        strategy: Strategy,
        slots: usize,
    ) -> Arc<Machine> {
        cpu::set_possible(cpus);
        wait::set_spin_limit(0);
        let lines = Lines(Arc::new((0..cpus).map(|_| word(0)).collect()));
        let mailboxes = Mailboxes::new(cpus, lines.clone()).expect("memory");
        assert!(mailboxes.are_idle());
        let limbo = Limbo::new(cpus, slots).expect("memory");
        assert!(limbo.is_empty());
        let space = ActiveCpus::new(SpaceId::KERNEL);
        for reach in [flush::Reach::Active, flush::Reach::Loaded] {
            let mut others = CpuSet::new();
            space.publish(reach, CpuId::BOOT, &mut others);
            assert!(others.is_empty());
        }
        let root = AtomicU64::new(ROOT);
        root.load(Ordering::Relaxed);
        Arc::new(Machine {
            cpus: (0..cpus).map(CpuId::new).map(FlushCpu::new).collect(),
            remembered: (0..cpus).map(|_| Remembered::default()).collect(),
            mailboxes,
            lines,
            strategy,
            limbo,
            space,
            root,
            root_entry: word(1),
            entries: (0..PAGES).map(|page| word(page as u32 + 1)).collect(),
            mapped_again: (0..PAGES).map(|_| word(0)).collect(),
            memory: (0..=2 * PAGES).map(|_| Memory::new()).collect(),
            ticks: word(0),
            senders: word(senders as u32),
            first_senders: senders,
        })
    }

    /// This thread plays `cpu` from here on, and is interrupted as it.
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

    /// What `cpu` does while no other does anything.
    pub(crate) fn alone(self: &Arc<Machine>, cpu: usize, script: impl FnOnce(&Machine)) {
        self.become_cpu(cpu);
        script(self);
    }

    /// This thread plays `cpu` until nobody can ask it for anything any more.
    pub(crate) fn play(self: &Arc<Machine>, cpu: usize, script: impl FnOnce(&Machine)) {
        self.become_cpu(cpu);
        script(self);
        if cpu < self.first_senders {
            self.senders.fetch_sub(1, Ordering::Release);
        }
        while self.senders.fetch_add(0, Ordering::AcqRel) != 0 {
            host::pause();
        }
    }

    fn own(&self) -> &FlushCpu {
        &self.cpus[cpu::id_racy().index()]
    }

    fn remembered(&self) -> &Remembered {
        &self.remembered[cpu::id_racy().index()]
    }

    /// A point at which this CPU may be interrupted.
    pub(crate) fn poll(&self) {
        host::poll_interrupt();
    }

    /// This CPU runs a thread of the space.
    pub(crate) fn enter(&self) {
        // SAFETY: 1. it stands for one; 2. `retire` keeps the order; 3. the space stays in the machine.
        unsafe { switch::enter(self, self.own(), &self.space, &self.root, &irq::disable()) };
    }

    /// This CPU loads the kernel's own root.
    pub(crate) fn leave(&self) {
        switch::leave(self, self.own(), &irq::disable());
    }

    /// This CPU runs a thread of the kernel's own.
    pub(crate) fn become_idle(&self) {
        switch::become_idle(self, self.own(), &irq::disable());
    }

    /// A thread of the space uses `page`, if it is mapped: by the TLB or by the page table, which the processor then
    /// remembers.
    pub(crate) fn access(&self, page: usize) {
        if let Some(frame) = self.translate(page) {
            self.memory[frame].read();
        }
    }

    /// Which frame `page` has, as this processor sees it.
    fn translate(&self, page: usize) -> Option<usize> {
        let remembered = self.remembered();
        if !remembered.has_root.get() {
            return None;
        }
        if remembered.pages[page].get().is_none() {
            let has_table =
                remembered.has_table.get() || self.root_entry.load(Ordering::Relaxed) != 0;
            remembered.has_table.set(has_table);
            if has_table {
                self.memory[2 * PAGES].read();
                let entry = self.entries[page].load(Ordering::Relaxed);
                remembered.pages[page].set((entry as usize).checked_sub(1));
            }
        }
        remembered.pages[page].get()
    }

    /// What the processor may do of its own accord.
    fn look_at_everything(&self) {
        (0..PAGES).for_each(|page| self.walk(page));
    }

    /// The processor forgets `page`, as it may at any time, and looks at the page table again.
    pub(crate) fn walk(&self, page: usize) {
        self.remembered().pages[page].set(None);
        self.translate(page);
    }

    /// A batch for changes of the space.
    pub(crate) fn batch(&self) -> FlushBatch<'_, &Machine> {
        FlushBatch::on(self, &self.space)
    }

    /// Clears the entry of `page` if it is mapped, as `Slot::take`; its frame is the batch's.
    pub(crate) fn unmap(&self, page: usize, batch: &mut FlushBatch<'_, &Machine>) {
        let entry = self.entries[page].swap(0, Ordering::AcqRel);
        if let Some(frame) = (entry as usize).checked_sub(1) {
            batch.record(address(page));
            batch.release(Frame(self.memory[frame].clone()));
        }
    }

    /// Unmaps `page` as `Space::remove` does.
    pub(crate) fn unmap_plainly(&self, page: usize) {
        let mut batch = self.batch();
        self.unmap(page, &mut batch);
        batch.complete_unmap(range(page));
    }

    /// A timer interrupt, and what the thread does then.
    pub(crate) fn tick(&self) {
        // So that loom tries the ticks of two CPUs in either order: of their loads it may not (docs/models.md).
        // Relaxed, so that one knows no more of the other than without it.
        self.ticks.fetch_add(1, Ordering::Relaxed);
        limbo::serve_tick(self);
    }

    /// Gives everything back that is in limbo, as if memory had run out.
    pub(crate) fn drain(&self) {
        limbo::drain(self);
    }

    /// Whether nothing is in limbo.
    pub(crate) fn is_limbo_empty(&self) -> bool {
        self.limbo.is_empty()
    }

    /// Maps another frame at `page`, which has been unmapped, as `Space::add` and a fault do.
    pub(crate) fn map_again(&self, page: usize) {
        limbo::drain_range(self, self.space.space(), range(page));
        let entry = (PAGES + page + 1) as u32;
        self.entries[page].store(entry, Ordering::Release);
        // Release pairs with the Acquire of a thread that has been told.
        self.mapped_again[page].store(entry, Ordering::Release);
    }

    /// As `access`, by a thread that may have been told that `page` has been mapped again.
    pub(crate) fn access_what_is_mapped_again(&self, page: usize) {
        let told = self.mapped_again[page].load(Ordering::Acquire) as usize;
        let seen = self.translate(page);
        if told != 0 {
            assert_eq!(seen, Some(told - 1), "an address is used again too early");
        }
        if let Some(frame) = seen {
            self.memory[frame].read();
        }
    }

    /// Whether the first frame of `page` has been given back, when nobody does anything any more.
    pub(crate) fn is_free(&self, page: usize) -> bool {
        self.memory[page].is_free()
    }

    /// How many CPUs have been asked for something.
    pub(crate) fn asked(&self) -> u64 {
        let counters = self.cpus.iter().map(FlushCpu::counters);
        counters.map(|counters| counters.targets).sum()
    }

    /// Puts another frame behind `page`, as a copy-on-write break does (TLB-5).
    pub(crate) fn replace(&self, page: usize) {
        let mut batch = self.batch();
        self.unmap(page, &mut batch);
        batch.complete();
        let entry = (PAGES + page + 1) as u32;
        self.entries[page].store(entry, Ordering::Release);
    }

    /// Clears the entry of the root; the table is the batch's. Its entries are empty.
    pub(crate) fn release_table(&self, batch: &mut FlushBatch<'_, &Machine>) {
        self.root_entry.swap(0, Ordering::AcqRel);
        batch.release_table(Frame(self.memory[2 * PAGES].clone()));
    }

    /// Gives back everything, as the end of a process does.
    pub(crate) fn retire(&self) {
        self.root.store(0, Ordering::Release);
        limbo::drain_space(self, self.space.space());
        let mut batch = self.batch();
        batch.make_unreachable();
        for page in 0..PAGES {
            self.unmap(page, &mut batch);
        }
        self.release_table(&mut batch);
    }

    /// Whether some CPU has the space loaded.
    pub(crate) fn is_loaded_anywhere(&self) -> bool {
        !self.space.loaded().is_empty()
    }
}

/// The address of `page`.
fn address(page: usize) -> VirtAddr {
    VirtAddr::new(USER_START.as_u64() + (page * PAGE_SIZE) as u64)
}

/// The addresses of `page`.
pub(crate) fn range(page: usize) -> UserRange {
    UserRange::page_aligned(address(page).as_usize(), PAGE_SIZE).expect("user addresses")
}

/// The processor may look again at once, and an interrupt may come when this has been done, before it is noted.
impl Processor for &Machine {
    fn flush_page(&self, page: VirtAddr) {
        let page = (page.as_u64() - USER_START.as_u64()) as usize / PAGE_SIZE;
        let remembered = self.remembered();
        remembered.has_table.set(false);
        self.walk(page);
        host::poll_interrupt();
    }

    fn flush_all(&self) {
        let remembered = self.remembered();
        remembered.has_table.set(false);
        self.look_at_everything();
        host::poll_interrupt();
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
        self.strategy
    }

    fn limbo<'m>(self) -> Option<&'m Limbo<Released>>
    where
        Self: 'm,
    {
        (self.strategy == Strategy::Deferred).then_some(&self.limbo)
    }

    unsafe fn load_root(self, root: PhysAddr, _off: &IrqOff) {
        assert_eq!(root.as_u64(), ROOT);
        self.remembered().has_root.set(false);
        self.flush_all();
        self.remembered().has_root.set(true);
        // From here on the processor may look, whether a thread wants it to or not.
        self.look_at_everything();
    }

    fn load_kernel_root(self, _off: &IrqOff) {
        // Until now.
        self.look_at_everything();
        self.remembered().has_root.set(false);
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
