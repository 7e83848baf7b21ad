//! Memory at boot: frames, then the heap, then the kernel's own map.

use mm::frame::{self, MemoryRange};
use mm::kernel_map;

use super::command_line::CommandLine;
use super::entry;
use super::info::BootInfo;
use crate::device::{io_apic, power};
use crate::boot::features;

/// Less than this is refused.
const MINIMUM_BYTES: u64 = 60 << 20;
/// The first megabyte is the firmware's and the loader's; the trampoline of the other CPUs lies there too.
const LOW_MEMORY_END: u64 = 1 << 20;
/// Physical page that the other CPUs start in, in the loader's part of memory, which is free once it has been read.
pub const TRAMPOLINE_PAGE: u32 = 0x8000;
/// The registers of the local APICs; see [`smp::apic`].
pub const LOCAL_APIC_ADDRESS: usize = 0xfee0_0000;

unsafe extern "C" {
    static __kernel_start: u8;
    static __kernel_end: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
}

fn address(symbol: *const u8) -> u64 {
    symbol as u64
}

/// Makes all memory of the machine usable, and changes to the kernel's own page tables.
pub fn init(info: &BootInfo, command_line: &CommandLine) {
    let mut ram = [MemoryRange::new(0, 0); 64];
    let mut len = 0;
    for range in info.ram() {
        let end = range.end.min(entry::mapped_bytes());
        if range.start < end {
            ram[len] = MemoryRange::new(range.start, end);
            len += 1;
        }
    }
    let total: u64 = ram[..len].iter().map(|range| range.end.as_u64() - range.start.as_u64()).sum();
    if total < MINIMUM_BYTES {
        power::refuse(format_args!("{} MiB of memory; it takes at least 64", total.div_ceil(1 << 20)));
    }
    let initrd = info.initrd.unwrap_or_default().as_ptr_range();
    let reserved = [
        MemoryRange::new(0, LOW_MEMORY_END),
        MemoryRange::new(address(&raw const __kernel_start), address(&raw const __kernel_end)),
        MemoryRange::new(address(initrd.start), address(initrd.end)),
    ];
    // SAFETY: 1. the boot tables map all of `ram`, which ends below their limit. 2. besides the kernel, its files and
    // the first megabyte nothing is in use.
    if let Err(error) = unsafe { frame::init(&ram[..len], &reserved) } {
        panic!("no memory to begin with: {error:?}");
    }
    let levels = match command_line.value("la57") {
        Some("on") if features::has_five_levels() => 5,
        Some("on") => {
            smp::log!("la57=on, but the processor walks four levels only");
            4
        }
        _ => 4,
    };
    todo!()
}
