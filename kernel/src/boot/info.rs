//! What the loader tells: memory map, command line, modules and where the ACPI tables begin.
//!
//! Source: the Xen PVH start information (`hvm_start_info`), version 1.

use core::ffi::{CStr, c_char};
use core::slice;

const MAGIC: u32 = 0x336e_c578;
const MEMORY_TYPE_RAM: u32 = 1;
/// Ranges at most; a PC has about ten.
const MAX_RANGES: usize = 64;

#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
struct Module {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

#[repr(C)]
struct MemoryMapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// A range of physical memory: first byte and first byte after it.
pub(crate) type Range = core::ops::Range<u64>;

/// What the loader told.
pub(crate) struct BootInfo {
    ram: [Range; MAX_RANGES],
    ram_len: usize,
    /// The words on the kernel's command line.
    pub(crate) command_line: &'static str,
    /// The initial file tree, if there is one.
    pub(crate) initrd: Option<&'static [u8]>,
    /// Physical address of the ACPI root pointer; 0 if the loader knew none.
    pub(crate) rsdp: u64,
}

impl BootInfo {
    /// Reads the loader's start information.
    ///
    /// # Safety
    /// `start_info` is what a PVH loader left in EBX, all of it lies below 4 GiB, which is mapped one to one, and
    /// nobody has written to it since.
    pub(crate) unsafe fn read(start_info: usize) -> BootInfo {
        // SAFETY: the caller vouches for the address; the struct is the protocol's.
        let info = unsafe { &*(start_info as *const StartInfo) };
        assert!(info.magic == MAGIC, "not started by a PVH loader");
        assert!(info.version >= 1, "the loader gives no memory map");
        let (ram, ram_len) = read_ram(info);
        BootInfo {
            ram,
            ram_len,
            command_line: read_command_line(info),
            initrd: read_initrd(info),
            rsdp: info.rsdp,
        }
    }

    /// The ranges of usable memory.
    pub(crate) fn ram(&self) -> &[Range] {
        &self.ram[..self.ram_len]
    }
}

fn read_ram(info: &StartInfo) -> ([Range; MAX_RANGES], usize) {
    // SAFETY: as for `BootInfo::read`: the loader points to that many entries below 4 GiB.
    let entries = unsafe {
        slice::from_raw_parts(
            info.memory_map as *const MemoryMapEntry,
            info.memory_map_entries as usize,
        )
    };
    let mut ram = [const { 0..0 }; MAX_RANGES];
    let mut len = 0;
    for entry in entries
        .iter()
        .filter(|entry| entry.kind == MEMORY_TYPE_RAM && entry.size != 0)
        .take(MAX_RANGES)
    {
        ram[len] = entry.address..entry.address.saturating_add(entry.size);
        len += 1;
    }
    (ram, len)
}

fn read_command_line(info: &StartInfo) -> &'static str {
    if info.command_line == 0 {
        return "";
    }
    // SAFETY: as for `BootInfo::read`: the loader points to a string that ends with a zero byte.
    let text = unsafe { CStr::from_ptr(info.command_line as *const c_char) };
    text.to_str().unwrap_or("")
}

fn read_initrd(info: &StartInfo) -> Option<&'static [u8]> {
    if info.module_count == 0 || info.module_list == 0 {
        return None;
    }
    // SAFETY: as for `BootInfo::read`: there is at least one module, and its bytes stay: `main` reserves them.
    unsafe {
        let module = &*(info.module_list as *const Module);
        Some(slice::from_raw_parts(
            module.address as *const u8,
            module.size as usize,
        ))
    }
}
