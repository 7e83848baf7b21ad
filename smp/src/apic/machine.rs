//! What a running kernel does with the local APIC.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::ApicMode;
use super::command::{self, Delivery};
use super::registers::{self, Register};
use crate::irq::{self, IrqOff};
use crate::time::Scale;

/// In xAPIC mode: the last command has not left yet.
const DELIVERY_PENDING: u32 = 1 << 12;
/// The longest delay that the timer is set to. What needs longer sets it again when it fires.
const LONGEST_DELAY_NS: u64 = 1 << 32;

/// From nanoseconds to ticks of the timer. Set once, by the boot CPU, before any timer is started.
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);

/// The mode that the boot CPU has chosen for all.
pub fn mode() -> ApicMode {
    match registers::memory_base() {
        Some(_) => ApicMode::XApic,
        None => ApicMode::X2Apic,
    }
}

/// The largest APIC id that can be the target of an interrupt; the one above it means everyone.
pub fn largest_id() -> u32 {
    match mode() {
        ApicMode::XApic => 0xfe,
        ApicMode::X2Apic => 0xffff_fffe,
    }
}

/// The APIC id of the CPU that runs this.
pub fn id() -> u32 {
    match mode() {
        ApicMode::XApic => registers::read(Register::Id) >> 24,
        ApicMode::X2Apic => registers::read(Register::Id),
    }
}

/// Ends the handling of an interrupt, so that the next can come. Not for exceptions, NMIs and spurious interrupts.
#[inline(always)]
pub fn end_of_interrupt() {
    // SAFETY: zero is what the register takes. Too many of them at worst let a lower interrupt in, with interrupts off.
    unsafe { registers::write(Register::EndOfInterrupt, 0) };
}

/// Sends the interrupt `vector` to the CPU with `apic_id`. What the caller has stored before is seen by the handler.
///
/// # Safety
/// The vector has a handler on that CPU, which may run now.
#[inline]
pub(crate) unsafe fn send_fixed(apic_id: u32, vector: u8) {
    // SAFETY: the caller's condition.
    unsafe { send(Delivery::Fixed(vector), apic_id) };
}

/// Sends the interrupt `vector` to each CPU in `apic_ids`, with as few commands as the mode allows.
///
/// # Safety
/// As for [`send_fixed`].
pub(crate) unsafe fn send_fixed_to_all(
    apic_ids: impl Iterator<Item = u32>,
    vector: u8,
    off: &IrqOff,
) {
    let delivery = Delivery::Fixed(vector);
    if let Some(base) = registers::memory_base() {
        // SAFETY: 1. where the registers are; 2. the caller's condition.
        apic_ids.for_each(|apic_id| unsafe { send_in_memory(base, delivery, apic_id, off) });
    } else {
        command::multicast(delivery, apic_ids, |command| {
            // SAFETY: x2APIC mode, since the registers are not in memory; the caller answers for the effect.
            unsafe { registers::write_command(command) };
        });
    }
}

/// Sends a non-maskable interrupt.
///
/// # Safety
/// The target has an NMI handler, which may run at any moment.
pub(crate) unsafe fn send_nmi(apic_id: u32) {
    // SAFETY: the caller's condition.
    unsafe { send(Delivery::NonMaskable, apic_id) };
}

/// Resets a CPU to the state in which it waits for [`send_start_up`].
///
/// # Safety
/// The target runs nothing that is needed, holds no lock, and is not the CPU that runs this.
pub(crate) unsafe fn send_init(apic_id: u32) {
    // SAFETY: the caller's condition.
    unsafe { send(Delivery::Init, apic_id) };
}

/// Starts a CPU in real mode at physical page `page`. Ignored by one that has not been reset before.
///
/// # Safety
/// There is code at that page which is made for it.
pub(crate) unsafe fn send_start_up(apic_id: u32, page: u8) {
    // SAFETY: the caller's condition.
    unsafe { send(Delivery::StartUp(page), apic_id) };
}

/// # Safety
/// The effect of `delivery` on the target is expected.
#[inline(always)]
unsafe fn send(delivery: Delivery, apic_id: u32) {
    if let Some(base) = registers::memory_base() {
        // SAFETY: 1. where the registers are; 2. the caller answers for the effect.
        unsafe { send_in_memory(base, delivery, apic_id, &irq::disable()) };
    } else {
        // SAFETY: x2APIC mode, since the registers are not in memory; the caller answers for the effect.
        unsafe { registers::write_command(command::to_one(delivery, apic_id)) };
    }
}

/// Sends in xAPIC mode, where a command is two writes, between which no interrupt handler may send, and must wait for
/// the one before it. The registers are uncached memory, so the writes stay behind all stores before them.
///
/// # Safety
/// 1. `base` is what `memory_base` says.
/// 2. As for [`send`].
#[inline(always)]
unsafe fn send_in_memory(base: usize, delivery: Delivery, apic_id: u32, _off: &IrqOff) {
    // SAFETY: (1).
    let command = || unsafe { registers::read_at(base, Register::InterruptCommand) };
    while command() & DELIVERY_PENDING != 0 {
        spin_loop();
    }
    // SAFETY: (1); the destination is the upper byte of its register; the caller answers for the effect.
    unsafe {
        registers::write_at(base, Register::InterruptCommandHigh, apic_id << 24);
        registers::write_at(base, Register::InterruptCommand, delivery.low_word());
    }
}

/// Has this CPU's timer interrupt come once, `delay_ns` from now; replaces what was set before. At most some four
/// seconds: for a longer delay the interrupt comes early and is to be set again.
#[inline]
pub fn start_timer_ns(delay_ns: u64) {
    let scale = Scale::from_bits(TICKS_PER_NS.load(Relaxed));
    let ticks = scale
        .apply(delay_ns.min(LONGEST_DELAY_NS))
        .clamp(1, u64::from(u32::MAX));
    // SAFETY: the register takes any count, and the timer's vector has a handler since `init_cpu`.
    unsafe { registers::write(Register::TimerInitialCount, ticks as u32) };
}

/// Stops this CPU's timer.
#[inline]
pub fn stop_timer() {
    // SAFETY: zero stops it.
    unsafe { registers::write(Register::TimerInitialCount, 0) };
}

/// Says how fast the timers count; all of them count alike.
pub(crate) fn set_timer_frequency(ticks_per_second: u64) {
    TICKS_PER_NS.store(
        Scale::new(crate::time::NS_PER_SECOND, ticks_per_second).to_bits(),
        Relaxed,
    );
}
