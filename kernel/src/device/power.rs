//! Ending the machine, through QEMU's debug-exit device and, where there is none, by halting; and booting it again.

use core::fmt::Display;

use protocol::{DEBUG_EXIT_PORT, DebugExit, Line};
use x86_64::instructions::port::Port;

use super::log;
use crate::trap::stubs::halt_for_ever;

/// Tells how the run ended and ends QEMU.
pub(crate) fn off<M: Display>(outcome: &Line<M>) -> ! {
    log::write_protocol_line(outcome);
    let exit = match outcome {
        Line::Panic(_) => DebugExit::Panic,
        Line::Refused(_) => DebugExit::Refused,
        Line::Exit(_) | Line::Killed(_) | Line::Booted { .. } | Line::Reboot => DebugExit::Done,
    };
    // SAFETY: a write to this port ends QEMU, or reaches no device at all.
    unsafe { Port::<u32>::new(DEBUG_EXIT_PORT).write(exit as u32) };
    halt_for_ever()
}

/// The reset control register of the PCI host bridge, which also ends what is not the processor's. Source: Intel ICH9
/// datasheet, 13.7.5.
const RESET_PORT: u16 = 0xcf9;
/// In it: a full reset, and the edge that starts it.
const FULL_RESET: u8 = 1 << 1;
const START_RESET: u8 = 1 << 2;
/// The command port of the keyboard controller, and the command that pulls the processor's reset line. Source: IBM PC
/// AT, "Technical Reference".
const KEYBOARD_COMMAND_PORT: u16 = 0x64;
const PULL_RESET_LINE: u8 = 0xfe;
/// How long a way to reset the machine may take.
const RESET_NS: u64 = 100_000_000;

/// Boots the machine again.
pub(crate) fn reboot() -> ! {
    log::write_protocol_line(&Line::<&str>::Reboot);
    // SAFETY: writes to these ports reset the machine, or reach no device at all.
    unsafe {
        Port::<u8>::new(RESET_PORT).write(FULL_RESET);
        Port::<u8>::new(RESET_PORT).write(FULL_RESET | START_RESET);
        wait(RESET_NS);
        Port::<u8>::new(KEYBOARD_COMMAND_PORT).write(PULL_RESET_LINE);
    }
    halt_for_ever()
}

fn wait(duration_ns: u64) {
    let end_ns = smp::time::now_ns() + duration_ns;
    while smp::time::now_ns() < end_ns {
        core::hint::spin_loop();
    }
}

/// Ends the run because the kernel cannot run on this machine.
pub(crate) fn refuse(reason: core::fmt::Arguments<'_>) -> ! {
    super::console::message(format_args!(
        "Argonaut cannot run on this machine: {reason}\n"
    ));
    off(&Line::Refused(reason))
}
