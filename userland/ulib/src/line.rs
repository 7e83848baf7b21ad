//! Text collected on the stack, so that a printed line is one `write`.

use core::fmt;

/// How much text is collected before it is sent off.
const CAPACITY: usize = 512;

/// Collects text and hands it to `sink`: in one piece when dropped, or in pieces of [`CAPACITY`] bytes if it is longer.
pub(crate) struct LineBuffer<S: FnMut(&[u8])> {
    bytes: [u8; CAPACITY],
    len: usize,
    sink: S,
}

impl<S: FnMut(&[u8])> LineBuffer<S> {
    pub(crate) fn new(sink: S) -> LineBuffer<S> {
        LineBuffer {
            bytes: [0; CAPACITY],
            len: 0,
            sink,
        }
    }

    fn send(&mut self) {
        if self.len > 0 {
            (self.sink)(self.bytes.get(..self.len).unwrap_or_default());
            self.len = 0;
        }
    }
}

impl<S: FnMut(&[u8])> fmt::Write for LineBuffer<S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let free = self.bytes.get_mut(self.len..).unwrap_or_default();
            let (now, later) = rest.split_at(rest.len().min(free.len()));
            for (place, &byte) in free.iter_mut().zip(now) {
                *place = byte;
            }
            self.len += now.len();
            rest = later;
            if self.len == CAPACITY {
                self.send();
            }
        }
        Ok(())
    }
}

impl<S: FnMut(&[u8])> Drop for LineBuffer<S> {
    fn drop(&mut self) {
        self.send();
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, LineBuffer};
    use core::fmt::Write;

    fn pieces(print: impl FnOnce(&mut dyn Write)) -> Vec<String> {
        let mut pieces = Vec::new();
        print(&mut LineBuffer::new(|piece| {
            pieces.push(String::from_utf8(piece.to_vec()).unwrap())
        }));
        pieces
    }

    #[test]
    fn a_line_in_many_parts_is_one_piece() {
        assert_eq!(
            pieces(|line| writeln!(line, "{}-{:>3}-x", 1, 2).unwrap()),
            ["1-  2-x\n"]
        );
    }

    #[test]
    fn nothing_printed_is_nothing_sent() {
        assert!(pieces(|line| line.write_str("").unwrap()).is_empty());
    }

    #[test]
    fn long_text_arrives_whole_and_in_order() {
        for len in [CAPACITY - 1, CAPACITY, CAPACITY + 1, 3 * CAPACITY + 7] {
            let text: String = ('a'..='z').cycle().take(len).collect();
            let sent = pieces(|line| line.write_str(&text).unwrap());
            assert_eq!(sent.concat(), text);
            assert_eq!(sent.len(), len.div_ceil(CAPACITY));
        }
    }
}
