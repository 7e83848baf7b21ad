//! A screenshot of the text mode, and the characters in it.
//!
//! The image has no text. But where a text is known, as that of a heading, it shows what its characters look like, and
//! so the others can be read.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

const COLUMNS: usize = 80;
const ROWS: usize = 25;

/// The image, and the characters that are known by their looks.
pub struct Screenshot {
    width: usize,
    height: usize,
    /// Red, green and blue of each pixel.
    pixels: Vec<u8>,
    known: HashMap<Vec<bool>, char>,
}

impl Screenshot {
    /// Reads a PNG image of the whole screen.
    #[track_caller]
    pub fn read(file: &Path) -> Screenshot {
        let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", file.display()) };
        let opened = File::open(file).unwrap_or_else(|error| fail(&error));
        let decoder = png::Decoder::new(BufReader::new(opened));
        let mut reader = decoder.read_info().unwrap_or_else(|error| fail(&error));
        let len = reader.output_buffer_size().unwrap_or_default();
        let mut pixels = vec![0; len];
        let info = reader
            .next_frame(&mut pixels)
            .unwrap_or_else(|error| fail(&error));
        let (width, height) = (info.width as usize, info.height as usize);
        let is_text_mode = width.is_multiple_of(COLUMNS) && height.is_multiple_of(ROWS);
        assert!(
            is_text_mode && pixels.len() == 3 * width * height,
            "{info:?} is no picture of the text mode"
        );
        Screenshot {
            width,
            height,
            pixels,
            known: HashMap::new(),
        }
    }

    /// Learns characters from a row that begins with `text`.
    pub fn learn(&mut self, row: usize, text: &str) {
        for (column, character) in text.chars().enumerate() {
            self.known.insert(self.shape(row, column), character);
        }
    }

    /// The characters of a row from `column` on. Those that have not been learnt are `?`.
    pub fn text(&self, row: usize, column: usize) -> String {
        let shapes = (column..COLUMNS).map(|column| self.shape(row, column));
        shapes
            .map(|shape| self.known.get(&shape).copied().unwrap_or('?'))
            .collect()
    }

    /// The colour of a character.
    pub fn colour(&self, row: usize, column: usize) -> [u8; 3] {
        self.pixels_of(row, column).max().unwrap_or_default()
    }

    /// Which of a character's pixels are lit.
    fn shape(&self, row: usize, column: usize) -> Vec<bool> {
        self.pixels_of(row, column)
            .map(|pixel| pixel != [0; 3])
            .collect()
    }

    fn pixels_of(&self, row: usize, column: usize) -> impl Iterator<Item = [u8; 3]> {
        let (width, height) = (self.width / COLUMNS, self.height / ROWS);
        let lines = row * height..(row + 1) * height;
        lines
            .flat_map(move |line| {
                let first = line * self.width + column * width;
                first..first + width
            })
            .map(|pixel| [0, 1, 2].map(|channel| self.pixels[3 * pixel + channel]))
    }
}
