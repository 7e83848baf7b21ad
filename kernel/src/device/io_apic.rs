//! The I/O APIC: routes the interrupts of the serial line and the keyboard to the boot CPU.
//!
//! Source: Intel 82093AA I/O APIC datasheet.

use x86_64::instructions::port::Port;

/// Where PCs have it; QEMU's machines and their firmware do.
pub(crate) const ADDRESS: usize = 0xfec0_0000;
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
/// Index of the first redirection entry; each takes two registers.
const REDIRECTION: u32 = 0x10;

/// Masks the old interrupt controllers, whose interrupts nobody wants.
pub(crate) fn mask_legacy_controllers() {
    // SAFETY: the data ports of the two 8259s; a mask of ones silences them.
    unsafe {
        Port::<u8>::new(0x21).write(0xff);
        Port::<u8>::new(0xa1).write(0xff);
    }
}

/// Routes the ISA interrupt `line` to `vector` of the CPU with `apic_id`: edge-triggered, fixed delivery.
///
/// The identity of ISA lines and I/O APIC pins holds for all lines but the timer's.
pub(crate) fn route(line: u8, vector: u8, apic_id: u32) {
    let register = REDIRECTION + 2 * u32::from(line);
    write(register + 1, apic_id << 24);
    write(register, u32::from(vector));
}

fn write(register: u32, value: u32) {
    // SAFETY: the kernel's map has this page, uncached; only the boot CPU comes here, at boot.
    unsafe {
        ((ADDRESS + SELECT) as *mut u32).write_volatile(register);
        ((ADDRESS + WINDOW) as *mut u32).write_volatile(value);
    }
}
