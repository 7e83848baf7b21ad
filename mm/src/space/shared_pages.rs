//! Memory that address spaces share without a file.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use smp::{SpinLock, rank};

use crate::addr::PAGE_SIZE;
use crate::error::NoMemory;
use crate::frame::{self, Frame, FrameKind};
use crate::heap::{try_arc, try_box};
use crate::space::page_source::{PageSource, PageSourceError, SourceKind};

/// A number of pages that are zero at first and the same for all who map them.
///
/// A page has a frame from the first touch on, one for all, until the last mapping has gone. Mapped with
/// [`FileBacking::shared`](super::FileBacking::shared) it is shared memory.
pub struct SharedPages {
    len_pages: u64,
    frames: SpinLock<FrameIndex, rank::File>,
}

impl SharedPages {
    /// `len_pages` pages of zeros.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new(len_pages: u64) -> Result<Arc<SharedPages>, NoMemory> {
        try_arc(SharedPages {
            len_pages,
            frames: SpinLock::new(FrameIndex { chunks: Vec::new() }),
        })
    }

    /// One page, which is what `frame` holds.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(super) fn of_frame(frame: Frame) -> Result<Arc<SharedPages>, NoMemory> {
        let pages = SharedPages::new(1)?;
        drop(pages.frames.lock().get_or_take(0, &mut Some(frame))?);
        Ok(pages)
    }
}

impl PageSource for SharedPages {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        if index >= self.len_pages {
            return Err(PageSourceError::PastEnd);
        }
        if let Some(frame) = self.frames.lock().get(index) {
            return Ok(frame);
        }
        // Zeroed without the lock. Somebody else may be faster: then this one goes back, again without it.
        let Ok(fresh) = frame::alloc_zeroed(FrameKind::Anonymous) else {
            // He may have had the last frame.
            let there = self.frames.lock().get(index);
            return there.ok_or(PageSourceError::NoMemory);
        };
        let mut fresh = Some(fresh);
        let frame = self.frames.lock().get_or_take(index, &mut fresh)?;
        Ok(frame)
    }

    fn len_bytes(&self) -> u64 {
        self.len_pages.saturating_mul(PAGE_SIZE as u64)
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Memory
    }
}

/// Pages in a chunk of a [`FrameIndex`].
const CHUNK_PAGES: u64 = 128;

type Chunk = [Option<Frame>; CHUNK_PAGES as usize];

/// Frames by the number of their page.
struct FrameIndex {
    /// The chunks in which there are frames, ascending by number: what is never touched takes no place.
    chunks: Vec<(u64, Box<Chunk>)>,
}

impl FrameIndex {
    /// The frame of page `index`, if it has one.
    fn get(&self, index: u64) -> Option<Frame> {
        let at = self.search(index).ok()?;
        let (_, chunk) = self.chunks.get(at)?;
        chunk.get(place_in_chunk(index))?.as_ref().map(Frame::share)
    }

    /// The frame of page `index`; `fresh` becomes that if there was none.
    ///
    /// # Errors
    /// [`NoMemory`]. Nothing has changed then.
    fn get_or_take(&mut self, index: u64, fresh: &mut Option<Frame>) -> Result<Frame, NoMemory> {
        let at = match self.search(index) {
            Ok(at) => at,
            Err(at) => {
                self.chunks.try_reserve(1).map_err(|_| NoMemory)?;
                let chunk = try_box([const { None }; CHUNK_PAGES as usize])?;
                self.chunks.insert(at, (index / CHUNK_PAGES, chunk));
                at
            }
        };
        let (_, chunk) = self.chunks.get_mut(at).ok_or(NoMemory)?;
        let place = chunk.get_mut(place_in_chunk(index)).ok_or(NoMemory)?;
        if place.is_none() {
            *place = fresh.take();
        }
        place.as_ref().map(Frame::share).ok_or(NoMemory)
    }

    fn search(&self, index: u64) -> Result<usize, usize> {
        self.chunks
            .binary_search_by_key(&(index / CHUNK_PAGES), |(number, _)| *number)
    }
}

fn place_in_chunk(index: u64) -> usize {
    (index % CHUNK_PAGES) as usize
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::vec::Vec;

    use super::{CHUNK_PAGES, FrameIndex, SharedPages};
    use crate::frame::{Frame, FrameKind, accounts, alloc_zeroed};
    use crate::hw::host::machine;
    use crate::space::page_source::{PageSource, PageSourceError};

    fn anonymous_frames() -> usize {
        accounts().in_use(FrameKind::Anonymous)
    }

    #[test]
    fn a_page_is_one_zero_frame_for_all_from_the_first_touch_on() {
        let _machine = machine();
        let before = anonymous_frames();
        let pages = SharedPages::new(u64::MAX).unwrap();
        assert_eq!(anonymous_frames(), before);
        // Out of order, in one chunk and in several.
        for index in [5 * CHUNK_PAGES, 0, u64::MAX - 1, 2 * CHUNK_PAGES + 1, 1] {
            let mut bytes = [0xee; 16];
            let frame = pages.page(index).unwrap();
            frame.read_bytes(0, &mut bytes);
            assert_eq!(bytes, [0; 16]);
            frame.write_bytes(0, &index.to_ne_bytes());
        }
        for index in [0, 1, 2 * CHUNK_PAGES + 1, 5 * CHUNK_PAGES, u64::MAX - 1] {
            let mut bytes = [0; 8];
            pages.page(index).unwrap().read_bytes(0, &mut bytes);
            assert_eq!(u64::from_ne_bytes(bytes), index);
        }
        assert_eq!(anonymous_frames(), before + 5);
        drop(pages);
        assert_eq!(anonymous_frames(), before);
    }

    #[test]
    fn there_is_no_page_behind_the_last() {
        let _machine = machine();
        let pages = SharedPages::new(2).unwrap();
        assert!(pages.page(1).is_ok());
        let refused = pages.page(2).map(drop);
        assert_eq!(refused, Err(PageSourceError::PastEnd));
        assert_eq!(pages.len_bytes(), 0x2000);
    }

    #[test]
    fn whoever_comes_second_with_a_frame_gets_that_of_the_first() {
        let _machine = machine();
        let mut frames = FrameIndex { chunks: Vec::new() };
        let [mut first, mut second] = [0, 1].map(|_| alloc_zeroed(FrameKind::Anonymous).ok());
        let place = first.as_ref().map(Frame::pa);
        for fresh in [&mut first, &mut second] {
            let frame = frames.get_or_take(7, fresh).unwrap();
            assert_eq!(Some(frame.pa()), place);
        }
        assert!(first.is_none() && second.is_some());
    }

    #[test]
    fn threads_that_touch_the_same_pages_at_once_see_the_same_frames() {
        let _machine = machine();
        let before = anonymous_frames();
        let pages = SharedPages::new(200).unwrap();
        let touch_all = || {
            (0..200)
                .map(|index| pages.page(index).unwrap().pa())
                .collect()
        };
        let [left, right]: [Vec<_>; 2] = thread::scope(|scope| {
            let threads = [0, 1].map(|_| scope.spawn(touch_all));
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(left, right);
        assert_eq!(anonymous_frames(), before + 200);
    }
}
