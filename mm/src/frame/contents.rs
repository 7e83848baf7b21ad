//! Copies between the kernel's memory and frames that hold users' bytes: of files, of pipes.
//!
//! Other CPUs may read or write the same bytes meanwhile; a copy is then some mixture of old and new. So the frame's
//! side is volatile, in words where it can be.

use core::ops::Range;

use super::owner::Frame;
use crate::addr::PAGE_SIZE;

const WORD_BYTES: usize = size_of::<u64>();

impl Frame {
    /// Copies the bytes from `offset` on into all of `into`. Panics unless the frame has as many.
    pub fn read_bytes(&self, offset: usize, into: &mut [u8]) {
        let from = self.bytes_at(offset, into.len());
        let (head, body, tail) = parts(offset, into.len());
        for index in head.chain(tail) {
            // SAFETY: `bytes_at` has checked that the byte is in the frame, which is memory while `self` lives.
            into[index] = unsafe { from.add(index).read_volatile() };
        }
        for index in body.step_by(WORD_BYTES) {
            // SAFETY: as above, for 8 bytes; `parts` has aligned them.
            let word = unsafe { from.add(index).cast::<u64>().read_volatile() };
            into[index..index + WORD_BYTES].copy_from_slice(&word.to_ne_bytes());
        }
    }

    /// Copies all of `from` to `offset` and after. Panics unless the frame has room for it.
    ///
    /// Only for frames whose bytes are users' and mean nothing to the kernel.
    pub fn write_bytes(&self, offset: usize, from: &[u8]) {
        let to = self.bytes_at(offset, from.len());
        let (head, body, tail) = parts(offset, from.len());
        for index in head.chain(tail) {
            // SAFETY: `bytes_at` has checked that the byte is in the frame, whose bytes are nobody's Rust values.
            unsafe { to.add(index).write_volatile(from[index]) };
        }
        for index in body.step_by(WORD_BYTES) {
            let word = from[index..index + WORD_BYTES]
                .try_into()
                .map(u64::from_ne_bytes)
                .unwrap_or_default();
            // SAFETY: as above, for 8 bytes; `parts` has aligned them.
            unsafe { to.add(index).cast::<u64>().write_volatile(word) };
        }
    }

    /// Where the kernel reaches the `len_bytes` bytes from `offset` on. Panics unless the frame has as many.
    #[inline]
    pub(crate) fn bytes_at(&self, offset: usize, len_bytes: usize) -> *mut u8 {
        assert!(
            offset <= PAGE_SIZE && len_bytes <= PAGE_SIZE - offset,
            "{len_bytes} bytes at {offset} of a frame"
        );
        self.as_ptr().wrapping_add(offset)
    }
}

/// The bytes before the first whole aligned word, the words, and the bytes behind the last one.
fn parts(offset: usize, len: usize) -> (Range<usize>, Range<usize>, Range<usize>) {
    let len_head = (offset.next_multiple_of(WORD_BYTES) - offset).min(len);
    let end_of_body = len - (len - len_head) % WORD_BYTES;
    (0..len_head, len_head..end_of_body, end_of_body..len)
}

#[cfg(test)]
mod tests {
    use crate::addr::PAGE_SIZE;
    use crate::frame::{FrameKind, alloc_zeroed};
    use crate::hw::host::machine;

    #[test]
    fn bytes_written_to_any_part_of_a_frame_are_read_back_and_no_others_change() {
        let _machine = machine();
        let mut expected = [0; PAGE_SIZE];
        let frame = alloc_zeroed(FrameKind::File).unwrap();
        for (round, (offset, len)) in [
            (0, 0),
            (3, 4),
            (8, 16),
            (1, 30),
            (4095, 1),
            (4090, 6),
            (0, 4096),
        ]
        .iter()
        .enumerate()
        {
            let bytes: Vec<u8> = (0..*len)
                .map(|index| (index * 3 + round + 1) as u8)
                .collect();
            frame.write_bytes(*offset, &bytes);
            expected[*offset..offset + len].copy_from_slice(&bytes);
            let mut found = [0xee; PAGE_SIZE];
            frame.read_bytes(0, &mut found);
            assert!(found == expected, "{len} bytes at {offset}");
            let mut part = vec![0; *len];
            frame.read_bytes(*offset, &mut part);
            assert_eq!(part, bytes);
        }
    }

    #[test]
    #[should_panic(expected = "2 bytes at 4095")]
    fn a_copy_across_the_end_of_a_frame_panics() {
        let _machine = machine();
        alloc_zeroed(FrameKind::File)
            .unwrap()
            .write_bytes(4095, &[1, 2]);
    }
}
