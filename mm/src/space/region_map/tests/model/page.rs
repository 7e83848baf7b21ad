//! What is at a page, in the model.

use super::operations::Source;
use crate::space::file_backing::Sharing;
use crate::space::protection::Protection;
use crate::space::region::RegionFlags;

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) struct Page {
    pub(super) protection: Protection,
    pub(super) flags: RegionFlags,
    pub(super) limit: Option<usize>,
    pub(super) content: Content,
}

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Content {
    Zero,
    File {
        file: usize,
        page: usize,
        sharing: Sharing,
        /// Otherwise zero, because the file's part of the region ends before.
        is_from_file: bool,
    },
    Physical(usize),
}

impl Content {
    /// What the page `index` of a region from `source` holds.
    pub(super) fn of(source: Source, index: usize) -> Content {
        match source {
            Source::Anonymous => Content::Zero,
            Source::File {
                file,
                first,
                len_pages,
                sharing,
            } => Content::File {
                file,
                page: first + index,
                sharing,
                is_from_file: index < len_pages,
            },
            Source::Physical { first } => Content::Physical(first + index),
        }
    }

    /// Whether the page behind can be of the same region if it holds `next`. A file's part may end with this one.
    fn is_followed_by(self, next: Content) -> bool {
        match (self, next) {
            (Content::Physical(page), _) => next == Content::Physical(page + 1),
            (
                Content::File {
                    file,
                    page,
                    sharing,
                    is_from_file,
                },
                Content::File {
                    is_from_file: next_is_from_file,
                    ..
                },
            ) => {
                let expected = Content::File {
                    file,
                    page: page + 1,
                    sharing,
                    is_from_file: next_is_from_file,
                };
                next == expected && (is_from_file || !next_is_from_file)
            }
            _ => self == next,
        }
    }
}

impl Page {
    pub(super) fn is_followed_by(&self, next: &Page) -> bool {
        let alike = |page: &Page| (page.protection, page.flags, page.limit);
        alike(self) == alike(next) && self.content.is_followed_by(next.content)
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.flags.contains(RegionFlags::PINNED)
    }
}
