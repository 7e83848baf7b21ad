//! What GS points to: the words that entry stubs and the switch reach from assembly, and the debug words of this CPU.

use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

use crate::cpu::{self, CpuId, MAX_CPUS};
use crate::hw;
use crate::irq;
use crate::pin::Pinned;

/// How many spin locks one CPU holds at once, at most (interrupt handlers included).
const HELD_RANKS_MAX: usize = 16;

/// How many tables can have a place in each block. The first one is nobody's, and stays null.
pub(crate) const PLACES: usize = 24;

/// The place of a table that has none.
pub(crate) const NO_PLACE: usize = 0;

/// The words of one CPU that GS reaches. Its address never changes.
///
/// Fields are atomic because assembly and interrupt handlers change them; where only
/// the own CPU writes, Relaxed loads and stores are enough, and cost what plain ones do.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct PerCpuBlock {
    /// This block's own address, by which Rust gets from GS to a reference.
    self_pointer: AtomicPtr<PerCpuBlock>,
    /// Scratch word of the system-call entry: the user's RSP until it has been saved.
    pub user_rsp: AtomicU64,
    /// What the system-call entry loads into RSP: top of the running thread's kernel stack.
    pub kernel_rsp: AtomicU64,
    /// Where this CPU's TSS keeps RSP0; changed along with `kernel_rsp`.
    pub tss_rsp0: AtomicPtr<u64>,
    cpu: AtomicU32,
    apic_id: AtomicU32,
    /// Debug builds: how many `Pinned` guards live on this CPU.
    pin_depth: AtomicU32,
    /// How many interrupt handlers nest on kernel code now.
    kernel_irq_depth: AtomicU32,
    /// What interrupt handlers of this CPU have left for a thread to do; not 0 if there is something.
    pub notes: AtomicU8,
    /// The running fiber: `fiber` says what the word means.
    pub current_fiber: AtomicUsize,
    /// The fiber whose FPU state the registers hold: `fiber` says what the word means.
    pub fpu_owner: AtomicUsize,
    /// What the base of FS was set to last.
    pub tls_base: AtomicU64,
    /// The elements of tables that belong to this CPU: PLACE-1 of [`super`].
    elements: [AtomicPtr<()>; PLACES],
    /// How often this CPU has acted on its timer; others look at it ([`crate::watchdog`]).
    beats: AtomicU32,
    /// Debug builds: levels of the locks held by this CPU, ascending.
    held_count: AtomicU32,
    held_levels: [AtomicU16; HELD_RANKS_MAX],
}

/// Where assembly finds the words of a [`PerCpuBlock`], from the GS base.
pub mod offset {
    /// The block's own address (8 bytes).
    pub const SELF: usize = 0;
    /// Scratch for the user's RSP (8 bytes).
    pub const USER_RSP: usize = 8;
    /// The kernel's RSP at a system call (8 bytes).
    pub const KERNEL_RSP: usize = 16;
    /// Address of RSP0 in the TSS (8 bytes).
    pub const TSS_RSP0: usize = 24;
    /// The CPU's number (4 bytes).
    pub const CPU: usize = 32;
    /// The CPU's APIC id (4 bytes).
    pub const APIC_ID: usize = 36;
    /// How many handlers nest on kernel code (4 bytes).
    pub const KERNEL_IRQ_DEPTH: usize = 44;
    /// Notes of interrupt handlers (1 byte).
    pub const NOTES: usize = 48;
    /// The running fiber (8 bytes).
    pub const CURRENT_FIBER: usize = 56;
    /// The owner of the FPU registers (8 bytes).
    pub const FPU_OWNER: usize = 64;
    /// The elements of this CPU in tables (8 bytes each).
    pub const ELEMENTS: usize = 80;
}

