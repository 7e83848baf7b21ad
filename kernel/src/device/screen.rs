//! The screen: 25 lines of 80 characters in the PC's text mode.
//!
//! While a view is shown it has the upper rows, and what was written last is in those below.
//!
//! What is to be seen lives in ordinary memory. The screen's own memory is slow, so a thread of the kernel brings it up
//! to date some times a second, and the end of the machine does once more.

use proc::wait::WaitQueue;
use smp::lock::{SpinGuard, SpinLock};
use smp::rank;
use vte::{Params, Parser, Perform};

const COLUMNS: usize = abi::SCREEN_COLUMNS;
const ROWS: usize = abi::SCREEN_ROWS;
/// Where the text mode has its characters, two bytes each: the code, then the colours.
pub(crate) const ADDRESS: usize = 0xb8000;
/// Light grey on black.
const COLOURS: u16 = 0x0700;
const BLANK: u16 = COLOURS | b' ' as u16;
const REFRESH_DISTANCE_NS: u64 = 50_000_000;

/// A small terminal: characters, and the escape sequences that line editing uses.
struct Terminal {
    parser: Parser,
    picture: Picture,
}

struct Picture {
    cells: [[u16; COLUMNS]; ROWS],
    row: usize,
    column: usize,
    /// Where `ESC [ u` goes back to.
    saved: (usize, usize),
    /// What is shown above the last rows of `cells`, if `has_view`.
    view: [[u16; COLUMNS]; memview::ROWS],
    has_view: bool,
    /// Whether the screen shows something else.
    is_stale: bool,
}

const _: () = assert!(memview::COLUMNS == COLUMNS && memview::ROWS < ROWS);

static TERMINAL: SpinLock<Option<Terminal>, rank::Screen> = SpinLock::new(None);
static STALE: WaitQueue = WaitQueue::new();

/// Makes the screen show what is written from now on.
pub(crate) fn init() {
    let picture = Picture {
        cells: [[BLANK; COLUMNS]; ROWS],
        row: 0,
        column: 0,
        saved: (0, 0),
        view: [[BLANK; COLUMNS]; memview::ROWS],
        has_view: false,
        is_stale: true,
    };
    *TERMINAL.lock() = Some(Terminal {
        parser: Parser::new(),
        picture,
    });
}

/// Writes bytes to the picture.
pub(crate) fn write(bytes: &[u8]) {
    let terminal = TERMINAL.lock();
    if write_to(terminal, bytes) {
        STALE.wake_one();
    }
}

/// Puts bytes into one row of the picture, as many as there is room for, in the colours of `attribute`. Where other
/// text goes on does not change.
pub(crate) fn put(row: usize, column: usize, attribute: u8, bytes: &[u8]) {
    let mut terminal = TERMINAL.lock();
    let Some(Terminal { picture, .. }) = terminal.as_mut() else {
        return;
    };
    let cells = picture.cells.get_mut(row).map(|row| row.iter_mut());
    let cells = cells.into_iter().flatten().skip(column);
    for (cell, &byte) in cells.zip(bytes) {
        *cell = u16::from(attribute) << 8 | u16::from(byte);
    }
    let was_stale = core::mem::replace(&mut picture.is_stale, true);
    drop(terminal);
    if !was_stale {
        STALE.wake_one();
    }
}

/// Writes bytes to the picture when one CPU is left and nobody gives back a lock any more.
pub(crate) fn write_alone(bytes: &[u8]) {
    if let Some(terminal) = TERMINAL.try_lock() {
        write_to(terminal, bytes);
    }
}

/// True if the screen showed what was in the picture before.
fn write_to(mut terminal: SpinGuard<'_, Option<Terminal>, rank::Screen>, bytes: &[u8]) -> bool {
    let Some(Terminal { parser, picture }) = terminal.as_mut() else {
        return false;
    };
    let was_stale = picture.is_stale;
    parser.advance(picture, bytes);
    picture.is_stale = true;
    !was_stale
}

