//! Reading a line with editing and history.

use alloc::boxed::Box;

use heapless::String;
use mm::NoMemory;
use proc::wait::Interrupted;
use ushell::autocomplete::StaticAutocomplete;
use ushell::{Input, ShellError, UShell};

use super::commands;
use crate::device::line_history::LineHistory;
use crate::device::{console, input};

/// The longest line in bytes.
const LINE_MAX: usize = 128;

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
type Editor = UShell<Keys, Completion, LineHistory<LINE_MAX>, LINE_MAX>;

/// Edits lines and remembers them.
pub(super) struct LineEditor {
    editor: Box<Editor>,
}

impl LineEditor {
    /// An editor without history.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(super) fn new() -> Result<LineEditor, NoMemory> {
        let completion = StaticAutocomplete(commands::names());
        let editor = mm::heap::try_box(UShell::new(Keys, completion, LineHistory::default()))?;
        Ok(LineEditor { editor })
    }

    /// The next line that is typed, without its end.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is being killed.
    pub(super) fn read_line(&mut self) -> Result<String<LINE_MAX>, Interrupted> {
        loop {
            match self.editor.poll() {
                Ok(Some(Input::Command(_))) => break,
                Ok(None) => {}
                Err(ShellError::ReadError(Interrupted) | ShellError::WriteError(Interrupted)) => {
                    return Err(Interrupted);
                }
                // Ctrl-C and the like, or a line that is not UTF-8: a new, empty line.
                Ok(Some(Input::Control(_))) | Err(_) => {
                    self.editor.reset();
                    self.editor.get_history_mut().return_to_present();
                    break;
                }
            }
        }
        console::write(b"\n");
        let line = self.editor.get_history_mut().take_finished();
        Ok(line.unwrap_or_default())
    }
}
