//! Regions that show a part of a file.
#![forbid(unsafe_code)]

use alloc::sync::Arc;
use core::fmt;

use crate::addr::PAGE_SIZE;
use crate::error::SpaceError;
use crate::space::backing::PageContent;
use crate::space::page_source::{PageSource, SourceKind};

/// Who sees what is written to a region.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Sharing {
    /// The address space alone: the first write to a page gets a copy.
    Private,
    /// The file, and all who have it mapped: everybody writes the file's own frames.
    ///
    /// Where the file has no page, past its end, there is nothing to share. Such a page is zero and belongs to the
    /// address space (and to those that are forked from it), until it is unmapped, even if the file gets longer
    /// meanwhile.
    Shared,
}

/// The part of a file that a region shows.
#[derive(Clone)]
pub struct FileBacking {
    source: Arc<dyn PageSource>,
    /// Where in the file the region's first byte lies; a multiple of the page size.
    offset: u64,
    /// How many bytes of the region come from the file. The others are zero, whatever the file has there. `u64::MAX`,
    /// or what cutting has left of it, if shared.
    len_bytes: u64,
    sharing: Sharing,
}

impl FileBacking {
    /// The bytes `[offset, offset + len_bytes)` of `source`, privately; the part of the region behind them is zero.
    ///
    /// # Errors
    /// `Unaligned` if `offset` is not a multiple of the page size.
    pub fn new(
        source: Arc<dyn PageSource>,
        offset: u64,
        len_bytes: u64,
    ) -> Result<FileBacking, SpaceError> {
        FileBacking::with(source, offset, len_bytes, Sharing::Private)
    }

    /// What `source` has from `offset` on, shared with all who map it so.
    ///
    /// It shows whole pages: a page cannot be the file's in part.
    ///
    /// # Errors
    /// `Unaligned` if `offset` is not a multiple of the page size.
    pub fn shared(source: Arc<dyn PageSource>, offset: u64) -> Result<FileBacking, SpaceError> {
        FileBacking::with(source, offset, u64::MAX, Sharing::Shared)
    }

    fn with(
        source: Arc<dyn PageSource>,
        offset: u64,
        len_bytes: u64,
        sharing: Sharing,
    ) -> Result<FileBacking, SpaceError> {
        if offset.is_multiple_of(PAGE_SIZE as u64) {
            Ok(FileBacking {
                source,
                offset,
                len_bytes,
                sharing,
            })
        } else {
            Err(SpaceError::Unaligned)
        }
    }

    /// Who sees what is written.
    pub fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// What it shows a part of.
    pub fn kind(&self) -> SourceKind {
        self.source.kind()
    }

    /// The source, and the place in it, of what is `distance` bytes behind the region's start.
    pub(super) fn place_at(&self, distance: u64) -> (&Arc<dyn PageSource>, u64) {
        (&self.source, self.offset.saturating_add(distance))
    }

    /// Whether a region that shows it may be written: not if that would write to a source that is read-only.
    pub(super) fn may_be_written(&self) -> bool {
        self.sharing == Sharing::Private || !self.source.is_read_only()
    }

    /// What is left when the first `distance` bytes of the region are cut off.
    pub(super) fn advanced(&self, distance: u64) -> FileBacking {
        FileBacking {
            source: self.source.clone(),
            offset: self.offset.saturating_add(distance),
            len_bytes: self.len_bytes.saturating_sub(distance),
            sharing: self.sharing,
        }
    }

    /// Becomes what this, of a region of `distance` bytes, and `next`, of the region behind it, are as one, if they can
    /// be: the inverse of cutting. Says whether it has.
    pub(super) fn absorb(&mut self, distance: u64, next: &FileBacking) -> bool {
        let is_continued = self.sharing == next.sharing
            && self.offset.checked_add(distance) == Some(next.offset)
            && Arc::ptr_eq(&self.source, &next.source);
        // If the file's part ends in this region, the other may have none.
        let fills_region = self.len_bytes >= distance;
        if !is_continued || !(fills_region || next.len_bytes == 0) {
            return false;
        }
        if fills_region {
            self.len_bytes = distance.saturating_add(next.len_bytes);
        }
        true
    }

    /// What the page `distance` bytes behind the region's start holds.
    pub(super) fn content_at(&self, distance: u64) -> PageContent<'_> {
        let (source, page_size) = (&self.source, PAGE_SIZE as u64);
        let len_wanted = self.len_bytes.saturating_sub(distance).min(page_size);
        let start = self.offset.saturating_add(distance);
        let len_there = source.len_bytes().saturating_sub(start).min(page_size);
        if len_wanted == 0 || len_there == 0 {
            return PageContent::Zero;
        }
        PageContent::File {
            source,
            index: start / page_size,
            // The file's own frame is zero behind the end of the file.
            len_bytes: if len_there <= len_wanted {
                PAGE_SIZE
            } else {
                len_wanted as usize
            },
            sharing: self.sharing,
        }
    }
}

