//! A picture on a terminal: the escape sequences that make one picture of another.

use crate::picture::{Cell, Colour, Picture};

/// The longest piece in bytes: what goes out on the serial line in one go.
const PIECE_MAX: usize = 240;
/// What one more cell needs at most, with its colour and the end of the piece.
const CELL_MAX: usize = 5 + 1 + END.len();
/// Saves where the cursor is.
const BEGIN: &[u8] = b"\x1b7";
/// The usual colours again, and the cursor where it was.
const END: &[u8] = b"\x1b[0m\x1b8";

/// Calls `send` with pieces of text which, written to a terminal that shows `old` from its first line on, make it show
/// `new`. Each piece leaves the cursor where it was, so that others can write in between.
pub fn differences(old: &Picture, new: &Picture, mut send: impl FnMut(&[u8])) {
    for (row, (old, new)) in old.cells().iter().zip(new.cells()).enumerate() {
        let mut column = 0;
        while let Some(distance) = first_difference(&old[column..], &new[column..]) {
            column += distance;
            let mut piece = Piece::begin(row, column);
            while column < new.len() && new[column] != old[column] && piece.has_room() {
                piece.add(new[column]);
                column += 1;
            }
            send(piece.end());
        }
    }
}

fn first_difference(old: &[Cell], new: &[Cell]) -> Option<usize> {
    old.iter().zip(new).position(|(old, new)| old != new)
}

/// Text that is being put together.
struct Piece {
    bytes: [u8; PIECE_MAX],
    len: usize,
    colour: Option<Colour>,
}

impl Piece {
    fn begin(row: usize, column: usize) -> Piece {
        let mut piece = Piece {
            bytes: [0; PIECE_MAX],
            len: 0,
            colour: None,
        };
        piece.push(BEGIN);
        piece.push(b"\x1b[");
        piece.push(&two_digits(row + 1));
        piece.push(b";");
        piece.push(&two_digits(column + 1));
        piece.push(b"H");
        piece
    }

    fn has_room(&self) -> bool {
        self.len + CELL_MAX <= PIECE_MAX
    }

    fn add(&mut self, cell: Cell) {
        let colour = cell.colour();
        if self.colour != Some(colour) {
            self.push(b"\x1b[");
            self.push(&two_digits(ansi_number(colour)));
            self.push(b"m");
            self.colour = Some(colour);
        }
        self.push(&[cell.character()]);
    }

    fn end(&mut self) -> &[u8] {
        self.push(END);
        &self.bytes[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }
}

fn two_digits(number: usize) -> [u8; 2] {
    [number / 10 % 10, number % 10].map(|digit| b'0' + digit as u8)
}

/// The number of a colour in escape sequences, where red comes first and not blue.
fn ansi_number(colour: Colour) -> usize {
    let number = usize::from(colour.number());
    let (red, green, blue) = (number >> 2 & 1, number >> 1 & 1, number & 1);
    let first = if number & 8 != 0 { 90 } else { 30 };
    first + (red | green << 1 | blue << 2)
}

#[cfg(test)]
mod tests {
    use super::{PIECE_MAX, differences};
    use crate::picture::{Cell, Colour, Picture};

    fn pieces(old: &Picture, new: &Picture) -> Vec<String> {
        let mut pieces = Vec::new();
        differences(old, new, |bytes| {
            assert!(bytes.len() <= PIECE_MAX);
            pieces.push(String::from_utf8(bytes.to_vec()).unwrap());
        });
        pieces
    }

    #[test]
    fn only_what_differs_is_sent_each_run_of_it_in_a_piece_that_moves_there_and_back() {
        let old = Picture::new().unwrap();
        let mut new = Picture::new().unwrap();
        assert!(pieces(&old, &new).is_empty());
        let mut pen = new.begin_row(2);
        pen.paint(Colour::RED).text(format_args!("ab"));
        pen.paint(Colour::BLUE.bright()).text(format_args!("c"));
        pen.go_to(10).text(format_args!("d"));
        assert_eq!(
            pieces(&old, &new),
            [
                "\x1b7\x1b[03;01H\x1b[31mab\x1b[94mc\x1b[0m\x1b8",
                "\x1b7\x1b[03;11H\x1b[94md\x1b[0m\x1b8"
            ]
        );
        assert_eq!(pieces(&new, &old).len(), 2);
    }

    #[test]
    fn a_row_in_many_colours_is_sent_in_pieces_that_join() {
        let old = Picture::new().unwrap();
        let mut new = Picture::new().unwrap();
        let mut pen = new.begin_row(0);
        for index in 0..80 {
            let colour = [Colour::RED, Colour::GREEN][index % 2];
            pen.put(Cell::new(b'0' + (index % 10) as u8, colour));
        }
        let pieces = pieces(&old, &new);
        assert!(pieces.len() > 1);
        let mut column = 1;
        for piece in pieces {
            assert!(
                piece.starts_with(&format!("\x1b7\x1b[01;{column:02}H")),
                "{piece:?}"
            );
            column += piece.matches("m").count() - 1;
        }
        assert_eq!(column, 81);
    }
}
