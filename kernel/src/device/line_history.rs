//! Earlier lines, as the line editors of the kernel shell and of the line discipline show them by the arrow keys.

use core::str::FromStr;

use heapless::{Deque, String};
use ushell::history::History;

const LINES: usize = 16;

/// The last lines, each of at most `LINE_MAX` bytes; empty ones, and one that is typed twice in a row, take no place.
#[derive(Default)]
pub(crate) struct LineHistory<const LINE_MAX: usize> {
    /// The newest first.
    lines: Deque<String<LINE_MAX>, LINES>,
    /// How many lines back the editor shows; 0 is the line that is being typed.
    distance: usize,
    finished: Option<String<LINE_MAX>>,
}

impl<const LINE_MAX: usize> LineHistory<LINE_MAX> {
    /// The line that the editor has finished, whole; none if it has not.
    pub(crate) fn take_finished(&mut self) -> Option<String<LINE_MAX>> {
        self.finished.take()
    }

    /// The next line is a new one.
    pub(crate) fn return_to_present(&mut self) {
        self.distance = 0;
    }

    fn shown(&self) -> Option<String<LINE_MAX>> {
        match self.distance.checked_sub(1) {
            None => Some(String::new()),
            Some(index) => self.lines.iter().nth(index).cloned(),
        }
    }
}

impl<const LINE_MAX: usize> History<LINE_MAX> for LineHistory<LINE_MAX> {
    fn reset(&mut self) {
        *self = LineHistory::default();
    }

    fn push(&mut self, line: &str) -> Result<(), ()> {
        let line = String::from_str(line)?;
        self.return_to_present();
        if !line.is_empty() && self.lines.front() != Some(&line) {
            if self.lines.is_full() {
                self.lines.pop_back();
            }
            self.lines.push_front(line.clone()).map_err(drop)?;
        }
        self.finished = Some(line);
        Ok(())
    }

    fn go_back(&mut self) -> Option<String<LINE_MAX>> {
        if self.distance == self.lines.len() {
            return None;
        }
        self.distance += 1;
        self.shown()
    }

    fn go_forward(&mut self) -> Option<String<LINE_MAX>> {
        self.distance = self.distance.checked_sub(1)?;
        self.shown()
    }
}