impl fmt::Display for FileBacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sharing = match self.sharing {
            Sharing::Private => "private",
            Sharing::Shared => "shared",
        };
        let kind = match self.kind() {
            SourceKind::File => "file",
            SourceKind::Memory => "memory",
        };
        write!(f, "{sharing} {kind} {:#x}", self.offset)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{FileBacking, PageContent, Sharing};
    use crate::addr::PAGE_SIZE;
    use crate::error::SpaceError;
    use crate::frame::Frame;
    use crate::space::page_source::{PageSource, PageSourceError};

    struct FileOf(u64);

    impl PageSource for FileOf {
        fn page(&self, _index: u64) -> Result<Frame, PageSourceError> {
            Err(PageSourceError::Unreadable)
        }
        fn len_bytes(&self) -> u64 {
            self.0
        }
    }

    /// The content as text: `zero`, `page INDEX` or `head INDEX LEN`, and `shared` if it is.
    fn text(file: &FileBacking, distance: u64) -> String {
        match file.content_at(distance) {
            PageContent::Zero => "zero".into(),
            PageContent::File {
                index,
                len_bytes: PAGE_SIZE,
                sharing,
                ..
            } => match sharing {
                Sharing::Private => format!("page {index}"),
                Sharing::Shared => format!("shared page {index}"),
            },
            PageContent::File {
                index,
                len_bytes,
                sharing: Sharing::Private,
                ..
            } => format!("head {index} {len_bytes}"),
            _ => "something else".into(),
        }
    }

    fn content(file_len: u64, offset: u64, len: u64, distance: u64) -> String {
        let file = FileBacking::new(Arc::new(FileOf(file_len)), offset, len).unwrap();
        text(&file, distance)
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
        for refused in [
            FileBacking::new(Arc::new(FileOf(0)), 1, 1),
            FileBacking::shared(Arc::new(FileOf(0)), 1),
        ] {
            assert_eq!(refused.map(|_| ()), Err(SpaceError::Unaligned));
        }
    }

    #[test]
    fn a_shared_mapping_shows_whole_pages_of_the_file_and_zeros_past_its_end() {
        let file = FileBacking::shared(Arc::new(FileOf(0x2010)), 0x1000).unwrap();
        let pages = [0, 0x1000, 0x2000].map(|distance| text(&file, distance));
        assert_eq!(pages, ["shared page 1", "shared page 2", "zero"]);
    }

    #[test]
    fn what_is_left_of_a_file_backing_shows_the_same_bytes_and_joins_with_what_was_cut_off() {
        for (len, expected) in [
            (0x2010, ["page 2", "head 3 16", "zero"]),
            (0x800, ["zero", "zero", "zero"]),
        ] {
            let file = FileBacking::new(Arc::new(FileOf(0x9000)), 0x1000, len).unwrap();
            let (mut joined, rest) = (file.clone(), file.advanced(0x1000));
            let pages = [0, 0x1000, 0x2000].map(|distance| text(&rest, distance));
            assert_eq!(pages, expected);
            assert!(joined.absorb(0x1000, &rest));
            for distance in [0, 0x1000, 0x2000, 0x3000] {
                assert_eq!(text(&joined, distance), text(&file, distance));
            }
        }
    }

    #[test]
    fn parts_of_files_that_do_not_continue_each_other_are_not_joined() {
        let source: Arc<dyn PageSource> = Arc::new(FileOf(0x9000));
        let file = |offset, len| FileBacking::new(source.clone(), offset, len).unwrap();
        let mut joined = file(0x1000, 0x1800);
        assert!(joined.absorb(0x1000, &file(0x2000, 0x1010)));
        let pages = [0, 0x1000, 0x2000, 0x3000].map(|distance| text(&joined, distance));
        assert_eq!(pages, ["page 1", "page 2", "head 3 16", "zero"]);
        let elsewhere = FileBacking::new(Arc::new(FileOf(0x9000)), 0x2000, 0x100).unwrap();
        let shared = FileBacking::shared(source.clone(), 0x2000).unwrap();
        for (distance, next) in [
            (0x1000, file(0x3000, 0x100)),
            (0x1000, elsewhere),
            (0x1000, shared),
            // The first one's bytes end within it, and the other has some of the file again.
            (0x2000, file(0x3000, 0x100)),
        ] {
            let mut first = file(0x1000, 0x1800);
            assert!(!first.absorb(distance, &next), "{next}");
            assert_eq!(text(&first, 0x2000), "zero");
        }
    }
}
