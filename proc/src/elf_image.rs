//! Program files: an ELF64 file becomes a plan of what to map where.
//!
//! The guarantee: whatever bytes the file has, the result is either a plan whose ranges are whole pages in user space,
//! do not overlap, leave the stack its place, and hold the entry point in an executable one; or a reason, in words.
//! Nothing panics, and nothing is read but the headers, so that a program's pages can come in when they are touched.
//!
//! A program is linked at fixed addresses (`ET_EXEC`), or position-independent (`ET_DYN`) and then placed so that its
//! address 0 is at [`PROGRAM_BASE`]. Nobody relocates it: a file that asks for that is refused.

#[cfg(test)]
mod tests;

use core::fmt;

use abi::Errno;
use abi::layout::{PROGRAM_BASE, STACK_BOTTOM};
use elf::abi::{
    DT_NEEDED, DT_NULL, DT_PLTRELSZ, DT_RELASZ, DT_RELSZ, EM_X86_64, ET_DYN, ET_EXEC, PF_W, PF_X,
    PT_DYNAMIC, PT_INTERP, PT_LOAD,
};
use elf::dynamic::Dyn;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::{ParseAt, ParseError};
use elf::segment::ProgramHeader;
use mm::addr::{PAGE_SIZE, UserRange, VirtAddr};
use mm::space::Protection;

/// The most segments that a program may load.
pub const MAX_SEGMENTS: usize = 16;

/// The most memory that a program may ask for, file and zeroes together.
pub const MAX_IMAGE_BYTES: u64 = 1 << 36;

const MAX_PROGRAM_HEADERS: u16 = 64;
const MAX_DYNAMIC_ENTRIES: u64 = 256;
const IDENT_BYTES: usize = 16;
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const DYNAMIC_ENTRY_BYTES: usize = 16;
/// Compact relative relocations, which the `elf` crate has no name for.
const DT_RELRSZ: i64 = 35;

const PAGE_BYTES: u64 = PAGE_SIZE as u64;

/// Where a program's bytes come from.
pub trait ProgramFile {
    /// Its length.
    fn len_bytes(&self) -> u64;
    /// Copies bytes from `offset` on into `buffer`, up to the file's end; returns how many.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize;
}

/// What a program wants mapped, and where it starts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ElfImage {
    entry: VirtAddr,
    segments: [Option<Segment>; MAX_SEGMENTS],
}

/// A range of a program's memory with one protection: bytes of the file, then zeroes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where it goes: whole pages.
    pub range: UserRange,
    /// What the program may do with it besides reading.
    pub protection: Protection,
    /// Where in the file its first byte is, a multiple of the page size.
    pub file_offset: u64,
    /// How many of its bytes are the file's; the others are zero.
    pub file_len: u64,
}

/// Why a file is not a program that can run here.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum NotAProgram {
    /// It ends within its headers.
    Truncated,
    /// It does not begin like an ELF file.
    NotElf,
    /// It is for another class of machine: 32 bits, big-endian, or an unknown version of the format.
    WrongFormat,
    /// It is for this machine number.
    WrongMachine(u16),
    /// It is neither an executable nor position-independent, but of this type.
    WrongType(u16),
    /// Its table of segments has entries of a strange size, or too many.
    BadSegmentTable,
    /// It wants a dynamic linker.
    NeedsLinker,
    /// It has relocations, which nobody would process.
    NeedsRelocation,
    /// It loads more than [`MAX_SEGMENTS`] segments.
    TooManySegments,
    /// It loads nothing.
    NothingToLoad,
    /// The segment at this address ends behind the end of the file.
    SegmentTruncated(u64),
    /// The segment at this address has more bytes in the file than in memory.
    SegmentSizes(u64),
    /// The segment at this address lies differently within a page in the file and in memory.
    Misaligned(u64),
    /// The segment at this address is not wholly in user space.
    OutsideUserSpace(u64),
    /// The segment at this address makes the program larger than [`MAX_IMAGE_BYTES`].
    TooLarge(u64),
    /// The segment at this address has a page in common with another.
    Overlap(u64),
    /// The segment at this address lies where the stack may grow to, or in the page above it, which is never mapped.
    OnTheStack(u64),
    /// The entry point is in no executable segment.
    BadEntry(u64),
}

