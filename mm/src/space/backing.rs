//! Where the contents of a region come from.
#![forbid(unsafe_code)]

use alloc::sync::Arc;
use core::fmt;

use crate::page_table::PhysicalRange;
use crate::space::file_backing::{FileBacking, Sharing};
use crate::space::page_source::PageSource;

/// What a region's pages hold before anybody has written them.
#[derive(Clone)]
pub enum Backing {
    /// Zeros, of the address space alone.
    Anonymous,
    /// A part of a file, private or shared; or memory that is shared without a file ([`super::SharedPages`]).
    File(FileBacking),
    /// Memory, or device registers, that the region shows and does not own. Only the kernel may use it.
    ///
    /// Exactly as long as the region.
    Physical(PhysicalRange),
}

/// What one page holds before anybody has written it.
pub(super) enum PageContent<'a> {
    /// Zeros, in a frame of the address space's own.
    Zero,
    /// The first `len_bytes` bytes of the page `index` of a file, and zeros behind them. All bytes of the page, in the middle
    /// of a file or at its very end, unless somebody wanted less; always if it is shared.
    ///
    /// If `sharing` says so, the file's own frame is mapped with all the region's rights. Otherwise it is mapped until
    /// somebody writes, at most.
    File {
        source: &'a Arc<dyn PageSource>,
        index: u64,
        len_bytes: usize,
        sharing: Sharing,
    },
    /// A part of memory that nobody owns.
    Physical,
}

impl Backing {
    /// The backing of the first `len_bytes` bytes of the region.
    pub(super) fn first(&self, len_bytes: u64) -> Backing {
        match self {
            // None only if the region is longer than its memory, which `Region::check` refuses.
            Backing::Physical(memory) => {
                Backing::Physical(memory.part(0, len_bytes).unwrap_or(*memory))
            }
            other => other.clone(),
        }
    }

    /// The backing of what is left when the first `distance` bytes of the region are cut off.
    pub(super) fn advanced(&self, distance: u64) -> Backing {
        match self {
            Backing::Anonymous => Backing::Anonymous,
            Backing::File(file) => Backing::File(file.advanced(distance)),
            Backing::Physical(memory) => {
                let len_left = memory.len_bytes().saturating_sub(distance);
                // As above.
                Backing::Physical(memory.part(distance, len_left).unwrap_or(*memory))
            }
        }
    }

    /// What this, of a region of `distance` bytes, and `next`, of the region behind it, are as one, if they can be.
    pub(super) fn joined_with(&self, distance: u64, next: &Backing) -> Option<Backing> {
        match (self, next) {
            (Backing::Anonymous, Backing::Anonymous) => Some(Backing::Anonymous),
            (Backing::File(file), Backing::File(next)) => {
                file.joined_with(distance, next).map(Backing::File)
            }
            (Backing::Physical(memory), Backing::Physical(next)) => {
                memory.joined_with(*next).map(Backing::Physical)
            }
            _ => None,
        }
    }

    /// What the page `distance` bytes behind the region's start holds before anybody has written it.
    #[inline]
    pub(super) fn content_at(&self, distance: u64) -> PageContent<'_> {
        match self {
            Backing::Anonymous => PageContent::Zero,
            Backing::File(file) => file.content_at(distance),
            Backing::Physical(_) => PageContent::Physical,
        }
    }

    /// Whether it is [`Backing::Anonymous`].
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Backing::Anonymous)
    }

    /// Whether what is written is seen outside of the address space too, and a fork shares it for good.
    pub fn is_shared(&self) -> bool {
        match self {
            Backing::Anonymous => false,
            Backing::File(file) => file.sharing() == Sharing::Shared,
            Backing::Physical(_) => true,
        }
    }
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backing::Anonymous => f.write_str("anonymous"),
            Backing::File(file) => fmt::Display::fmt(file, f),
            Backing::Physical(memory) => write!(f, "physical {}", memory.start()),
        }
    }
}
