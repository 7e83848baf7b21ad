//! A format taken apart: text, and conversions with what they say.

/// A piece of a format.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Text(&'a [u8]),
    Conversion(Specification<'a>),
}

/// A conversion, from its `%` on.
#[derive(Debug)]
pub(crate) struct Specification<'a> {
    pub(crate) flags: Flags,
    pub(crate) width: Count,
    pub(crate) precision: Count,
    pub(crate) length: Length,
    /// Its letter; NUL where the format ends before it.
    pub(crate) conversion: u8,
    /// All of it as it stands.
    pub(crate) source: &'a [u8],
}

/// The flags of a conversion, each by its character.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct Flags {
    pub(crate) minus: bool,
    pub(crate) plus: bool,
    pub(crate) space: bool,
    pub(crate) hash: bool,
    pub(crate) zero: bool,
}

/// A width or a precision.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Count {
    None,
    Is(usize),
    /// It is an argument: `*`.
    Argument,
}

/// How long an integer is.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Length {
    Char,
    Short,
    Int,
    /// `l ll j z t`: all have 64 bits.
    Long,
}

/// The pieces of a format in their order.
pub(crate) fn items(format: &[u8]) -> impl Iterator<Item = Item<'_>> {
    let mut rest = format;
    core::iter::from_fn(move || match rest {
        [] => None,
        [b'%', ..] => {
            let specification = Parser { rest }.specification();
            rest = rest.get(specification.source.len()..).unwrap_or_default();
            Some(Item::Conversion(specification))
        }
        _ => {
            let end = rest.iter().position(|&byte| byte == b'%');
            let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            Some(Item::Text(text))
        }
    })
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    fn skip_if(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == byte;
        if is_there {
            self.skip();
        }
        is_there
    }

    fn specification(mut self) -> Specification<'a> {
        let source = self.rest;
        self.skip();
        let flags = self.flags();
        let width = self.count();
        let precision = match self.skip_if(b'.') {
            // A point alone is a precision of 0.
            true => match self.count() {
                Count::None => Count::Is(0),
                count => count,
            },
            false => Count::None,
        };
        let length = self.length();
        let conversion = self.peek();
        self.skip();
        let source_len = source.len() - self.rest.len();
        Specification {
            flags,
            width,
            precision,
            length,
            conversion,
            source: source.get(..source_len).unwrap_or_default(),
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        loop {
            match self.peek() {
                b'-' => flags.minus = true,
                b'+' => flags.plus = true,
                b' ' => flags.space = true,
                b'#' => flags.hash = true,
                b'0' => flags.zero = true,
                _ => return flags,
            }
            self.skip();
        }
    }

    fn count(&mut self) -> Count {
        if self.skip_if(b'*') {
            return Count::Argument;
        }
        let mut count = Count::None;
        while let digit @ b'0'..=b'9' = self.peek() {
            let before = if let Count::Is(before) = count {
                before
            } else {
                0
            };
            let digit = usize::from(digit - b'0');
            count = Count::Is(before.saturating_mul(10).saturating_add(digit));
            self.skip();
        }
        count
    }

    fn length(&mut self) -> Length {
        match self.peek() {
            b'h' => {
                self.skip();
                if self.skip_if(b'h') {
                    Length::Char
                } else {
                    Length::Short
                }
            }
            b'l' | b'j' | b'z' | b't' => {
                let is_l = self.peek() == b'l';
                self.skip();
                if is_l {
                    self.skip_if(b'l');
                }
                Length::Long
            }
            _ => Length::Int,
        }
    }
}
