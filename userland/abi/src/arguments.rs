//! The rules by which one argument string becomes words, and words become an argument string.
//!
//! Guarantee: words written with [`Quoted`], with blanks between them, are split into the same words again.
//!
//! Words are separated by blanks (space, tab, line feed, carriage return). Within `'...'` every byte stands for itself;
//! within `"..."` a backslash takes the special meaning from a following `"` or `\` and stands for itself before any
//! other byte; outside of quotes a backslash does so for any following byte. Quoted parts join what they touch, and
//! `''` is an empty word. A quote that is not closed ends with the string; so does a backslash at the very end, which
//! stands for itself.

use core::fmt::{self, Display, Write};

/// How [`split_in_place`] left its buffer.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Split {
    /// How many words there are.
    pub count: usize,
    /// How many bytes at the beginning of the buffer hold the words, each with a NUL after it.
    pub len: usize,
}

/// Rewrites the argument string in `buffer` as its words, each followed by a NUL.
///
/// The string ends at the first NUL, or one byte before the buffer's end: that last byte is room for the last word's
/// NUL. Nothing is allocated and nothing moves up: every word needs at least one byte more as it stands (its separator,
/// or that last byte) than it has characters.
pub fn split_in_place(buffer: &mut [u8]) -> Split {
    let string_len = match buffer.iter().position(|&byte| byte == 0) {
        Some(position) => position,
        None => buffer.len().saturating_sub(1),
    };
    let mut splitter = Splitter::new();
    let byte_at = |buffer: &[u8], position: usize| buffer.get(..string_len)?.get(position).copied();
    let mut position = 0;
    while let Some(byte) = byte_at(buffer, position) {
        let next = byte_at(buffer, position + 1);
        position += match splitter.step(byte, next) {
            Step::Nothing => 1,
            Step::Put(byte) => {
                splitter.put(buffer, byte);
                1
            }
            Step::PutEscaped(byte) => {
                splitter.put(buffer, byte);
                2
            }
            Step::EndWord => {
                splitter.end_word(buffer);
                1
            }
        };
    }
    splitter.end_word(buffer);
    splitter.split
}

/// Where the first of the bytes `operators` stands in `string` that is neither quoted nor escaped: for shells, which
/// give such bytes a meaning. The string ends at its end, not at a NUL.
pub fn find_unquoted(string: &[u8], operators: &[u8]) -> Option<usize> {
    let mut splitter = Splitter::new();
    let mut position = 0;
    while let Some(&byte) = string.get(position) {
        if splitter.quote == Quote::None && operators.contains(&byte) {
            return Some(position);
        }
        let next = string.get(position + 1).copied();
        position += match splitter.step(byte, next) {
            Step::PutEscaped(_) => 2,
            Step::Nothing | Step::Put(_) | Step::EndWord => 1,
        };
    }
    None
}

#[derive(Copy, Clone, Eq, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
}

/// What one byte of the string does.
enum Step {
    Nothing,
    Put(u8),
    PutEscaped(u8),
    EndWord,
}

struct Splitter {
    quote: Quote,
    in_word: bool,
    split: Split,
}

impl Splitter {
    const fn new() -> Splitter {
        Splitter {
            quote: Quote::None,
            in_word: false,
            split: Split { count: 0, len: 0 },
        }
    }

    fn step(&mut self, byte: u8, next: Option<u8>) -> Step {
        match (self.quote, byte) {
            (Quote::None, b' ' | b'\t' | b'\n' | b'\r') => return Step::EndWord,
            (Quote::None, b'\'') => self.quote = Quote::Single,
            (Quote::None, b'"') => self.quote = Quote::Double,
            (Quote::Single, b'\'') | (Quote::Double, b'"') => self.quote = Quote::None,
            (Quote::None, b'\\') => return next.map_or(Step::Put(byte), Step::PutEscaped),
            (Quote::Double, b'\\') => match next {
                Some(escaped @ (b'"' | b'\\')) => return Step::PutEscaped(escaped),
                _ => return Step::Put(byte),
            },
            _ => return Step::Put(byte),
        }
        // A quote, even around nothing, makes a word.
        self.in_word = true;
        Step::Nothing
    }

    fn put(&mut self, buffer: &mut [u8], byte: u8) {
        self.in_word = true;
        if let Some(place) = buffer.get_mut(self.split.len) {
            *place = byte;
            self.split.len += 1;
        }
    }

    fn end_word(&mut self, buffer: &mut [u8]) {
        if self.in_word {
            self.put(buffer, 0);
            self.split.count += 1;
            self.in_word = false;
        }
    }
}

