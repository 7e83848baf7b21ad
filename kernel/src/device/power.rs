//! Ending the machine: through QEMU's debug-exit device and, where there is none, by halting.

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
        Line::Exit(_) | Line::Killed(_) | Line::Booted { .. } => DebugExit::Done,
    };
    // SAFETY: a write to this port ends QEMU, or reaches no device at all.
    unsafe { Port::<u32>::new(DEBUG_EXIT_PORT).write(exit as u32) };
    halt_for_ever()
}

/// Ends the run because the kernel cannot run on this machine.
pub(crate) fn refuse(reason: core::fmt::Arguments<'_>) -> ! {
    super::console::message(format_args!(
        "Argonaut cannot run on this machine: {reason}\n"
    ));
    off(&Line::Refused(reason))
}
