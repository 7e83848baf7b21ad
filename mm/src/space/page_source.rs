//! What has its contents in page frames, for regions to map.
#![forbid(unsafe_code)]

use alloc::sync::Arc;

use crate::error::NoMemory;
use crate::frame::Frame;

/// Something that has its contents in page frames, for regions to map: a file, or shared memory.
///
/// The frames are the source's own, one for each page however many processes map it. What is written to a page, by the
/// source or through a shared mapping, is seen by the source and by all who have the page mapped, except through
/// private mappings that have been written there themselves. A private mapping never writes the source's frames. A
/// source that does not want to be seen writing puts a new frame in the place of one that is shared.
pub trait PageSource: Send + Sync {
    /// The frame with the bytes from `index * PAGE_SIZE` on, zero behind the end of the file unless a shared mapping
    /// has written there.
    ///
    /// Called with no lock held; it may wait.
    ///
    /// # Errors
    /// [`PageSourceError`].
    fn page(&self, index: u64) -> Result<Frame, PageSourceError>;

    /// How many bytes there are.
    fn len_bytes(&self) -> u64;

    /// What names it: the same for two that show each other's stores, and nobody else's as long as it is there.
    fn identity(&self) -> usize {
        core::ptr::from_ref(self).cast::<()>().addr()
    }

    /// What it is.
    fn kind(&self) -> SourceKind {
        SourceKind::File
    }

    /// Whether it may not be written through a shared mapping.
    fn is_read_only(&self) -> bool {
        false
    }
}

/// A source as it is shown to whoever may map it shared, but not write it.
pub struct ReadOnlySource(Arc<dyn PageSource>);

impl ReadOnlySource {
    /// What shows `source` and cannot be written.
    pub fn new(source: Arc<dyn PageSource>) -> ReadOnlySource {
        ReadOnlySource(source)
    }
}

impl PageSource for ReadOnlySource {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        self.0.page(index)
    }

    fn len_bytes(&self) -> u64 {
        self.0.len_bytes()
    }

    fn identity(&self) -> usize {
        self.0.identity()
    }

    fn kind(&self) -> SourceKind {
        self.0.kind()
    }

    fn is_read_only(&self) -> bool {
        true
    }
}

/// What a source is.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum SourceKind {
    /// A file.
    File,
    /// Memory that is shared without a file.
    Memory,
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
