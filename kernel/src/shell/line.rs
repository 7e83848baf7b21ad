//! Reading a line with editing and history.

use alloc::boxed::Box;

use mm::NoMemory;
use proc::wait::Interrupted;
use ushell::autocomplete::StaticAutocomplete;
use ushell::history::LRUHistory;
use ushell::{Input, ShellError, UShell};

use super::commands;
use crate::device::{console, input};

/// The longest line in bytes.
const LINE_MAX: usize = 128;
const HISTORY_LINES: usize = 16;

/// The console as the editor sees it.
struct Keys;

impl ushell::Read<u8> for Keys {
    type Error = Interrupted;

    fn read(&mut self) -> nb::Result<u8, Interrupted> {
        match input::read_key()? {
            // A script sends line feeds where a terminal sends carriage returns.
            b'\n' => Ok(b'\r'),
            key => Ok(key),
        }
    }
}

impl ushell::Write<u8> for Keys {
    type Error = Interrupted;

    fn write(&mut self, byte: u8) -> nb::Result<(), Interrupted> {
        console::write(&[byte]);
        Ok(())
    }

    fn flush(&mut self) -> nb::Result<(), Interrupted> {
        Ok(())
    }
}

type Completion = StaticAutocomplete<{ commands::COMMANDS.len() }>;
type Editor = UShell<Keys, Completion, LRUHistory<LINE_MAX, HISTORY_LINES>, LINE_MAX>;

/// Edits lines and remembers them.
pub(super) struct LineEditor {
    editor: Box<Editor>,
    line: [u8; LINE_MAX],
}

impl LineEditor {
    /// An editor without history.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(super) fn new() -> Result<LineEditor, NoMemory> {
        let completion = StaticAutocomplete(commands::names());
        let editor = mm::heap::try_box(UShell::new(Keys, completion, LRUHistory::default()))?;
        Ok(LineEditor {
            editor,
            line: [0; LINE_MAX],
        })
    }

    /// The next line that is typed, without its end.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is being killed.
    pub(super) fn read_line(&mut self) -> Result<&str, Interrupted> {
        let len = loop {
            match self.editor.poll() {
                Ok(Some(Input::Command((name, arguments)))) => {
                    break join(&mut self.line, name, arguments);
                }
                Ok(None) => {}
                // Ctrl-C and the like: a new, empty line.
                Ok(Some(Input::Control(_))) => {
                    self.editor.reset();
                    break 0;
                }
                Err(ShellError::ReadError(Interrupted) | ShellError::WriteError(Interrupted)) => {
                    return Err(Interrupted);
                }
                // A line that is not UTF-8, or too long to be remembered.
                Err(_) => {
                    self.editor.reset();
                    break 0;
                }
            }
        };
        console::write(b"\n");
        Ok(core::str::from_utf8(&self.line[..len]).unwrap_or(""))
    }
}

/// Puts a command and its arguments together again, which the editor has taken apart at the first blank.
fn join(line: &mut [u8; LINE_MAX], name: &str, arguments: &str) -> usize {
    let blank: &[u8] = if arguments.is_empty() { b"" } else { b" " };
    let bytes = name
        .bytes()
        .chain(blank.iter().copied())
        .chain(arguments.bytes());
    line.iter_mut()
        .zip(bytes)
        .map(|(place, byte)| *place = byte)
        .count()
}
