//! What a [`FlushBatch`](crate::flush::FlushBatch) of the kernel's owns: frames that were mapped, and page-table pages.

use crate::flush::inline_list::InlineList;
use crate::flush::machine::Released;
use crate::frame::{BigFrame, Frame, FrameChain};
use crate::page_table::drop_table;

/// How many things a batch can hold that are in no chain.
const MOST_UNLINKED: usize = 24;

/// Frames and page-table pages, linked through their descriptors, so that collecting them needs no memory.
///
/// A frame that is shared may be in the chain of another of its owners; a few of them have room here.
#[derive(Default, Debug)]
pub struct ReleasedFrames {
    frames: FrameChain,
    tables: FrameChain,
    unlinked: InlineList<Unlinked, MOST_UNLINKED>,
}

/// What is in no chain of a batch.
#[derive(Debug)]
enum Unlinked {
    /// In the chain of another owner.
    Frame(Frame),
    /// As `Frame`.
    Table(Frame),
    /// Big pages are not linked.
    Big(BigFrame),
}

impl ReleasedFrames {
    #[cold]
    fn add_frame_unlinked(&mut self, frame: Frame) -> Result<(), Frame> {
        match self.unlinked.push(Unlinked::Frame(frame)) {
            Err(Unlinked::Frame(frame)) => Err(frame),
            _ => Ok(()),
        }
    }

    #[cold]
    fn add_table_unlinked(&mut self, table: Frame) -> Result<(), Frame> {
        match self.unlinked.push(Unlinked::Table(table)) {
            Err(Unlinked::Table(table)) => Err(table),
            _ => Ok(()),
        }
    }
}

impl Released for ReleasedFrames {
    type Frame = Frame;
    type BigFrame = BigFrame;

    #[inline]
    fn add(&mut self, frame: Frame) -> Result<(), Frame> {
        self.frames
            .push(frame)
            .or_else(|frame| self.add_frame_unlinked(frame))
    }

    #[inline]
    fn add_table(&mut self, table: Frame) -> Result<(), Frame> {
        self.tables
            .push(table)
            .or_else(|table| self.add_table_unlinked(table))
    }

    #[cold]
    fn add_big(&mut self, big: BigFrame) -> Result<(), BigFrame> {
        match self.unlinked.push(Unlinked::Big(big)) {
            Err(Unlinked::Big(big)) => Err(big),
            _ => Ok(()),
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.tables.is_empty() && self.unlinked.as_slice().is_empty()
    }

    fn give_back(&mut self) {
        while let Some(table) = self.tables.pop() {
            drop_table(table);
        }
        while let Some(frame) = self.frames.pop() {
            drop(frame);
        }
        while let Some(unlinked) = self.unlinked.pop() {
            match unlinked {
                Unlinked::Frame(frame) => drop(frame),
                Unlinked::Table(table) => drop_table(table),
                Unlinked::Big(big) => drop(big),
            }
        }
    }

    #[inline]
    fn give_back_table(table: Frame) {
        drop_table(table);
    }
}
