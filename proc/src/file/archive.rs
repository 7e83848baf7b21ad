//! The initrd: a tar archive that becomes the first files of the tree.
//!
//! The archive has to be plain ustar (`tar --format=ustar`): files and directories, with names of up to 255 bytes.
//! Anything else in it is an error that says where, rather than a file that is silently missing.

use core::fmt;

use abi::Errno;
use mm::NoMemory;
use tar_no_std::{CorruptDataError, PosixHeader, TarArchiveRef, TypeFlag};

use super::path::Path;
use super::regular::{MAX_FILE_BYTES, RegularFile};
use super::tree::FileTree;

const BLOCK_BYTES: usize = 512;
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;
const LONGEST_PATH: usize = PREFIX_BYTES + 1 + NAME_BYTES;

/// Why an archive was refused.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ArchiveError {
    /// It is no tar archive, or a damaged one.
    Corrupt(CorruptDataError),
    /// The entry whose header is this block is neither a file nor a directory.
    Unsupported {
        /// The number of the 512-byte block.
        block: usize,
    },
    /// The entry whose header is this block ends behind the archive, or is too large for a file.
    BadSize {
        /// The number of the 512-byte block.
        block: usize,
    },
    /// The entry whose header is this block could not be put into the tree: it is there already (`EEXIST`), a file is
    /// used as a directory (`ENOTDIR`), or its name is bad.
    BadName {
        /// The number of the 512-byte block.
        block: usize,
        /// What is wrong with it.
        reason: Errno,
    },
    /// There is not enough memory for the tree.
    NoMemory,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveError::Corrupt(error) => error.fmt(f),
            ArchiveError::Unsupported { block } => {
                write!(
                    f,
                    "entry at block {block} is neither a file nor a directory (is the format ustar?)"
                )
            }
            ArchiveError::BadSize { block } => write!(f, "entry at block {block} has a bad size"),
            ArchiveError::BadName { block, reason } => {
                write!(f, "entry at block {block} has a bad name: {reason}")
            }
            ArchiveError::NoMemory => write!(f, "not enough memory for the file tree"),
        }
    }
}

impl From<CorruptDataError> for ArchiveError {
    fn from(error: CorruptDataError) -> ArchiveError {
        ArchiveError::Corrupt(error)
    }
}

impl From<NoMemory> for ArchiveError {
    fn from(_: NoMemory) -> ArchiveError {
        ArchiveError::NoMemory
    }
}

/// The tree of an archive's files. They refer to the archive's bytes, which must stay for ever.
///
/// # Errors
/// What is wrong with the archive, and where.
pub fn read_archive(archive: &'static [u8]) -> Result<FileTree, ArchiveError> {
    let tree = FileTree::new()?;
    for (block, header) in TarArchiveRef::new(archive)?.headers() {
        let mut buffer = [0; LONGEST_PATH];
        let path = path_of(header, &mut buffer);
        let outcome = match header.typeflag.try_to_type_flag() {
            Ok(TypeFlag::REGTYPE | TypeFlag::AREGTYPE) => {
                let contents =
                    contents_of(archive, block, header).ok_or(ArchiveError::BadSize { block })?;
                let file = RegularFile::new(contents);
                file.fill()?;
                Path::parse(path).and_then(|path| tree.insert(path, file))
            }
            Ok(TypeFlag::DIRTYPE) => Path::parse(path)
                .and_then(|path| tree.make_directories(path))
                .map(|_| ()),
            _ => return Err(ArchiveError::Unsupported { block }),
        };
        match outcome {
            Ok(()) => {}
            Err(Errno::ENOMEM) => return Err(ArchiveError::NoMemory),
            Err(reason) => return Err(ArchiveError::BadName { block, reason }),
        }
    }
    Ok(tree)
}

fn contents_of(
    archive: &'static [u8],
    block: usize,
    header: &PosixHeader,
) -> Option<&'static [u8]> {
    let len = header.size.as_number::<usize>().ok()?;
    let start = block.checked_add(1)?.checked_mul(BLOCK_BYTES)?;
    let contents = archive.get(start..start.checked_add(len)?)?;
    (contents.len() as u64 <= MAX_FILE_BYTES).then_some(contents)
}

/// The entry's path, put together in `buffer`. Names that are not UTF-8 come out empty, and are refused as such.
fn path_of<'a>(header: &PosixHeader, buffer: &'a mut [u8; LONGEST_PATH]) -> &'a [u8] {
    let has_prefix = header.magic.as_str() == Ok("ustar") && !header.prefix.is_empty();
    let prefix = if has_prefix {
        header.prefix.as_str().unwrap_or_default()
    } else {
        ""
    };
    let separator = if has_prefix { "/" } else { "" };
    let name = header.name.as_str().unwrap_or_default();
    let mut len = 0;
    for part in [prefix, separator, name] {
        if let Some(place) = buffer.get_mut(len..len + part.len()) {
            place.copy_from_slice(part.as_bytes());
            len += part.len();
        }
    }
    buffer.get(..len).unwrap_or_default()
}