/// The words that [`split_in_place`] left in `words`, the first [`Split::len`] bytes of its buffer.
pub fn words(words: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let ended = words.strip_suffix(&[0]);
    ended
        .into_iter()
        .flat_map(|words| words.split(|&byte| byte == 0))
}

/// Prints a word so that splitting gives it back: as it is where that does, in single quotes where not.
#[derive(Copy, Clone, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let special = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\'' | '"' | '\\');
        if !self.0.is_empty() && !self.0.contains(special) {
            return f.write_str(self.0);
        }
        f.write_char('\'')?;
        for (index, part) in self.0.split('\'').enumerate() {
            if index > 0 {
                // A single quote cannot stand within single quotes: leave them, write it escaped, enter again.
                f.write_str("'\\''")?;
            }
            f.write_str(part)?;
        }
        f.write_char('\'')
    }
}

#[cfg(test)]
mod tests {
    use super::{Quoted, find_unquoted, split_in_place, words};

    fn split(string: &str) -> Vec<String> {
        let mut buffer = string.as_bytes().to_vec();
        buffer.push(0);
        let split = split_in_place(&mut buffer);
        let found: Vec<String> = words(&buffer[..split.len])
            .map(|word| String::from_utf8(word.to_vec()).unwrap())
            .collect();
        assert_eq!(found.len(), split.count);
        found
    }

    #[test]
    fn blanks_separate_words_and_vanish() {
        assert_eq!(split("hello"), ["hello"]);
        assert_eq!(split("  forkstorm 8\t100\r\n"), ["forkstorm", "8", "100"]);
        assert_eq!(split(""), Vec::<String>::new());
        assert_eq!(split(" \n "), Vec::<String>::new());
    }

    #[test]
    fn quotes_keep_blanks_and_join() {
        assert_eq!(split("echo 'a b'  \"c  d\""), ["echo", "a b", "c  d"]);
        assert_eq!(split("a'b c'\"d e\"f"), ["ab cd ef"]);
        assert_eq!(split("'' x \"\""), ["", "x", ""]);
    }

    #[test]
    fn a_backslash_takes_the_special_meaning_away() {
        assert_eq!(split(r"a\ b \' \\"), ["a b", "'", r"\"]);
        assert_eq!(split(r#""a\"b\\c\d""#), [r#"a"b\c\d"#]);
        assert_eq!(split(r"'a\'b"), [r"a\b"]);
    }

    #[test]
    fn what_is_left_open_ends_with_the_string() {
        assert_eq!(split("'a b"), ["a b"]);
        assert_eq!(split("\"a b"), ["a b"]);
        assert_eq!(split(r"a\"), [r"a\"]);
        assert_eq!(split("x '"), ["x", ""]);
    }

    #[test]
    fn a_buffer_without_nul_keeps_its_last_byte_as_room() {
        let mut buffer = *b"abc";
        assert_eq!(split_in_place(&mut buffer).len, 3);
        assert_eq!(&buffer, b"ab\0");
        assert_eq!(split_in_place(&mut []).count, 0);
    }

    #[test]
    fn operators_count_only_outside_of_quotes_and_unescaped() {
        for (string, expected) in [
            ("a | b", Some(2)),
            ("'a | b' & c", Some(8)),
            (r#""a | \" |" | b"#, Some(11)),
            (r"a \| b | c", Some(7)),
            (r"a \\| b", Some(4)),
            ("'a | b", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(
                find_unquoted(string.as_bytes(), b"|&"),
                expected,
                "{string}"
            );
        }
    }

    #[test]
    fn quoted_words_are_split_into_themselves() {
        let cases = [
            "plain",
            "",
            "a b",
            "it's",
            "''",
            r"back\slash",
            "\"",
            "tab\there",
            "'",
            r"\'",
            "ünï",
        ];
        let line = cases.map(|word| Quoted(word).to_string()).join(" ");
        assert_eq!(split(&line), cases);
    }

    #[test]
    fn every_short_string_over_the_special_characters_splits_without_overrun() {
        let alphabet = [b'a', b' ', b'\'', b'"', b'\\'];
        for seed in 0..5_usize.pow(6) {
            let string: Vec<u8> = (0..6)
                .map(|digit| alphabet[seed / 5_usize.pow(digit) % 5])
                .collect();
            let found = split(core::str::from_utf8(&string).unwrap());
            let line = found
                .iter()
                .map(|word| Quoted(word).to_string())
                .collect::<Vec<_>>()
                .join(" ");
            assert_eq!(split(&line), found);
        }
    }
}
