//! What a [`FlushBatch`](crate::flush::FlushBatch) of the kernel's owns: frames that were mapped, and page-table pages.

use crate::flush::inline_list::InlineList;
use crate::flush::machine::Released;
use crate::frame::{BigFrame, Frame, FrameChain};
use crate::page_table::drop_table;

/// How many shared frames a batch can hold that some other batch has linked.
const MOST_LINKED_ELSEWHERE: usize = 16;

/// How many big pages a batch can hold.
const MOST_BIG_FRAMES: usize = 8;

/// Frames and page-table pages, linked through their descriptors, so that collecting them needs no memory.
///
/// A frame that is shared may be in the chain of another of its owners; a few of them have room here.
#[derive(Default, Debug)]
pub struct ReleasedFrames {
    frames: FrameChain,
    tables: FrameChain,
    frames_linked_elsewhere: InlineList<Frame, MOST_LINKED_ELSEWHERE>,
    tables_linked_elsewhere: InlineList<Frame, MOST_LINKED_ELSEWHERE>,
    big_frames: InlineList<BigFrame, MOST_BIG_FRAMES>,
}

impl Released for ReleasedFrames {
    type Frame = Frame;
    type BigFrame = BigFrame;

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

    #[cold]
    fn add_big(&mut self, big: BigFrame) -> Result<(), BigFrame> {
        self.big_frames.push(big)
    }

    fn give_back(&mut self) {
        while let Some(table) = self.tables.pop() {
            drop_table(table);
        }
        while let Some(table) = self.tables_linked_elsewhere.pop() {
            drop_table(table);
        }
        while let Some(frame) = self.frames.pop() {
            drop(frame);
        }
        while let Some(frame) = self.frames_linked_elsewhere.pop() {
            drop(frame);
        }
        while let Some(big) = self.big_frames.pop() {
            drop(big);
        }
    }

    #[inline]
    fn give_back_table(table: Frame) {
        drop_table(table);
    }
}
