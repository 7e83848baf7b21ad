//! [`Machine`]: what the protocol of this module runs on, the kernel's own CPUs or those of a model.

use smp::mailbox::{Bell, Pending, Request};
use smp::{CpuId, CpuSet, IrqOff, Pinned};

use crate::addr::{PhysAddr, VirtAddr};
use crate::flush::counters::{Counters, OwnCounters};
use crate::flush::cpu_tlb::CpuTlb;
use crate::flush::limbo::Limbo;
use crate::flush::strategy::Strategy;

/// What a CPU can be told about translations: the real one, or a model's.
pub trait Processor {
    /// Forgets the translation of one page, and what the page walker keeps of page-table pages.
    fn flush_page(&self, page: VirtAddr);
    /// Forgets all translations of user memory, and what the page walker keeps of page-table pages.
    fn flush_all(&self);
}

/// What a batch has collected, until no CPU can reach it any more. It is empty before it is dropped.
pub trait Released: Default {
    /// One reference to a frame.
    type Frame;
    /// The memory of a big page.
    type BigFrame;

    /// Takes a frame that was mapped.
    ///
    /// # Errors
    /// Gives it back if there is no room until [`give_back`](Released::give_back).
    fn add(&mut self, frame: Self::Frame) -> Result<(), Self::Frame>;

    /// Takes the memory of a big page.
    ///
    /// # Errors
    /// As [`add`](Released::add).
    fn add_big(&mut self, big: Self::BigFrame) -> Result<(), Self::BigFrame>;

    /// Takes a reference to a page-table page, with all that it maps if it is the last.
    ///
    /// # Errors
    /// As [`add`](Released::add).
    fn add_table(&mut self, table: Self::Frame) -> Result<(), Self::Frame>;

    /// Whether there is nothing to give back.
    fn is_empty(&self) -> bool;

    /// Makes everything free. No CPU can reach it any more.
    fn give_back(&mut self);

    /// Makes a page-table page free that no CPU can reach any more.
    fn give_back_table(table: Self::Frame);
}

/// What the protocol keeps of one CPU.
#[derive(Debug)]
pub struct FlushCpu {
    /// What it knows of its translations.
    pub tlb: CpuTlb,
    pub(super) counters: OwnCounters,
}

impl FlushCpu {
    /// Of a CPU that has the kernel's own root loaded.
    pub const fn new(cpu: CpuId) -> FlushCpu {
        FlushCpu {
            tlb: CpuTlb::new(cpu),
            counters: OwnCounters::new(),
        }
    }

    /// What it has done so far. It may be counting meanwhile.
    pub fn counters(&self) -> Counters {
        self.counters.read()
    }
}

/// A machine: some CPUs with translations, their mailboxes, and frames. It is a handle that is copied freely.
///
/// What it is told to do, it does on the CPU that this runs on.
pub trait Machine: Processor + Copy {
    /// How its CPUs interrupt each other.
    type Bell: Bell;
    /// How frames are collected.
    type Released: Released;

    /// What the protocol keeps of the CPU that the caller is pinned to. `None` at boot, before there is an address space.
    fn cpu<'m>(self, pin: &Pinned) -> Option<&'m FlushCpu>
    where
        Self: 'm;

    /// As [`smp::mailbox::send`].
    fn send<'p>(
        self,
        pin: &'p Pinned,
        targets: &CpuSet,
        request: Request<'_>,
    ) -> Pending<'p, Self::Bell>
    where
        Self: 'p;

    /// All CPUs that take part.
    fn everybody(self) -> CpuSet;

    /// How other CPUs are told.
    fn strategy(self) -> Strategy;

    /// Where what is unmapped waits, if the strategy is [`Strategy::Deferred`].
    fn limbo<'m>(self) -> Option<&'m Limbo<Self::Released>>
    where
        Self: 'm;

    /// Loads `root`, which drops all translations.
    ///
    /// # Safety
    /// As for [`hw::load_root`](crate::hw::load_root).
    unsafe fn load_root(self, root: PhysAddr, off: &IrqOff);

    /// Loads the kernel's own root, which drops all translations.
    fn load_kernel_root(self, off: &IrqOff);

    /// The handle as a number, for a request to carry.
    fn to_word(self) -> usize;

    /// The handle that [`to_word`](Machine::to_word) turned into a number.
    ///
    /// # Safety
    /// The word is of this type of machine, and the machine still exists.
    unsafe fn from_word(word: usize) -> Self;
}
