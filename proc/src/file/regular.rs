//! A file with contents: bytes in pages that reads, writes and mappings share.
//!
//! The guarantee: a page that anybody maps is the page that `write` changes, as long as the file is not cut; a
//! program's text is one set of frames however many processes run it; and what `write` returns is what has changed, no
//! byte more.
//!
//! A file that begins as given bytes (the initrd's) keeps them for the pages that have no frame yet. Such a page gets
//! its frame, once and for all, when somebody maps or writes it, or all do by [`RegularFile::fill`]. Reading does not
//! need one.
//!
//! - **FILE-1** who changes bytes or the length has the turn of `writing`, so a write and a cut do not mix. `contents`
//!   is locked for moments only, never during a copy: it says which frame a page has, and the frame is kept by its
//!   count.
//! - **FILE-2** a frame made for a page outside the lock goes in only if the file has not been cut since.
//! - **FILE-3** a page's bytes behind the end of the file are zero, but for what a shared mapping has written there;
//!   that is cleared before the file grows over it.

use abi::Errno;
use mm::NoMemory;
use mm::addr::PAGE_SIZE;
use mm::frame::{self, Frame, FrameKind};
use mm::space::{PageSource, PageSourceError};
use smp::lock::SpinLock;
use smp::rank;

use super::buffer::{ReadBuffer, Source, WriteBuffer};
use super::pages::Pages;
use super::pause_point;
use crate::elf_image::ProgramFile;
use crate::turn::Turn;

/// The largest file.
pub const MAX_FILE_BYTES: u64 = 1 << 32;

const PAGE_BYTES: u64 = PAGE_SIZE as u64;

static ZEROES: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

/// A file with contents.
pub struct RegularFile {
    /// FILE-1.
    writing: Turn,
    contents: SpinLock<Contents, rank::File>,
}

struct Contents {
    len_bytes: u64,
    pages: Pages,
    /// What the pages without a frame hold, from the start of the file; zeroes after it.
    original: &'static [u8],
    /// How often the file has been cut: FILE-2.
    cuts: u64,
}

/// Where a write begins.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum WriteFrom {
    /// At this offset.
    Offset(u64),
    /// At the end of the file.
    End,
}

/// What a write has done.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// How many bytes.
    pub len: usize,
    /// The offset after the last of them.
    pub end: u64,
}

/// What a page holds.
enum Page {
    Frame(Frame),
    /// The start of it; then zeroes.
    Original(&'static [u8]),
}

impl RegularFile {
    /// A file whose contents are `original`, at most [`MAX_FILE_BYTES`].
    pub fn new(original: &'static [u8]) -> RegularFile {
        let contents = Contents {
            len_bytes: original.len() as u64,
            pages: Pages::new(),
            original,
            cuts: 0,
        };
        RegularFile {
            writing: Turn::new(),
            contents: SpinLock::new(contents),
        }
    }

    /// Its length.
    pub fn len_bytes(&self) -> u64 {
        self.contents.lock().len_bytes
    }

    /// Reads from `offset` on until `buffer` is full or the file ends; returns how many bytes.
    ///
    /// # Errors
    /// `EFAULT` if not even the first byte could be stored.
    pub fn read(&self, offset: u64, buffer: &mut ReadBuffer<'_>) -> Result<usize, Errno> {
        let mut total = 0;
        while !buffer.is_empty() {
            if total > 0 && pause_point().is_err() && buffer.is_users() {
                break;
            }
            let position = offset.saturating_add(total as u64);
            let Some((page, len_left)) = self.contents.lock().page_and_rest(position) else {
                break;
            };
            let skip = (position % PAGE_BYTES) as usize;
            let len = buffer.len().min(PAGE_SIZE - skip).min(len_left);
            let put = match &page {
                Page::Frame(frame) => buffer.put(Source::Frame(frame, skip), len),
                Page::Original(bytes) => {
                    put_original(buffer, bytes.get(skip..).unwrap_or_default(), len)
                }
            };
            total += put;
            if put < len {
                return if total > 0 {
                    Ok(total)
                } else {
                    Err(Errno::EFAULT)
                };
            }
        }
        Ok(total)
    }

    /// Reads from `offset` on into kernel memory, until that is full or the file ends; returns how many bytes.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        // Kernel memory takes what it is given, and what the kernel reads for itself no signal ends.
        self.read(offset, &mut ReadBuffer::Kernel(buffer))
            .unwrap_or(0)
    }

    /// Writes all of `buffer`, making the file longer if need be.
    ///
    /// If an error comes after the first byte, the result says how many bytes were written; the others have not been.
    ///
    /// # Errors
    /// `EFBIG` if not even the first byte is below [`MAX_FILE_BYTES`], `ENOSPC` if there is no memory for it, `EFAULT`
    /// if it cannot be read, `EINTR` if a signal or its end interrupts the caller while it waits for another writer.
    pub fn write(&self, from: WriteFrom, buffer: &mut WriteBuffer<'_>) -> Result<Written, Errno> {
        let _writing = self.writing.take()?;
        let len = self.len_bytes();
        let start = match from {
            WriteFrom::Offset(offset) => offset,
            WriteFrom::End => len,
        };
        if start >= MAX_FILE_BYTES && !buffer.is_empty() {
            return Err(Errno::EFBIG);
        }
        if start > len && !buffer.is_empty() {
            self.clear_behind(len);
        }
        let mut position = start;
        let mut outcome = Ok(());
        while !buffer.is_empty() && outcome.is_ok() {
            if position > start && pause_point().is_err() {
                break;
            }
            (position, outcome) = self.write_in_page(position, buffer);
        }
        match outcome {
            Err(error) if position == start => Err(error),
            _ => Ok(Written {
                len: (position - start) as usize,
                end: position,
            }),
        }
    }

