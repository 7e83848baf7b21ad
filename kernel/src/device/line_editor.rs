//! The line that is typed for a program: what each key does to it, and what the terminal is told then.
//!
//! The keys are those of the kernel shell: the arrows move in the line and to earlier lines, backspace takes back. The
//! lines are remembered for whoever reads next, since the line discipline does not ask who that will be. A character
//! has one column: so a tab becomes a blank, and what is no character is left out.

use core::convert::Infallible;

use heapless::{String, Vec};
use ushell::autocomplete::NoAutocomplete;
use ushell::{ShellError, UShell};

use super::line_history::LineHistory;

/// The longest line in bytes, without its end.
pub(super) const LINE_MAX: usize = 255;
/// What a key makes the terminal show: the line at most, and a few escape sequences.
const ECHO_MAX: usize = LINE_MAX + 32;

const RETURN: u8 = b'\r';
/// The editor would ask for a completion, of which there is none.
const TAB: u8 = b'\t';

/// What a terminal is told.
pub(super) type Echo = Vec<u8, ECHO_MAX>;

/// The key on its way into the editor, and the echo on its way out.
#[derive(Default)]
struct Port {
    key: Option<u8>,
    echo: Echo,
}

impl ushell::Read<u8> for Port {
    type Error = Infallible;

    fn read(&mut self) -> nb::Result<u8, Infallible> {
        self.key.take().ok_or(nb::Error::WouldBlock)
    }
}

impl ushell::Write<u8> for Port {
    type Error = Infallible;

    fn write(&mut self, byte: u8) -> nb::Result<(), Infallible> {
        // What does not fit would not be seen either: the line has its end elsewhere on the screen.
        let _ = self.echo.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> nb::Result<(), Infallible> {
        Ok(())
    }
}

/// Edits a line and remembers earlier ones.
pub(super) struct LineEditor(UShell<Port, NoAutocomplete, LineHistory<LINE_MAX>, LINE_MAX>);

impl LineEditor {
    /// With an empty line, and without earlier ones.
    pub(super) fn new() -> LineEditor {
        LineEditor(UShell::new(
            Port::default(),
            NoAutocomplete,
            LineHistory::default(),
        ))
    }

    /// Changes the line as this key says. Returns what the terminal is to be told: a bell, if the key does nothing.
    pub(super) fn edit(&mut self, key: u8) -> Echo {
        let port = self.0.get_serial_mut();
        port.key = Some(if key == TAB { b' ' } else { key });
        port.echo.clear();
        match self.0.poll() {
            Ok(_) | Err(ShellError::WouldBlock) => {}
            // A line that is not UTF-8 counts as an empty one.
            Err(_) => self.clear(),
        }
        self.0.get_serial_mut().echo.clone()
    }

    /// Takes the line; the next one is empty.
    pub(super) fn finish(&mut self) -> String<LINE_MAX> {
        // An escape sequence that was begun swallows one.
        for _ in 0..2 {
            self.edit(RETURN);
            if let Some(line) = self.0.get_history_mut().take_finished() {
                return line;
            }
        }
        String::new()
    }

    /// Begins again with an empty line.
    pub(super) fn clear(&mut self) {
        self.0.reset();
        self.0.get_history_mut().return_to_present();
    }
}
