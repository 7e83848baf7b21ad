//! The pages of a file, by their number: frames, and gaps where there is none yet.
//!
//! Two levels, so that growing a large file moves little, and a file with one page far out has few empty places.

use alloc::vec::Vec;

use mm::NoMemory;
use mm::addr::PAGE_SIZE;
use mm::frame::Frame;

/// Pages in a chunk; a chunk's places fill one page when they are all there.
const CHUNK_PAGES: usize = PAGE_SIZE / size_of::<Option<Frame>>();

/// Frames by page number.
#[derive(Default)]
pub(super) struct Pages {
    chunks: Vec<Vec<Option<Frame>>>,
}

impl Pages {
    /// Without any frame.
    pub(super) const fn new() -> Pages {
        Pages { chunks: Vec::new() }
    }

    /// The frame of page `index`.
    pub(super) fn get(&self, index: usize) -> Option<&Frame> {
        self.chunks
            .get(index / CHUNK_PAGES)?
            .get(index % CHUNK_PAGES)?
            .as_ref()
    }

    /// The place of page `index`, made if there was none.
    ///
    /// # Errors
    /// There is no memory for it. Nothing has changed then.
    pub(super) fn place(&mut self, index: usize) -> Result<&mut Option<Frame>, NoMemory> {
        let chunk = grow_to_hold(&mut self.chunks, index / CHUNK_PAGES, Vec::new)?;
        grow_to_hold(chunk, index % CHUNK_PAGES, || None)
    }
}

fn grow_to_hold<T>(
    vector: &mut Vec<T>,
    index: usize,
    empty: fn() -> T,
) -> Result<&mut T, NoMemory> {
    if vector.len() <= index {
        let missing = index - vector.len() + 1;
        vector.try_reserve(missing).map_err(|_| NoMemory)?;
        vector.resize_with(index + 1, empty);
    }
    vector.get_mut(index).ok_or(NoMemory)
}