    /// Writes what goes into the page at `position`, with the turn of `writing`; returns the position after it.
    fn write_in_page(
        &self,
        position: u64,
        buffer: &mut WriteBuffer<'_>,
    ) -> (u64, Result<(), Errno>) {
        if position >= MAX_FILE_BYTES {
            return (position, Err(Errno::EFBIG));
        }
        let Ok(Some(frame)) = self.frame(page_index(position), |_| true) else {
            return (position, Err(Errno::ENOSPC));
        };
        // The limit is a multiple of the page size, so the page is below it.
        let skip = (position % PAGE_BYTES) as usize;
        let len = buffer.len().min(PAGE_SIZE - skip);
        let moved = buffer.take_into_frame(&frame, skip, len);
        let end = position + moved as u64;
        if moved > 0 {
            let mut contents = self.contents.lock();
            contents.len_bytes = contents.len_bytes.max(end);
        }
        (
            end,
            if moved < len {
                Err(Errno::EFAULT)
            } else {
                Ok(())
            },
        )
    }

    /// Clears the rest of the page in which the file ends, at `len`: FILE-3.
    #[cold]
    fn clear_behind(&self, len: u64) {
        let page = self.contents.lock().page(page_index(len));
        if let Page::Frame(frame) = page {
            let skip = (len % PAGE_BYTES) as usize;
            frame.write_bytes(skip, ZEROES.get(skip..).unwrap_or_default());
        }
    }

    /// Cuts the file to length 0. Who has pages of it mapped keeps them as they are.
    pub fn truncate(&self) {
        // What a writer does ends by itself.
        let _writing = self.writing.take_uninterrupted();
        let old_pages = {
            let mut contents = self.contents.lock();
            contents.len_bytes = 0;
            contents.original = &[];
            contents.cuts = contents.cuts.wrapping_add(1);
            core::mem::take(&mut contents.pages)
        };
        // Frees the frames, without the lock.
        drop(old_pages);
    }

    /// Makes and fills the frames of all pages, so that the accounts of frames do not depend on who uses the file
    /// later.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(super) fn fill(&self) -> Result<(), NoMemory> {
        let pages = self.len_bytes().div_ceil(PAGE_BYTES);
        (0..pages).try_for_each(|index| self.frame(index as usize, |_| true).map(drop))
    }

    /// The frame of page `index`, made and filled if there was none; none if the page is not wanted in a file of that
    /// length. The file does not get longer by that.
    fn frame(
        &self,
        index: usize,
        is_wanted: impl Fn(u64) -> bool,
    ) -> Result<Option<Frame>, NoMemory> {
        loop {
            let (original, cuts) = {
                let contents = self.contents.lock();
                // Together with the count of cuts: as long as that stays the file only gets longer.
                if !is_wanted(contents.len_bytes) {
                    return Ok(None);
                }
                match contents.page(index) {
                    Page::Frame(frame) => return Ok(Some(frame)),
                    Page::Original(bytes) => (bytes, contents.cuts),
                }
            };
            let frame = filled_frame(original);
            let mut contents = self.contents.lock();
            let Ok(frame) = frame else {
                // Another CPU may have been faster, and have had the last frame.
                return match contents.page(index) {
                    Page::Frame(frame) if is_wanted(contents.len_bytes) => Ok(Some(frame)),
                    _ => Err(NoMemory),
                };
            };
            // FILE-2.
            if contents.cuts == cuts {
                let place = contents.pages.place(index)?;
                // Another CPU may have been faster; then its frame is the page.
                return Ok(Some(place.get_or_insert(frame).share()));
            }
        }
    }
}

impl PageSource for RegularFile {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        let start = index
            .checked_mul(PAGE_BYTES)
            .ok_or(PageSourceError::PastEnd)?;
        let frame = self.frame(page_index(start), |len_bytes| start < len_bytes)?;
        frame.ok_or(PageSourceError::PastEnd)
    }

    fn len_bytes(&self) -> u64 {
        RegularFile::len_bytes(self)
    }
}

impl ProgramFile for RegularFile {
    fn len_bytes(&self) -> u64 {
        RegularFile::len_bytes(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        RegularFile::read_at(self, offset, buffer)
    }
}

impl Contents {
    fn page(&self, index: usize) -> Page {
        match self.pages.get(index) {
            Some(frame) => Page::Frame(frame.share()),
            None => {
                let start = index.saturating_mul(PAGE_SIZE);
                let rest = self.original.get(start..).unwrap_or_default();
                Page::Original(rest.get(..PAGE_SIZE).unwrap_or(rest))
            }
        }
    }

    /// What the page with the byte at `position` holds, and how much of the file there is from there on. None at the
    /// end.
    fn page_and_rest(&self, position: u64) -> Option<(Page, usize)> {
        let rest = self
            .len_bytes
            .checked_sub(position)
            .filter(|&rest| rest > 0)?;
        Some((self.page(page_index(position)), rest as usize))
    }
}

fn page_index(position: u64) -> usize {
    (position / PAGE_BYTES) as usize
}

fn filled_frame(start: &[u8]) -> Result<Frame, NoMemory> {
    let frame = frame::alloc_zeroed(FrameKind::File)?;
    frame.write_bytes(0, start);
    Ok(frame)
}

/// Puts `len` bytes: those of `original` and then zeroes.
fn put_original(buffer: &mut ReadBuffer<'_>, original: &[u8], len: usize) -> usize {
    let len_original = original.len().min(len);
    let put = buffer.put(Source::Bytes(original), len_original);
    if put < len_original {
        return put;
    }
    put + buffer.put(Source::Zeroes, len - len_original)
}
