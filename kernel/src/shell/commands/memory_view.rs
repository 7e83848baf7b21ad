//! The memory view, on the screen and on the serial line.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use memview::{Picture, differences};
use proc::process::Process;
use proc::sleep::sleep_ns;

use super::{GO_ON, programs};
use crate::device::console::say;
use crate::device::{input, screen, serial};
use crate::memory_view::{DRAWING_DISTANCE_NS, View};

/// Clears the terminal, and has what is written scroll below the picture only.
const BEGIN: &[u8] = b"\x1b[2J\x1b[21r\x1b[21;1H";
/// Everything scrolls again, from the last line on.
const END: &[u8] = b"\x1b[r\x1b[999;1H\n";

const _: () = assert!(memview::ROWS == 20, "the picture ends where BEGIN says");

/// Shows the picture until a key is pressed, and runs a program meanwhile if one is named.
pub(super) fn memview(process: &Arc<Process>, line: &str) -> ControlFlow<i32> {
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let (Ok(mut view), Ok(mut shown)) = (View::new(), Picture::new()) else {
        say!("memview: no memory for the picture");
        return GO_ON;
    };
    serial::write_console(BEGIN);
    let child = (!name.is_empty()).then(|| programs::start(name, arguments));
    while input::take_key().is_none() {
        view.draw();
        differences(&shown, view.picture(), serial::write_console);
        shown.copy_from(view.picture());
        screen::show_above(view.picture());
        if sleep_ns(DRAWING_DISTANCE_NS).is_err() {
            break;
        }
    }
    screen::hide_view();
    serial::write_console(END);
    drop((view, shown));
    match child {
        None => {}
        Some(Ok(child)) => programs::wait_for(process, child, name),
        Some(Err(error)) => say!("{name}: {error}"),
    }
    GO_ON
}
