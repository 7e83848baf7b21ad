//! Text at places of the screen: `console_printf` and `app_printf`.
//!
//! A place is a cell's number, counted by rows. `console` is what this program has put on the screen, each cell as the
//! hardware has it: the character, and the colours in the upper byte. What it puts there itself is not shown.

use core::ffi::{c_char, c_int};
use core::sync::atomic::{AtomicI32, AtomicU16, Ordering};

use abi::{SCREEN_COLUMNS, SCREEN_ROWS};
use c_format::{Output, VaList};
use ulib::system_call;

use crate::print::print;

const CELLS: usize = SCREEN_ROWS * SCREEN_COLUMNS;
/// The colours that the hardware has; the bit above them would blink.
const ATTRIBUTE_BITS: u32 = 0x7f;
/// Colours of programs: yellow, white, red, green, blue.
const PROGRAM_COLOURS: [c_int; 5] = [0xe00, 0xf00, 0xc00, 0xa00, 0x900];
const LIGHT_GREY: c_int = 0x700;
/// The rows below are not `app_printf`'s.
const PROGRAM_ROWS: usize = 23;

// Relaxed everywhere: a cell is a number of its own.
#[unsafe(export_name = "console")]
static CONSOLE: [AtomicU16; CELLS] = [const { AtomicU16::new(0) }; CELLS];

/// Where `app_printf` goes on.
#[unsafe(export_name = "cursorpos")]
static CURSOR: AtomicI32 = AtomicI32::new(0);

/// Text for the screen, which goes there row by row.
struct Screen {
    cell: usize,
    attribute: u32,
    row: [u8; SCREEN_COLUMNS],
    /// How much of `row` is not shown yet; it ends where `cell` is.
    len: usize,
}

impl Screen {
    fn show(&mut self) {
        if self.len == 0 {
            return;
        }
        let start = self.cell - self.len;
        let bytes = self.row.get(..self.len).unwrap_or_default();
        let (row, column) = (start / SCREEN_COLUMNS, start % SCREEN_COLUMNS);
        // SAFETY: the kernel reads these bytes only.
        unsafe {
            let (row, column) = (row as u32, column as u32);
            system_call::console_put(row, column, self.attribute, bytes.as_ptr(), bytes.len())
        };
        self.len = 0;
    }

    fn put_byte(&mut self, byte: u8) {
        if let Some(place) = self.row.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
        if let Some(cell) = CONSOLE.get(self.cell) {
            let colours = (self.attribute as u16) << 8;
            cell.store(colours | u16::from(byte), Ordering::Relaxed);
        }
        self.cell += 1;
        if self.cell.is_multiple_of(SCREEN_COLUMNS) {
            self.show();
            self.cell %= CELLS;
        }
    }
}

impl Output for Screen {
    fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                // The rest of the row is blank.
                let missing = SCREEN_COLUMNS - self.cell % SCREEN_COLUMNS;
                (0..missing).for_each(|_| self.put_byte(b' '));
            } else {
                self.put_byte(byte);
            }
        }
    }

    fn set_colour(&mut self, colour: i32) {
        self.show();
        self.attribute = attribute(colour);
    }
}

/// The colours in the upper byte of what C programs call a colour.
fn attribute(colour: c_int) -> u32 {
    (colour >> 8) as u32 & ATTRIBUTE_BITS
}

/// Prints on the screen from the cell `place` on (0, if there is no such cell), in the colours of `colour`'s upper
/// byte; a line feed fills the row with blanks, and after the last cell comes the first. Returns the cell after the
/// text.
///
/// # Safety
/// As for [`print`].
#[unsafe(no_mangle)]
unsafe extern "C" fn console_vprintf(
    place: c_int,
    colour: c_int,
    format: *const c_char,
    arguments: *mut VaList,
) -> c_int {
    let cell = usize::try_from(place).ok().filter(|&cell| cell < CELLS);
    let mut screen = Screen {
        cell: cell.unwrap_or(0),
        attribute: attribute(colour),
        row: [0; SCREEN_COLUMNS],
        len: 0,
    };
    // SAFETY: by the caller's word.
    unsafe { print(&mut screen, format, arguments) };
    screen.show();
    screen.cell as c_int
}

/// Prints on the screen where the last text of this function ended, in a colour that `program` picks (grey, if
/// negative).
///
/// # Safety
/// As for [`print`].
#[unsafe(no_mangle)]
unsafe extern "C" fn app_vprintf(program: c_int, format: *const c_char, arguments: *mut VaList) {
    let index = usize::try_from(program).map(|program| program % PROGRAM_COLOURS.len());
    let colour = index.ok().and_then(|index| PROGRAM_COLOURS.get(index));
    let colour = *colour.unwrap_or(&LIGHT_GREY);
    // SAFETY: by the caller's word.
    let end = unsafe { console_vprintf(CURSOR.load(Ordering::Relaxed), colour, format, arguments) };
    let is_low = end as usize >= PROGRAM_ROWS * SCREEN_COLUMNS;
    CURSOR.store(if is_low { 0 } else { end }, Ordering::Relaxed);
}