const _: () = {
    assert!(offset_of!(PerCpuBlock, self_pointer) == offset::SELF);
    assert!(offset_of!(PerCpuBlock, user_rsp) == offset::USER_RSP);
    assert!(offset_of!(PerCpuBlock, kernel_rsp) == offset::KERNEL_RSP);
    assert!(offset_of!(PerCpuBlock, tss_rsp0) == offset::TSS_RSP0);
    assert!(offset_of!(PerCpuBlock, cpu) == offset::CPU);
    assert!(offset_of!(PerCpuBlock, apic_id) == offset::APIC_ID);
    assert!(offset_of!(PerCpuBlock, kernel_irq_depth) == offset::KERNEL_IRQ_DEPTH);
    assert!(offset_of!(PerCpuBlock, notes) == offset::NOTES);
    assert!(offset_of!(PerCpuBlock, current_fiber) == offset::CURRENT_FIBER);
    assert!(offset_of!(PerCpuBlock, fpu_owner) == offset::FPU_OWNER);
    assert!(offset_of!(PerCpuBlock, elements) == offset::ELEMENTS);
};

impl PerCpuBlock {
    /// The block of a CPU, not installed yet.
    pub const fn new(cpu: CpuId, apic_id: u32) -> PerCpuBlock {
        PerCpuBlock {
            self_pointer: AtomicPtr::new(ptr::null_mut()),
            user_rsp: AtomicU64::new(0),
            kernel_rsp: AtomicU64::new(0),
            tss_rsp0: AtomicPtr::new(ptr::null_mut()),
            cpu: AtomicU32::new(cpu.index() as u32),
            apic_id: AtomicU32::new(apic_id),
            pin_depth: AtomicU32::new(0),
            kernel_irq_depth: AtomicU32::new(0),
            notes: AtomicU8::new(0),
            current_fiber: AtomicUsize::new(0),
            fpu_owner: AtomicUsize::new(0),
            tls_base: AtomicU64::new(0),
            beats: AtomicU32::new(0),
            elements: [const { AtomicPtr::new(ptr::null_mut()) }; PLACES],
            held_count: AtomicU32::new(0),
            held_levels: [const { AtomicU16::new(0) }; HELD_RANKS_MAX],
        }
    }

    /// Whose block it is.
    #[inline(always)]
    pub fn cpu(&self) -> CpuId {
        CpuId::from_block(self.cpu.load(Ordering::Relaxed))
    }

    /// The APIC id of the CPU.
    #[inline(always)]
    pub fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    /// Sets the APIC id: the boot CPU's block is a static, made before the id is known.
    pub fn set_apic_id(&self, apic_id: u32) {
        self.apic_id.store(apic_id, Ordering::Relaxed);
    }

