//! The stand-in for tests: each thread plays a CPU, number 0 unless it says otherwise.
//!
//! A thread has its own interrupt flag and its own [`PerCpuBlock`]. Threads that play the same CPU at the same time
//! take turns where a real CPU could run only one of them (in [`CpuLocal::with`](crate::CpuLocal::with)), so tests that
//! run in parallel do not disturb each other. Interrupts are polls: a thread that has set a handler by [`on_interrupt`]
//! runs it wherever interrupts become enabled, and at each PAUSE and halt while they are enabled.

use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicU32, Ordering};
use std::boxed::Box;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;
use std::vec::Vec;

use crate::cpu::{CpuId, MAX_CPUS};
use crate::percpu::PerCpuBlock;

/// Tests choose their CPU numbers freely.
pub(crate) const POSSIBLE_AT_START: usize = MAX_CPUS;

/// The CPU that a thread plays.
struct PlayedCpu {
    block: &'static PerCpuBlock,
    /// Not zero, and different from every other thread's.
    token: u32,
    interrupts: Cell<bool>,
    /// What an interrupt runs, if the test has said.
    handler: RefCell<Option<Rc<dyn Fn()>>>,
    /// How often the thread has paused.
    #[cfg(loom)]
    pauses: Cell<u32>,
}

/// Blocks of threads that have ended. They are used again and never freed, since references to them are `'static`.
static IDLE_BLOCKS: Mutex<Vec<&'static PerCpuBlock>> = Mutex::new(Vec::new());
static NEXT_TOKEN: AtomicU32 = AtomicU32::new(1);

impl PlayedCpu {
    fn new() -> PlayedCpu {
        let reused = IDLE_BLOCKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let block = reused.unwrap_or_else(|| Box::leak(Box::new(PerCpuBlock::new(CpuId::BOOT, 0))));
        block.start_afresh(CpuId::BOOT);
        PlayedCpu {
            block,
            // Relaxed: only uniqueness counts.
            token: NEXT_TOKEN.fetch_add(1, Ordering::Relaxed),
            interrupts: Cell::new(true),
            handler: RefCell::new(None),
            #[cfg(loom)]
            pauses: Cell::new(0),
        }
    }
}

impl Drop for PlayedCpu {
    fn drop(&mut self) {
        IDLE_BLOCKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.block);
    }
}

#[cfg(not(any(loom, shuttle)))]
std::thread_local! {
    static PLAYED: PlayedCpu = PlayedCpu::new();
}
#[cfg(loom)]
loom::thread_local! {
    static PLAYED: PlayedCpu = PlayedCpu::new();
}
#[cfg(shuttle)]
shuttle::thread_local! {
    static PLAYED: PlayedCpu = PlayedCpu::new();
}

/// From now on this thread plays the CPU `cpu`, with nothing pinned or locked and interrupts on.
pub fn become_cpu(cpu: CpuId) {
    PLAYED.with(|played| {
        played.block.start_afresh(cpu);
        played.interrupts.set(true);
    });
}

/// Sets what an interrupt on this thread's CPU runs. The handler is called with interrupts off.
pub fn on_interrupt(handler: impl Fn() + 'static) {
    PLAYED.with(|played| *played.handler.borrow_mut() = Some(Rc::new(handler)));
}

/// Runs the handler once, if there is one and interrupts are on: a point at which the CPU may be interrupted.
pub fn poll_interrupt() {
    let handler = PLAYED.with(|played| {
        let handler = if played.interrupts.get() {
            played.handler.borrow().clone()
        } else {
            None
        };
        if handler.is_some() {
            played.interrupts.set(false);
        }
        handler
    });
    if let Some(handler) = handler {
        handler();
        PLAYED.with(|played| played.interrupts.set(true));
    }
}

pub(crate) fn interrupts_enabled() -> bool {
    PLAYED.with(|played| played.interrupts.get())
}

pub(crate) fn disable_interrupts() {
    PLAYED.with(|played| played.interrupts.set(false));
}

pub(crate) fn enable_interrupts() {
    PLAYED.with(|played| played.interrupts.set(true));
    poll_interrupt();
}

pub(crate) fn halt_until_interrupt() {
    enable_interrupts();
    pause();
    disable_interrupts();
}

/// The instruction of wait loops: lets the other CPUs run, and may be interrupted.
pub fn pause() {
    poll_interrupt();
    let_others_run();
}

#[cfg(not(any(loom, shuttle)))]
fn let_others_run() {
    std::thread::yield_now();
}

#[cfg(shuttle)]
fn let_others_run() {
    shuttle::thread::yield_now();
}

/// A wait can go round any number of times, and loom would explore them all. A CPU that has paused this often in one
/// execution waits on, to the end, but loom does not look for other orders of what follows.
#[cfg(loom)]
fn let_others_run() {
    const EXPLORED_PAUSES: u32 = 8;
    let pauses = PLAYED.with(|played| played.pauses.replace(played.pauses.get() + 1));
    if pauses == EXPLORED_PAUSES {
        loom::skip_branch();
    }
    loom::thread::yield_now();
}

/// Nanoseconds, which stand for cycles.
pub(crate) fn timestamp() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

pub(crate) fn cpu_index() -> u32 {
    block().cpu().index() as u32
}

pub(crate) fn block() -> &'static PerCpuBlock {
    PLAYED.with(|played| played.block)
}

pub(crate) fn own_notes() -> u64 {
    block().notes.load(Ordering::Relaxed).into()
}

/// This CPU's element in the table that has `place`; null if it has not been set, or if the table has none.
///
/// # Safety
/// None is needed here; the machine's function of this name needs it.
pub(crate) unsafe fn own_element(place: usize) -> *mut () {
    block().element(place)
}

/// The host's threads keep the blocks that they were born with.
///
/// # Safety
/// None is needed here; the machine's function of this name needs it.
pub(crate) unsafe fn install_block(_block: &'static PerCpuBlock) {}

/// The host's threads keep their bases.
///
/// # Safety
/// None is needed here; the machine's function of this name needs it.
pub(crate) unsafe fn set_fs_base(_base: u64) {}

/// The host's threads have no user mode.
pub(crate) fn set_rsp0(_block: &PerCpuBlock, _rsp0: u64) {}

pub(crate) fn virtual_address_bits() -> u32 {
    48
}

/// Claims a word that only one CPU uses; waits for another thread that plays the same CPU.
pub(crate) fn claim_own(word: &AtomicU32) -> bool {
    let token = PLAYED.with(|played| played.token);
    loop {
        // Acquire pairs with the Release in `release_own`, of another thread.
        match word.compare_exchange(0, token, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(holder) if holder == token => return false,
            Err(_) => std::thread::yield_now(),
        }
    }
}

pub(crate) fn release_own(word: &AtomicU32) {
    // Release pairs with the Acquire in `claim_own`.
    word.store(0, Ordering::Release);
}
