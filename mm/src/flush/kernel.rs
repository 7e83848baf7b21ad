//! The machine that the kernel runs on, as the flush protocol sees it.

use core::sync::atomic::{AtomicU8, Ordering};

use smp::mailbox::{self, Pending, Request, Ring};
use smp::{CpuId, CpuSet, IrqOff, PerCpu, Pinned, ipi};
use spin::Once;

use crate::addr::{PhysAddr, VirtAddr};
use crate::error::NoMemory;
use crate::flush::counters::Counters;
use crate::flush::limbo::{self, Limbo};
use crate::flush::machine::{FlushCpu, Machine, Processor};
use crate::flush::released::ReleasedFrames;
use crate::flush::strategy::Strategy;
use crate::{hw, kernel_map};

/// The kernel's own CPUs, mailboxes and frames.
#[derive(Copy, Clone, Debug)]
pub struct Kernel;

static CPUS: PerCpu<FlushCpu> = PerCpu::new();
static LIMBO: Once<Limbo<ReleasedFrames>> = Once::new();
static STRATEGY: AtomicU8 = AtomicU8::new(Strategy::Targeted as u8);

/// Makes what each of `possible_cpus` CPUs needs to take part. Once, at boot, before the first address space; all CPUs
/// have the kernel's own root loaded.
///
/// # Errors
/// [`NoMemory`].
pub(crate) fn init(possible_cpus: usize) -> Result<(), NoMemory> {
    CPUS.init(possible_cpus, FlushCpu::new)
        .map_err(|_| NoMemory)
}

/// Chooses how other CPUs are told. At boot, before there is an address space. What [`break_shootdown`] has chosen
/// stays.
///
/// # Errors
/// [`NoMemory`].
pub fn set_strategy(strategy: Strategy) -> Result<(), NoMemory> {
    if strategy == Strategy::Deferred {
        LIMBO.try_call_once(|| Limbo::new(smp::cpu::possible(), limbo::SLOTS))?;
    }
    // Relaxed: set before there is a thread of an address space.
    if STRATEGY.load(Ordering::Relaxed) != Strategy::Nobody as u8 {
        STRATEGY.store(strategy as u8, Ordering::Relaxed);
    }
    Ok(())
}

/// Has nobody told of anything (`break=shootdown`).
pub fn break_shootdown() {
    // Relaxed: as in `set_strategy`.
    STRATEGY.store(Strategy::Nobody as u8, Ordering::Relaxed);
}

/// How other CPUs are told.
pub fn strategy() -> Strategy {
    Kernel.strategy()
}

/// What each CPU has done so far. A CPU may be counting meanwhile.
pub fn counters() -> impl Iterator<Item = (CpuId, Counters)> {
    CPUS.iter().map(|(cpu, own)| (cpu, own.counters()))
}

/// What the protocol keeps of the CPU that the caller is pinned to. Panics before `init`.
#[inline]
pub(super) fn cpu(pin: &Pinned) -> &'static FlushCpu {
    CPUS.get(pin)
}

impl Processor for Kernel {
    #[inline]
    fn flush_page(&self, page: VirtAddr) {
        hw::flush_page(page);
    }

    #[inline]
    fn flush_all(&self) {
        hw::flush_all();
    }
}

impl Machine for Kernel {
    type Bell = Ring;
    type Released = ReleasedFrames;

    #[inline]
    fn cpu<'m>(self, pin: &Pinned) -> Option<&'m FlushCpu>
    where
        Self: 'm,
    {
        CPUS.get_if_ready(pin)
    }

    #[inline(always)]
    fn send<'p>(self, pin: &'p Pinned, targets: &CpuSet, request: Request<'_>) -> Pending<'p, Ring>
    where
        Self: 'p,
    {
        mailbox::send(pin, targets, request)
    }

    fn everybody(self) -> CpuSet {
        ipi::online()
    }

    #[inline]
    fn strategy(self) -> Strategy {
        // Relaxed: see `set_strategy`.
        Strategy::from_bits(STRATEGY.load(Ordering::Relaxed))
    }

    #[inline]
    fn limbo<'m>(self) -> Option<&'m Limbo<ReleasedFrames>>
    where
        Self: 'm,
    {
        match self.strategy() {
            Strategy::Deferred => LIMBO.get(),
            Strategy::Targeted | Strategy::Broadcast | Strategy::Nobody => None,
        }
    }

    #[inline]
    unsafe fn load_root(self, root: PhysAddr, off: &IrqOff) {
        // SAFETY: the caller's conditions.
        unsafe { hw::load_root(root, off) };
    }

    fn load_kernel_root(self, off: &IrqOff) {
        if let Some(root) = kernel_map::root_pa() {
            // SAFETY: 1. the kernel's own table is what all others have copied; 2. it is never freed.
            unsafe { hw::load_root(root, off) };
        }
    }

    fn to_word(self) -> usize {
        0
    }

    #[inline]
    unsafe fn from_word(_word: usize) -> Kernel {
        Kernel
    }
}