    /// Makes this the block of `cpu` with nothing pinned, held or asked for, as a host thread plays CPU after CPU.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn start_afresh(&self, cpu: CpuId) {
        self.cpu.store(cpu.index() as u32, Ordering::Relaxed);
        self.pin_depth.store(0, Ordering::Relaxed);
        self.kernel_irq_depth.store(0, Ordering::Relaxed);
        self.notes.store(0, Ordering::Relaxed);
        self.current_fiber.store(0, Ordering::Relaxed);
        self.fpu_owner.store(0, Ordering::Relaxed);
        self.tls_base.store(0, Ordering::Relaxed);
        self.beats.store(0, Ordering::Relaxed);
        for element in &self.elements {
            element.store(ptr::null_mut(), Ordering::Relaxed);
        }
        self.held_count.store(0, Ordering::Relaxed);
    }

    /// Remembers this CPU's element in the table that has `place`, which is not [`NO_PLACE`].
    pub(super) fn set_element(&self, place: usize, element: *mut ()) {
        debug_assert!(place != NO_PLACE);
        self.elements[place].store(element, Ordering::Relaxed);
    }

    /// This CPU's element in the table that has `place`; null if it has not been set, or if it is [`NO_PLACE`].
    #[cfg(not(target_os = "none"))]
    pub(crate) fn element(&self, place: usize) -> *mut () {
        self.elements[place].load(Ordering::Relaxed)
    }

    // The depths change by load and store: an interrupt in between leaves them as it found them.

    pub(crate) fn pin_depth(&self) -> u32 {
        self.pin_depth.load(Ordering::Relaxed)
    }

    pub(crate) fn pin_added(&self) {
        self.pin_depth
            .store(self.pin_depth() + 1, Ordering::Relaxed);
    }

    pub(crate) fn pin_removed(&self) {
        let depth = self.pin_depth();
        assert!(
            depth != 0,
            "a pin was dropped on another CPU than it was made on"
        );
        self.pin_depth.store(depth - 1, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn handler_depth(&self) -> u32 {
        self.kernel_irq_depth.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn handler_entered(&self) {
        self.kernel_irq_depth
            .store(self.handler_depth().wrapping_add(1), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn handler_left(&self) {
        self.kernel_irq_depth
            .store(self.handler_depth().wrapping_sub(1), Ordering::Relaxed);
    }

    /// Counts one beat of the watchdog.
    #[inline(always)]
    pub(crate) fn beat(&self) {
        // Relaxed: who looks on another CPU wants to know only whether the count moves.
        self.beats
            .store(self.beats().wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn beats(&self) -> u32 {
        self.beats.load(Ordering::Relaxed)
    }

    /// The highest level of a lock that this CPU holds.
    pub(crate) fn highest_rank_held(&self) -> Option<u16> {
        let count = self.held_count.load(Ordering::Relaxed) as usize;
        Some(self.held_levels[count.checked_sub(1)?].load(Ordering::Relaxed))
    }

    /// Notes a lock taken. Its level may lie below others', after a `try_lock`.
    pub(crate) fn rank_taken(&self, level: u16) {
        let _off = irq::disable();
        let count = self.held_count.load(Ordering::Relaxed) as usize;
        assert!(
            count < HELD_RANKS_MAX,
            "more than {HELD_RANKS_MAX} spin locks held"
        );
        let mut place = count;
        while place > 0 {
            let below = self.held_levels[place - 1].load(Ordering::Relaxed);
            if below <= level {
                break;
            }
            self.held_levels[place].store(below, Ordering::Relaxed);
            place -= 1;
        }
        self.held_levels[place].store(level, Ordering::Relaxed);
        self.held_count.store(count as u32 + 1, Ordering::Relaxed);
    }

    /// Notes a lock given back, in any order.
    pub(crate) fn rank_given_back(&self, level: u16) {
        let _off = irq::disable();
        let count = self.held_count.load(Ordering::Relaxed) as usize;
        let held = &self.held_levels[..count];
        let Some(place) = held
            .iter()
            .rposition(|one| one.load(Ordering::Relaxed) == level)
        else {
            panic!(
                "a lock of rank {} was given back by a CPU that does not hold it",
                crate::rank::name(level)
            );
        };
        for next in place + 1..count {
            held[next - 1].store(held[next].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.held_count.store(count as u32 - 1, Ordering::Relaxed);
    }
}

/// The installed blocks, by CPU: an index, one word each.
static INSTALLED: [AtomicPtr<PerCpuBlock>; MAX_CPUS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CPUS];

/// Makes `block` this CPU's, as the first thing that it does: nothing else of this crate works on a CPU before.
///
/// # Safety
/// 1. No other CPU has a block of the same number, and this CPU has none yet.
/// 2. The block's number is the one that this CPU shall have, below [`cpu::possible`].
/// 3. From here on GS stays as it is set here whenever Rust code runs.
pub unsafe fn install(block: &'static PerCpuBlock) {
    block
        .self_pointer
        .store(ptr::from_ref(block).cast_mut(), Ordering::Relaxed);
    // SAFETY: the caller's conditions are the same.
    unsafe { hw::install_block(block) };
    // Release pairs with the Acquire in `block_of`.
    INSTALLED[block.cpu().index()].store(ptr::from_ref(block).cast_mut(), Ordering::Release);
}

/// The block of the CPU that the caller is pinned to.
#[inline(always)]
pub fn own_block(_pin: &Pinned) -> &'static PerCpuBlock {
    hw::block()
}

/// The `notes` of the CPU that the caller is pinned to.
#[inline(always)]
pub fn own_notes(_pin: &Pinned) -> u64 {
    hw::own_notes()
}

/// The block of `cpu`, if that has got as far as installing one.
pub fn block_of(cpu: CpuId) -> Option<&'static PerCpuBlock> {
    // Acquire pairs with the Release in `install`.
    let block = INSTALLED[cpu.index()].load(Ordering::Acquire);
    // SAFETY: the only pointers stored come from `&'static PerCpuBlock`.
    unsafe { block.as_ref() }
}

const _: () = assert!(cpu::MAX_CPUS <= u32::MAX as usize);
