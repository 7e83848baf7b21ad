//! From a line to the commands in it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use abi::arguments;

/// The most programs that pipes may connect.
pub(crate) const MAX_PROGRAMS: usize = 16;

/// The words of a program: its name and its arguments. There is at least one.
pub(crate) type Words = Vec<String>;

/// Programs, each one's output the next one's input.
pub(crate) struct Command {
    /// As it was typed.
    pub(crate) text: String,
    /// There is at least one.
    pub(crate) programs: Vec<Words>,
    /// Whether the shell goes on without it.
    pub(crate) in_background: bool,
}

/// Why a line makes no sense.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum ParseError {
    /// Nothing is before or behind a `|`.
    NothingToConnect,
    /// Nothing is before a `&`.
    NothingToLeave,
    /// There are more than [`MAX_PROGRAMS`].
    TooManyPrograms,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::NothingToConnect => f.write_str("| wants a program on each side"),
            ParseError::NothingToLeave => f.write_str("& wants a program before it"),
            ParseError::TooManyPrograms => {
                write!(f, "pipes connect at most {MAX_PROGRAMS} programs")
            }
        }
    }
}

/// The commands of a line.
pub(crate) fn parse(line: &str) -> Result<Vec<Command>, ParseError> {
    let mut commands = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (text, operator, behind) = split(rest, b"&;");
        rest = behind;
        let text = text.trim();
        let in_background = operator == Some(b'&');
        if !text.is_empty() {
            commands.push(Command {
                text: text.to_string(),
                programs: parse_programs(text)?,
                in_background,
            });
        } else if in_background {
            return Err(ParseError::NothingToLeave);
        }
    }
    Ok(commands)
}

fn parse_programs(text: &str) -> Result<Vec<Words>, ParseError> {
    let mut programs = Vec::new();
    let mut next = Some(text);
    while let Some(rest) = next {
        let (text, operator, behind) = split(rest, b"|");
        next = operator.map(|_| behind);
        let words = words(text);
        if words.is_empty() {
            return Err(ParseError::NothingToConnect);
        }
        if programs.len() == MAX_PROGRAMS {
            return Err(ParseError::TooManyPrograms);
        }
        programs.push(words);
    }
    Ok(programs)
}

/// What is before the first of `operators`, that operator, and what is behind it.
fn split<'a>(text: &'a str, operators: &[u8]) -> (&'a str, Option<u8>, &'a str) {
    // An operator is one byte of ASCII: a character of its own.
    match arguments::find_unquoted(text.as_bytes(), operators) {
        Some(at) => {
            let (before, behind) = text.split_at(at);
            (before, behind.bytes().next(), behind.get(1..).unwrap_or(""))
        }
        None => (text, None, ""),
    }
}

fn words(text: &str) -> Words {
    let mut buffer: Vec<u8> = text.bytes().chain([0]).collect();
    let split = arguments::split_in_place(&mut buffer);
    arguments::words(buffer.get(..split.len).unwrap_or_default())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}
