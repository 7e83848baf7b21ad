//! Where the contents of a region come from.
#![forbid(unsafe_code)]

use alloc::sync::Arc;

use crate::addr::PAGE_SIZE;
use crate::error::{NoMemory, SpaceError};
use crate::frame::Frame;

/// Something that has its contents in page frames, for regions to map: a file.
///
/// The frames are the source's own, one for each page however many processes map it. A mapping never writes them; what
/// the source itself writes to a page is seen by those who have it mapped and have not written it. A source that does
/// not want that puts a new frame in the place of one that is shared.
pub trait PageSource: Send + Sync {
    /// The frame with the bytes from `index * PAGE_SIZE` on, zero behind the end of the file.
    ///
    /// Called with no lock held; it may wait.
    fn page(&self, index: u64) -> Result<Frame, PageSourceError>;

    /// How many bytes there are.
    fn len_bytes(&self) -> u64;
}

/// Why a source has no page to give.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum PageSourceError {
    /// There is no memory for it.
    NoMemory,
    /// The file ends before it: it has become shorter.
    PastEnd,
    /// The contents could not be fetched.
    Unreadable,
}

impl From<NoMemory> for PageSourceError {
    fn from(_: NoMemory) -> PageSourceError {
        PageSourceError::NoMemory
    }
}

/// What a region's pages hold before anybody has written them.
#[derive(Clone)]
pub enum Backing {
    /// Zeros.
    Anonymous,
    /// A part of a file. Writes are private to the address space.
    File(FileBacking),
}

/// The part of a file that a region shows.
#[derive(Clone)]
pub struct FileBacking {
    source: Arc<dyn PageSource>,
    /// Where in the file the region's first byte lies; a multiple of the page size.
    offset: u64,
    /// How many bytes of the region come from the file. The others are zero, whatever the file has there.
    len_bytes: u64,
}

/// What one page holds before anybody has written it.
pub(super) enum PageContent<'a> {
    /// Zeros.
    Zero,
    /// The first `len_bytes` bytes of the page `index` of a file, and zeros behind them. All bytes of the page, in the middle
    /// of a file or at its very end, unless somebody wanted less.
    File {
        source: &'a Arc<dyn PageSource>,
        index: u64,
        len_bytes: usize,
    },
}

impl FileBacking {
    /// The bytes `[offset, offset + len_bytes)` of `source`; the part of the region behind them is zero.
    ///
    /// # Errors
    /// `Unaligned` if `offset` is not a multiple of the page size.
    pub fn new(
        source: Arc<dyn PageSource>,
        offset: u64,
        len_bytes: u64,
    ) -> Result<FileBacking, SpaceError> {
        if offset.is_multiple_of(PAGE_SIZE as u64) {
            Ok(FileBacking {
                source,
                offset,
                len_bytes,
            })
        } else {
            Err(SpaceError::Unaligned)
        }
    }

    /// What is left when the first `distance` bytes of the region are cut off.
    fn advanced(&self, distance: u64) -> FileBacking {
        FileBacking {
            source: self.source.clone(),
            offset: self.offset.saturating_add(distance),
            len_bytes: self.len_bytes.saturating_sub(distance),
        }
    }

    /// What the page `distance` bytes behind the region's start holds.
    fn content_at(&self, distance: u64) -> PageContent<'_> {
        let (source, page_size) = (&self.source, PAGE_SIZE as u64);
        let len_wanted = self.len_bytes.saturating_sub(distance).min(page_size);
        let start = self.offset.saturating_add(distance);
        let len_there = source.len_bytes().saturating_sub(start).min(page_size);
        let index = start / page_size;
        if len_wanted == 0 || len_there == 0 {
            PageContent::Zero
        } else if len_there <= len_wanted {
            // The file's own frame is zero behind the end of the file.
            PageContent::File {
                source,
                index,
                len_bytes: PAGE_SIZE,
            }
        } else {
            PageContent::File {
                source,
                index,
                len_bytes: len_wanted as usize,
            }
        }
    }
}

