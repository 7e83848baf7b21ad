//! The short name of a process, for people.

use core::fmt;

const MAX_LEN: usize = 31;

/// At most 31 bytes of UTF-8.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; MAX_LEN],
    len: u8,
}

impl Name {
    /// `text`, cut at a character boundary if it is too long.
    pub fn new(text: &str) -> Name {
        let len = (0..=text.len().min(MAX_LEN))
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        let mut bytes = [0; MAX_LEN];
        bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        Name {
            bytes,
            len: len as u8,
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("?")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_long_name_is_cut_at_a_character_boundary() {
        assert_eq!(Name::new("hello").as_str(), "hello");
        let long = "ä".repeat(20);
        assert_eq!(Name::new(&long).as_str(), "ä".repeat(15));
    }
}
