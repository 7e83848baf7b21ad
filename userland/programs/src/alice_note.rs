//! Alice's note to herself, in memory of her own; Eve knows what it looks like.

use core::sync::atomic::AtomicU64;

/// A page of Alice's.
#[repr(C, align(4096))]
pub struct Note {
    /// [`MARK`], once Alice runs.
    pub mark: AtomicU64,
    /// Alice stops if it is not 0.
    pub stop: AtomicU64,
}

/// The note.
pub static NOTE: Note = Note {
    mark: AtomicU64::new(0),
    stop: AtomicU64::new(0),
};

/// What the note begins with.
pub const MARK: u64 = u64::from_le_bytes(*b"Alice's!");