impl fmt::Display for NotAProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NotAProgram::Truncated => write!(f, "the file ends within its headers"),
            NotAProgram::NotElf => write!(f, "not an ELF file"),
            NotAProgram::WrongFormat => write!(f, "not a 64-bit little-endian ELF file"),
            NotAProgram::WrongMachine(machine) => {
                write!(f, "built for machine {machine}, not for x86-64")
            }
            NotAProgram::WrongType(kind) => write!(f, "ELF type {kind} is not a program"),
            NotAProgram::BadSegmentTable => write!(f, "the table of segments makes no sense"),
            NotAProgram::NeedsLinker => write!(f, "needs a dynamic linker; link it statically"),
            NotAProgram::NeedsRelocation => {
                write!(f, "has relocations left; link it at a fixed address")
            }
            NotAProgram::TooManySegments => write!(f, "more than {MAX_SEGMENTS} segments"),
            NotAProgram::NothingToLoad => write!(f, "has nothing to load"),
            NotAProgram::SegmentTruncated(at) => {
                write!(f, "the file ends within the segment at {at:#x}")
            }
            NotAProgram::SegmentSizes(at) => write!(
                f,
                "the segment at {at:#x} is larger in the file than in memory"
            ),
            NotAProgram::Misaligned(at) => write!(
                f,
                "the segment at {at:#x} is not aligned to pages as in the file"
            ),
            NotAProgram::OutsideUserSpace(at) => {
                write!(f, "the segment at {at:#x} is outside user space")
            }
            NotAProgram::TooLarge(at) => {
                write!(f, "the segment at {at:#x} makes the program too large")
            }
            NotAProgram::Overlap(at) => {
                write!(f, "the segment at {at:#x} shares a page with another")
            }
            NotAProgram::OnTheStack(at) => {
                write!(f, "the segment at {at:#x} lies where the stack has to be")
            }
            NotAProgram::BadEntry(at) => {
                write!(f, "the entry point {at:#x} is in no executable segment")
            }
        }
    }
}

impl From<NotAProgram> for Errno {
    fn from(_: NotAProgram) -> Errno {
        Errno::ENOEXEC
    }
}

impl From<ParseError> for NotAProgram {
    fn from(error: ParseError) -> NotAProgram {
        match error {
            ParseError::BadMagic(_) => NotAProgram::NotElf,
            ParseError::UnsupportedElfClass(_)
            | ParseError::UnsupportedElfEndianness(_)
            | ParseError::UnsupportedVersion(_) => NotAProgram::WrongFormat,
            _ => NotAProgram::Truncated,
        }
    }
}

impl ElfImage {
    /// Reads the headers of a program and plans what to map.
    ///
    /// # Errors
    /// The first reason found why it cannot run; `ENOEXEC` for a system call.
    pub fn parse(file: &impl ProgramFile) -> Result<ElfImage, NotAProgram> {
        let header = read_file_header(file)?;
        let load_bias = if header.e_type == ET_DYN {
            PROGRAM_BASE as u64
        } else {
            0
        };
        let mut image = ElfImage {
            entry: VirtAddr::new(0),
            segments: [None; MAX_SEGMENTS],
        };
        for index in 0..header.e_phnum {
            let program_header = read_program_header(file, header.e_phoff, index)?;
            match program_header.p_type {
                PT_INTERP => return Err(NotAProgram::NeedsLinker),
                PT_DYNAMIC => refuse_relocations(file, &program_header)?,
                PT_LOAD if program_header.p_memsz > 0 => {
                    let address = program_header.p_vaddr.wrapping_add(load_bias);
                    image.add(
                        Segment::plan(&program_header, address, file.len_bytes())?,
                        address,
                    )?;
                }
                _ => {}
            }
        }
        image.set_entry(header.e_entry.wrapping_add(load_bias))?;
        Ok(image)
    }

    /// Where the program's first instruction is.
    pub fn entry(&self) -> VirtAddr {
        self.entry
    }

    /// What to map, in the order of the file.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().flatten()
    }

    fn add(&mut self, segment: Segment, start: u64) -> Result<(), NotAProgram> {
        // Each is little more than `MAX_IMAGE_BYTES` at most, and they are few: the sum fits.
        let len_total: usize = self
            .segments()
            .chain([&segment])
            .map(|each| each.range.len_bytes())
            .sum();
        if len_total as u64 > MAX_IMAGE_BYTES {
            return Err(NotAProgram::TooLarge(start));
        }
        if self
            .segments()
            .any(|other| other.range.intersection(segment.range).is_some())
        {
            return Err(NotAProgram::Overlap(start));
        }
        let place = self
            .segments
            .iter_mut()
            .find(|place| place.is_none())
            .ok_or(NotAProgram::TooManySegments)?;
        *place = Some(segment);
        Ok(())
    }

    fn set_entry(&mut self, entry: u64) -> Result<(), NotAProgram> {
        if self.segments().next().is_none() {
            return Err(NotAProgram::NothingToLoad);
        }
        self.entry = VirtAddr::new(entry);
        let holds_entry = |segment: &Segment| {
            segment.protection.contains(Protection::EXECUTE) && segment.range.contains(self.entry)
        };
        if self.segments().any(holds_entry) {
            Ok(())
        } else {
            Err(NotAProgram::BadEntry(entry))
        }
    }
}

