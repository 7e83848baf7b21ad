//! The stand-in on the host, whose threads have no local APIC: interrupts are polls there, so nothing is sent and no
//! timer fires.

/// Ends nothing.
pub fn end_of_interrupt() {}

/// Starts nothing.
pub fn start_timer_ns(_delay_ns: u64) {}

/// Stops nothing.
pub fn stop_timer() {}

/// Sends nothing.
pub(crate) unsafe fn send_fixed(_apic_id: u32, _vector: u8) {}

/// Sends nothing.
pub(crate) unsafe fn send_fixed_to_all(
    _apic_ids: impl Iterator<Item = u32>,
    _vector: u8,
    _off: &crate::irq::IrqOff,
) {
}

/// Sends nothing.
pub(crate) unsafe fn send_nmi(_apic_id: u32) {}
