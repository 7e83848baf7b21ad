//! Where the contents of a region come from.
#![forbid(unsafe_code)]

use alloc::sync::Arc;
use core::fmt;

use crate::page_table::PhysicalRange;
use crate::space::file_backing::{FileBacking, Sharing};
use crate::space::page_source::{PageSource, SourceKind};

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
    /// The first `len_bytes` bytes of the page `index` of a file, and zeros behind them. All bytes of the page, in the
    /// middle of a file or at its very end, unless somebody wanted less; always if it is shared.
    ///
    /// If `sharing` says so, the file's own frame is mapped with all the region's rights. Otherwise it is mapped until
    /// somebody writes, at most.
    File {
        source: &'a Arc<dyn PageSource>,
        index: u64,
        len_bytes: usize,
        sharing: Sharing,
    },
    /// The page `offset` bytes behind the start of memory that nobody owns.
    Physical {
        memory: &'a PhysicalRange,
        offset: u64,
    },
}

impl Backing {
    /// Cuts the backing of a region behind its first `len_bytes` bytes, and returns that of what is behind.
    pub(super) fn split_off(&mut self, len_bytes: u64) -> Backing {
        match self {
            Backing::Anonymous => Backing::Anonymous,
            Backing::File(file) => Backing::File(file.advanced(len_bytes)),
            Backing::Physical(memory) => {
                let len_left = memory.len_bytes().saturating_sub(len_bytes);
                let parts = (memory.part(0, len_bytes), memory.part(len_bytes, len_left));
                // Some unless the region is longer than its memory, which `Region::check` refuses.
                let (Some(below), Some(above)) = parts else {
                    return Backing::Physical(*memory);
                };
                *memory = below;
                Backing::Physical(above)
            }
        }
    }

    /// Becomes what this, of a region of `distance` bytes, and `next`, of the region behind it, are as one, if they can
    /// be. Says whether it has.
    #[inline]
    pub(super) fn absorb(&mut self, distance: u64, next: &Backing) -> bool {
        match (self, next) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (shown, next) => shown.absorb_shown(distance, next),
        }
    }

    /// As `absorb`, where something is shown.
    fn absorb_shown(&mut self, distance: u64, next: &Backing) -> bool {
        match (self, next) {
            (Backing::File(file), Backing::File(next)) => file.absorb(distance, next),
            (Backing::Physical(memory), Backing::Physical(next)) => {
                let joined = memory.joined_with(*next);
                *memory = joined.unwrap_or(*memory);
                joined.is_some()
            }
            _ => false,
        }
    }

    /// What the page `distance` bytes behind the region's start holds before anybody has written it.
    #[inline]
    pub(super) fn content_at(&self, distance: u64) -> PageContent<'_> {
        match self {
            Backing::Anonymous => PageContent::Zero,
            Backing::File(file) => file.content_at(distance),
            Backing::Physical(memory) => PageContent::Physical {
                memory,
                offset: distance,
            },
        }
    }

    /// Whether it is [`Backing::Anonymous`].
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Backing::Anonymous)
    }

    /// Whether a region with this backing may be written.
    pub(super) fn may_be_written(&self) -> bool {
        match self {
            Backing::File(file) => file.may_be_written(),
            Backing::Anonymous | Backing::Physical(_) => true,
        }
    }

    /// Whether it is a file, and not memory of some kind.
    pub fn is_file(&self) -> bool {
        matches!(self, Backing::File(file) if file.kind() == SourceKind::File)
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