impl Segment {
    /// What to map for the segment that begins at the address `start`.
    fn plan(header: &ProgramHeader, start: u64, file_len: u64) -> Result<Segment, NotAProgram> {
        let is_in_file = header
            .p_offset
            .checked_add(header.p_filesz)
            .is_some_and(|end| end <= file_len);
        if header.p_filesz > 0 && !is_in_file {
            return Err(NotAProgram::SegmentTruncated(start));
        }
        if header.p_filesz > header.p_memsz {
            return Err(NotAProgram::SegmentSizes(start));
        }
        let len_skipped = start % PAGE_BYTES;
        if header.p_filesz > 0 && header.p_offset % PAGE_BYTES != len_skipped {
            return Err(NotAProgram::Misaligned(start));
        }
        if header.p_memsz > MAX_IMAGE_BYTES {
            return Err(NotAProgram::TooLarge(start));
        }
        // Cannot overflow: the size is bounded by now.
        let len = (len_skipped + header.p_memsz).next_multiple_of(PAGE_BYTES);
        let range = UserRange::page_aligned((start - len_skipped) as usize, len as usize)
            .map_err(|_| NotAProgram::OutsideUserSpace(start))?;
        let (first, end) = (range.start().as_u64(), range.end().as_u64());
        if first < PROGRAM_BASE as u64 && end > STACK_BOTTOM as u64 {
            return Err(NotAProgram::OnTheStack(start));
        }
        let mut protection = Protection::empty();
        protection.set(Protection::WRITE, header.p_flags & PF_W != 0);
        protection.set(Protection::EXECUTE, header.p_flags & PF_X != 0);
        // What the file has in the first page before the segment comes along, as it does everywhere.
        let (file_offset, file_len) = match header.p_filesz {
            0 => (0, 0),
            len => (header.p_offset - len_skipped, len_skipped + len),
        };
        Ok(Segment {
            range,
            protection,
            file_offset,
            file_len,
        })
    }
}

fn read_file_header(file: &impl ProgramFile) -> Result<FileHeader<LittleEndian>, NotAProgram> {
    let bytes: [u8; HEADER_BYTES] = read_array(file, 0)?;
    let (ident, tail) = bytes.split_at(IDENT_BYTES);
    let ident = parse_ident::<LittleEndian>(ident)?;
    if ident.1 != Class::ELF64 {
        return Err(NotAProgram::WrongFormat);
    }
    let header = FileHeader::parse_tail(ident, tail)?;
    if header.e_machine != EM_X86_64 {
        return Err(NotAProgram::WrongMachine(header.e_machine));
    }
    if header.e_type != ET_EXEC && header.e_type != ET_DYN {
        return Err(NotAProgram::WrongType(header.e_type));
    }
    let has_usual_entries =
        usize::from(header.e_phentsize) == PROGRAM_HEADER_BYTES || header.e_phnum == 0;
    if header.e_phnum > MAX_PROGRAM_HEADERS || !has_usual_entries {
        return Err(NotAProgram::BadSegmentTable);
    }
    Ok(header)
}

fn read_program_header(
    file: &impl ProgramFile,
    table: u64,
    index: u16,
) -> Result<ProgramHeader, NotAProgram> {
    let distance = u64::from(index) * PROGRAM_HEADER_BYTES as u64;
    let bytes: [u8; PROGRAM_HEADER_BYTES] = read_array(
        file,
        table.checked_add(distance).ok_or(NotAProgram::Truncated)?,
    )?;
    Ok(ProgramHeader::parse_at(
        LittleEndian,
        Class::ELF64,
        &mut 0,
        &bytes,
    )?)
}

/// A position-independent program has a dynamic section even if there is nothing to do; refuse it if there is.
fn refuse_relocations(file: &impl ProgramFile, header: &ProgramHeader) -> Result<(), NotAProgram> {
    let entries = (header.p_filesz / DYNAMIC_ENTRY_BYTES as u64).min(MAX_DYNAMIC_ENTRIES);
    for index in 0..entries {
        let distance = index * DYNAMIC_ENTRY_BYTES as u64;
        let offset = header
            .p_offset
            .checked_add(distance)
            .ok_or(NotAProgram::Truncated)?;
        let bytes: [u8; DYNAMIC_ENTRY_BYTES] = read_array(file, offset)?;
        let entry = Dyn::parse_at(LittleEndian, Class::ELF64, &mut 0, &bytes)?;
        match entry.d_tag {
            DT_NULL => return Ok(()),
            DT_NEEDED => return Err(NotAProgram::NeedsLinker),
            DT_RELASZ | DT_RELSZ | DT_RELRSZ | DT_PLTRELSZ if entry.d_val() > 0 => {
                return Err(NotAProgram::NeedsRelocation);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_array<const N: usize>(
    file: &impl ProgramFile,
    offset: u64,
) -> Result<[u8; N], NotAProgram> {
    let mut bytes = [0; N];
    if file.read_at(offset, &mut bytes) < N {
        return Err(NotAProgram::Truncated);
    }
    Ok(bytes)
}
