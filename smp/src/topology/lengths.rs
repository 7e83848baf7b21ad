//! Checks all lengths in the ACPI tables that the `acpi` crate is going to believe.

use super::TopologyError;

/// Sizes of the root pointer: what every version has, and what is read of every version.
const ROOT_POINTER_SIZE: usize = 36;
const REVISION_AT: usize = 15;
const OLD_ROOT_AT: usize = 16;
const ROOT_POINTER_LENGTH_AT: usize = 20;
const ROOT_AT: usize = 24;
/// None is longer.
const ROOT_POINTER_SIZE_MAX: usize = 4096;

/// The header of every table.
const HEADER_SIZE: usize = 36;
const LENGTH_AT: usize = 4;
/// No table that is of interest is longer.
const TABLE_SIZE_MAX: usize = 16 << 20;

const MADT_NAME: [u8; 4] = *b"APIC";
const MADT_FIXED_SIZE: usize = 44;
const ENTRY_HEADER_SIZE: usize = 2;
/// Entry types whose contents are read, and how long they must be.
const LOCAL_APIC: (u8, usize) = (0, 8);
const LOCAL_X2APIC: (u8, usize) = (9, 16);

/// Checks that the root pointer at `rsdp`, the tables that it leads to, and the entries of the table of interrupt
/// controllers can be read and lie within each other.
///
/// # Safety
/// As for [`super::discover`].
pub(super) unsafe fn check(
    rsdp: usize,
    map: &impl Fn(usize, usize) -> *const u8,
) -> Result<(), TopologyError> {
    // SAFETY: the caller's condition.
    let memory = unsafe { Memory::new(map) };
    let (root, entry_size) = root_table(&memory, rsdp)?;
    let root = table(&memory, root)?;
    let (entries, rest) = root[HEADER_SIZE..].as_chunks::<4>();
    if !rest.is_empty() || !root[HEADER_SIZE..].len().is_multiple_of(entry_size) {
        return Err(TopologyError::BadLength(name(root)));
    }
    for address in entries.chunks_exact(entry_size / 4) {
        let high = address
            .get(1)
            .map_or(0, |high| u64::from(u32::from_le_bytes(*high)));
        check_listed(
            &memory,
            high << 32 | u64::from(u32::from_le_bytes(address[0])),
        )?;
    }
    Ok(())
}

/// The address of the root table, and the size of the addresses in it.
fn root_table(memory: &Memory<'_>, rsdp: usize) -> Result<(u64, usize), TopologyError> {
    let pointer = memory.read(rsdp as u64, ROOT_POINTER_SIZE)?;
    if pointer[REVISION_AT] == 0 {
        return Ok((u64::from(word(pointer, OLD_ROOT_AT)), 4));
    }
    let length = word(pointer, ROOT_POINTER_LENGTH_AT) as usize;
    if !(ROOT_POINTER_SIZE..=ROOT_POINTER_SIZE_MAX).contains(&length) {
        return Err(TopologyError::BadLength(*b"RSD "));
    }
    memory.read(rsdp as u64, length)?;
    Ok((
        u64::from(word(pointer, ROOT_AT + 4)) << 32 | u64::from(word(pointer, ROOT_AT)),
        8,
    ))
}

/// All bytes of the table at `address`.
fn table<'a>(memory: &Memory<'a>, address: u64) -> Result<&'a [u8], TopologyError> {
    let header = memory.read(address, HEADER_SIZE)?;
    let length = word(header, LENGTH_AT) as usize;
    if !(HEADER_SIZE..=TABLE_SIZE_MAX).contains(&length) {
        return Err(TopologyError::BadLength(name(header)));
    }
    memory.read(address, length)
}

/// Checks a table that the root table lists: of most only the header is ever read.
fn check_listed(memory: &Memory<'_>, address: u64) -> Result<(), TopologyError> {
    if name(memory.read(address, HEADER_SIZE)?) != MADT_NAME {
        return Ok(());
    }
    let madt = table(memory, address)?;
    if madt.len() < MADT_FIXED_SIZE {
        return Err(TopologyError::BadLength(MADT_NAME));
    }
    // The crate passes over a table with a bad checksum as if it were not there.
    if madt.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)) != 0 {
        return Err(TopologyError::BadChecksum(MADT_NAME));
    }
    check_entries(&madt[MADT_FIXED_SIZE..])
}

fn check_entries(mut rest: &[u8]) -> Result<(), TopologyError> {
    const BAD: TopologyError = TopologyError::BadLength(MADT_NAME);
    while !rest.is_empty() {
        let [kind, length, ..] = *rest else {
            return Err(BAD);
        };
        let length = usize::from(length);
        let too_short = [LOCAL_APIC, LOCAL_X2APIC]
            .iter()
            .any(|&(read, size)| kind == read && length < size);
        if length < ENTRY_HEADER_SIZE || too_short {
            return Err(BAD);
        }
        rest = rest.get(length..).ok_or(BAD)?;
    }
    Ok(())
}

fn name(table: &[u8]) -> [u8; 4] {
    word(table, 0).to_le_bytes()
}

/// The 32-bit word at `at`, which lies within `bytes`.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Physical memory, as far as it can be read.
struct Memory<'a> {
    map: &'a dyn Fn(usize, usize) -> *const u8,
}

impl<'a> Memory<'a> {
    /// # Safety
    /// As for [`super::discover`], and what is read is used no longer than `'a`.
    unsafe fn new(map: &'a impl Fn(usize, usize) -> *const u8) -> Memory<'a> {
        Memory { map }
    }

    fn read(&self, address: u64, length: usize) -> Result<&'a [u8], TopologyError> {
        // Address 0 is what firmware writes for "none".
        let start = match usize::try_from(address) {
            Ok(start) if start != 0 => (self.map)(start, length),
            _ => core::ptr::null(),
        };
        if start.is_null() {
            return Err(TopologyError::Unreadable(address));
        }
        // SAFETY: `map` gave a pointer to so many bytes, which do not change (condition of `new`).
        Ok(unsafe { core::slice::from_raw_parts(start, length) })
    }
}
