//! A picture: rows of coloured characters, each as the PC's text mode has it.

use alloc::vec::Vec;
use core::fmt;

use mm::NoMemory;

/// Its width.
pub const COLUMNS: usize = 80;
/// Its height.
pub const ROWS: usize = 20;

/// The colours of the PC's text mode. The dark ones come first; each has its bright one 8 further on.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Colour(u8);

impl Colour {
    pub(crate) const BLUE: Colour = Colour(1);
    pub(crate) const GREEN: Colour = Colour(2);
    pub(crate) const CYAN: Colour = Colour(3);
    pub(crate) const RED: Colour = Colour(4);
    pub(crate) const MAGENTA: Colour = Colour(5);
    pub(crate) const BROWN: Colour = Colour(6);
    pub(crate) const GREY: Colour = Colour(7);
    pub(crate) const DARK_GREY: Colour = Colour(8);
    pub(crate) const WHITE: Colour = Colour(15);

    /// The bright one of a dark colour.
    pub(crate) const fn bright(self) -> Colour {
        Colour(self.0 | 8)
    }

    /// Its number in the text mode.
    pub(crate) const fn number(self) -> u8 {
        self.0
    }
}

/// A character and its colour, on black: as two bytes of the text mode.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Cell(u16);

impl Cell {
    pub(crate) const BLANK: Cell = Cell::new(b' ', Colour::GREY);

    pub(crate) const fn new(character: u8, colour: Colour) -> Cell {
        Cell((colour.0 as u16) << 8 | character as u16)
    }

    pub(crate) const fn character(self) -> u8 {
        self.0 as u8
    }

    pub(crate) const fn colour(self) -> Colour {
        Colour((self.0 >> 8) as u8)
    }
}

/// Rows of coloured characters.
pub struct Picture {
    rows: Vec<[Cell; COLUMNS]>,
}

impl Picture {
    /// A blank picture.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new() -> Result<Picture, NoMemory> {
        let mut rows = Vec::new();
        rows.try_reserve_exact(ROWS).map_err(|_| NoMemory)?;
        rows.resize(ROWS, [Cell::BLANK; COLUMNS]);
        Ok(Picture { rows })
    }

    /// Makes this picture the same as `other`.
    pub fn copy_from(&mut self, other: &Picture) {
        self.rows.copy_from_slice(&other.rows);
    }

    /// The cells of each row, as the text mode has them in memory: the character in the low byte, its colour in the
    /// high one.
    pub fn rows(&self) -> impl Iterator<Item = [u16; COLUMNS]> {
        self.rows.iter().map(|row| row.map(|cell| cell.0))
    }

    pub(crate) fn cells(&self) -> &[[Cell; COLUMNS]] {
        &self.rows
    }

    /// Clears the row, and returns what writes it. Panics if there is no such row.
    pub(crate) fn begin_row(&mut self, row: usize) -> Pen<'_> {
        self.rows[row] = [Cell::BLANK; COLUMNS];
        self.pen(row)
    }

    /// What writes over the row. Panics if there is no such row.
    pub(crate) fn pen(&mut self, row: usize) -> Pen<'_> {
        Pen {
            cells: &mut self.rows[row],
            column: 0,
            colour: Colour::GREY,
        }
    }
}

/// Writes a row from left to right. What does not fit is cut off.
pub(crate) struct Pen<'p> {
    cells: &'p mut [Cell; COLUMNS],
    column: usize,
    colour: Colour,
}

impl Pen<'_> {
    /// The colour of what is written as text from now on.
    pub(crate) fn paint(&mut self, colour: Colour) -> &mut Self {
        self.colour = colour;
        self
    }

    /// Goes on at `column`.
    pub(crate) fn go_to(&mut self, column: usize) -> &mut Self {
        self.column = column;
        self
    }

    pub(crate) fn put(&mut self, cell: Cell) {
        if let Some(place) = self.cells.get_mut(self.column) {
            *place = cell;
            self.column += 1;
        }
    }

    /// Writes text; only ASCII is shown as it is.
    pub(crate) fn text(&mut self, text: fmt::Arguments<'_>) -> &mut Self {
        // A pen takes everything.
        let _ = fmt::Write::write_fmt(self, text);
        self
    }
}

impl fmt::Write for Pen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let is_shown = character.is_ascii_graphic() || character == ' ';
            let byte = if is_shown { character as u8 } else { b'?' };
            self.put(Cell::new(byte, self.colour));
        }
        Ok(())
    }
}

#[cfg(test)]
impl Picture {
    /// The characters of a row, without blanks at the end.
    pub(crate) fn row_text(&self, row: usize) -> String {
        let bytes = self.rows[row].map(Cell::character);
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Cell, Colour, Picture};

    #[test]
    fn a_row_is_written_in_its_colours_and_what_does_not_fit_is_cut_off() {
        let mut picture = Picture::new().unwrap();
        let mut pen = picture.begin_row(3);
        pen.text(format_args!("a")).paint(Colour::RED.bright());
        pen.text(format_args!("b\u{e4}")).go_to(COLUMNS - 2);
        pen.text(format_args!("12345"));
        let text = picture.row_text(3);
        assert!(text.starts_with("ab? ") && text.ends_with(" 12"), "{text}");
        let [a, b, ..] = picture.rows().nth(3).unwrap();
        assert_eq!([a, b], [0x0761, 0x0c62]);
        assert_eq!(picture.cells()[3][1], Cell::new(b'b', Colour(12)));
        picture.begin_row(3);
        assert_eq!(picture.row_text(3), "");
    }
}