/// The thread that keeps the screen up to date.
pub(crate) fn keep_up_to_date() -> i32 {
    loop {
        let is_stale = || {
            TERMINAL
                .lock()
                .as_ref()
                .is_some_and(|terminal| terminal.picture.is_stale)
                .then_some(())
        };
        if STALE.wait_until(is_stale).is_err()
            || proc::sleep::sleep_ns(REFRESH_DISTANCE_NS).is_err()
        {
            return 0;
        }
        refresh();
    }
}

/// Shows `view` above the last rows of what is written.
pub(crate) fn show_above(view: &memview::Picture) {
    if let Some(Terminal { picture, .. }) = TERMINAL.lock().as_mut() {
        let rows = picture.view.iter_mut().zip(view.rows());
        rows.for_each(|(row, new)| *row = new);
        picture.has_view = true;
    }
    refresh();
}

/// Shows what is written on all rows again.
pub(crate) fn hide_view() {
    if let Some(Terminal { picture, .. }) = TERMINAL.lock().as_mut() {
        picture.has_view = false;
    }
    refresh();
}

/// Brings the screen up to date now. If somebody writes at the moment, it is left to them.
pub(crate) fn refresh() {
    let Some(mut terminal) = TERMINAL.try_lock() else {
        return;
    };
    let Some(Terminal { picture, .. }) = terminal.as_mut() else {
        return;
    };
    picture.is_stale = false;
    let memory = ADDRESS as *mut u16;
    for (index, cell) in picture.shown().enumerate() {
        // SAFETY: the text mode's memory has this many cells, and the lock makes this its only writer.
        unsafe { memory.add(index).write_volatile(*cell) };
    }
}

impl Picture {
    /// The cells of all rows, as they are to be seen: with a view, those below it end with the row that is written.
    fn shown(&self) -> impl Iterator<Item = &u16> {
        let view = match self.has_view {
            true => &self.view[..],
            false => &[],
        };
        let rows = ROWS - view.len();
        let first = (self.row + 1).saturating_sub(rows);
        let written = &self.cells[first..first + rows];
        view.as_flattened().iter().chain(written.as_flattened())
    }

    fn line_feed(&mut self) {
        if self.row + 1 < ROWS {
            self.row += 1;
        } else {
            self.cells.copy_within(1.., 0);
            self.cells[ROWS - 1] = [BLANK; COLUMNS];
        }
    }

    fn put(&mut self, character: u8) {
        if self.column == COLUMNS {
            self.column = 0;
            self.line_feed();
        }
        self.cells[self.row][self.column] = COLOURS | u16::from(character);
        self.column += 1;
    }
}

impl Perform for Picture {
    fn print(&mut self, character: char) {
        self.put(if character.is_ascii() {
            character as u8
        } else {
            b'?'
        });
    }

    fn execute(&mut self, control: u8) {
        match control {
            b'\n' => {
                self.column = 0;
                self.line_feed();
            }
            b'\r' => self.column = 0,
            0x08 => self.column = self.column.saturating_sub(1),
            b'\t' => (self.column % 8..8).for_each(|_| self.put(b' ')),
            _ => {}
        }
    }

    fn csi_dispatch(
        &mut self,
        parameters: &Params,
        _intermediates: &[u8],
        _ignore: bool,
        action: char,
    ) {
        let mut numbers = parameters
            .iter()
            .map(|parameter| usize::from(parameter.first().copied().unwrap_or(0)));
        let first = numbers.next().unwrap_or(0);
        let second = numbers.next().unwrap_or(0);
        match action {
            'A' => self.row = self.row.saturating_sub(first.max(1)),
            'B' => self.row = (self.row + first.max(1)).min(ROWS - 1),
            'C' => self.column = (self.column + first.max(1)).min(COLUMNS - 1),
            'D' => self.column = self.column.saturating_sub(first.max(1)),
            'H' => {
                (self.row, self.column) = (first.clamp(1, ROWS) - 1, second.clamp(1, COLUMNS) - 1)
            }
            'J' => self.cells = [[BLANK; COLUMNS]; ROWS],
            'K' => self.cells[self.row][self.column.min(COLUMNS - 1)..].fill(BLANK),
            's' => self.saved = (self.row, self.column),
            'u' => (self.row, self.column) = self.saved,
            _ => {}
        }
    }
}