impl Backing {
    /// The backing of what is left when the first `distance` bytes of the region are cut off.
    pub(super) fn advanced(&self, distance: u64) -> Backing {
        match self {
            Backing::Anonymous => Backing::Anonymous,
            Backing::File(file) => Backing::File(file.advanced(distance)),
        }
    }

    /// What the page `distance` bytes behind the region's start holds before anybody has written it.
    #[inline]
    pub(super) fn content_at(&self, distance: u64) -> PageContent<'_> {
        match self {
            Backing::Anonymous => PageContent::Zero,
            Backing::File(file) => file.content_at(distance),
        }
    }

    /// Whether it is [`Backing::Anonymous`].
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Backing::Anonymous)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Backing, FileBacking, PageContent, PageSource, PageSourceError};
    use crate::addr::PAGE_SIZE;
    use crate::error::SpaceError;
    use crate::frame::Frame;

    struct FileOf(u64);

    impl PageSource for FileOf {
        fn page(&self, _index: u64) -> Result<Frame, PageSourceError> {
            Err(PageSourceError::Unreadable)
        }
        fn len_bytes(&self) -> u64 {
            self.0
        }
    }

    /// The content as text: `zero`, `page INDEX` or `head INDEX LEN`.
    fn content(file_len: u64, offset: u64, len: u64, distance: u64) -> String {
        let file = FileBacking::new(Arc::new(FileOf(file_len)), offset, len).unwrap();
        match Backing::File(file).content_at(distance) {
            PageContent::Zero => "zero".into(),
            PageContent::File {
                index,
                len_bytes: PAGE_SIZE,
                ..
            } => format!("page {index}"),
            PageContent::File {
                index, len_bytes, ..
            } => format!("head {index} {len_bytes}"),
        }
    }

    #[test]
    fn whole_pages_come_from_the_file_by_offset() {
        assert_eq!(content(0x5000, 0x2000, 0x3000, 0), "page 2");
        assert_eq!(content(0x5000, 0x2000, 0x3000, 0x2000), "page 4");
    }

    #[test]
    fn the_page_with_the_end_of_the_file_is_shared_and_pages_behind_are_zero() {
        assert_eq!(content(0x4001, 0x2000, u64::MAX, 0x2000), "page 4");
        assert_eq!(content(0x4001, 0x2000, u64::MAX, 0x3000), "zero");
        assert_eq!(content(0x4000, 0x2000, u64::MAX, 0x2000), "zero");
    }

    #[test]
    fn a_limit_inside_of_a_page_takes_only_the_head_of_what_the_file_has_there() {
        assert_eq!(content(0x9000, 0, 0x1010, 0x1000), "head 1 16");
        assert_eq!(content(0x9000, 0, 0x1010, 0x2000), "zero");
        assert_eq!(content(0x1010, 0, 0x1010, 0x1000), "page 1");
        assert_eq!(content(0x1008, 0, 0x1010, 0x1000), "page 1");
    }

    #[test]
    fn offsets_at_the_end_of_all_numbers_do_no_harm() {
        assert_eq!(content(u64::MAX, !0xfff, u64::MAX, 0x1000), "zero");
        let refused = FileBacking::new(Arc::new(FileOf(0)), 1, 1).map(|_| ());
        assert_eq!(refused, Err(SpaceError::Unaligned));
    }

    #[test]
    fn what_is_left_of_a_file_backing_shows_the_same_bytes() {
        let file = FileBacking::new(Arc::new(FileOf(0x9000)), 0x1000, 0x2010).unwrap();
        let rest = Backing::File(file).advanced(0x1000);
        assert!(matches!(
            rest.content_at(0),
            PageContent::File {
                index: 2,
                len_bytes: PAGE_SIZE,
                ..
            }
        ));
        assert!(matches!(
            rest.content_at(0x1000),
            PageContent::File {
                index: 3,
                len_bytes: 16,
                ..
            }
        ));
        assert!(matches!(rest.content_at(0x2000), PageContent::Zero));
    }
}
