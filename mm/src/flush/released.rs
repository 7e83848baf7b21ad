//! What a [`FlushBatch`](crate::flush::FlushBatch) of the kernel's owns: frames that were mapped, and page-table pages.

use crate::flush::batch::give_back_table;
use crate::flush::inline_list::InlineList;
use crate::flush::machine::Released;
use crate::frame::{Frame, FrameChain};

/// How many shared frames a batch can hold that some other batch has linked.
const MOST_LINKED_ELSEWHERE: usize = 16;

/// Frames and page-table pages, linked through their descriptors, so that collecting them needs no memory.
///
/// A frame that is shared may be in the chain of another of its owners; a few of them have room here.
#[derive(Default, Debug)]
pub struct ReleasedFrames {
    frames: FrameChain,
    tables: FrameChain,
    frames_linked_elsewhere: InlineList<Frame, MOST_LINKED_ELSEWHERE>,
    tables_linked_elsewhere: InlineList<Frame, MOST_LINKED_ELSEWHERE>,
}

impl Released for ReleasedFrames {
    type Frame = Frame;

    #[inline]
    fn add(&mut self, frame: Frame) -> Result<(), Frame> {
        match self.frames.push(frame) {
            Ok(()) => Ok(()),
            Err(frame) => self.frames_linked_elsewhere.push(frame),
        }
    }

    #[inline]
    fn add_table(&mut self, table: Frame) -> Result<(), Frame> {
        match self.tables.push(table) {
            Ok(()) => Ok(()),
            Err(table) => self.tables_linked_elsewhere.push(table),
        }
    }

    fn give_back(&mut self) {
        while let Some(table) = self.tables.pop() {
            give_back_table(table);
        }
        while let Some(table) = self.tables_linked_elsewhere.pop() {
            give_back_table(table);
        }
        while let Some(frame) = self.frames.pop() {
            drop(frame);
        }
        while let Some(frame) = self.frames_linked_elsewhere.pop() {
            drop(frame);
        }
    }

    #[inline]
    fn give_back_table(table: Frame) {
        give_back_table(table);
    }
}
