//! Memory at boot: frames, then the heap, then the kernel's own map.

use core::sync::atomic::{AtomicBool, Ordering};

use mm::addr::PAGE_SIZE;
use mm::frame::{self, MemoryRange};
use mm::kernel_map::{self, KernelLayout, Section};

use smp::{irq, trampoline};

use super::command_line::CommandLine;
use super::entry;
use super::features;
use super::info::BootInfo;
use crate::device::{io_apic, power, screen};

const MAX_RANGES: usize = 64;
/// Less than this is refused.
const MINIMUM_BYTES: u64 = 60 << 20;
/// The first megabyte is the firmware's and the loader's; the trampoline of the other CPUs lies there too.
const LOW_MEMORY_END: u64 = 1 << 20;
/// Physical page that the other CPUs start in, in the loader's part of memory, which is free once it has been read.
pub(crate) const TRAMPOLINE_PAGE: u32 = 0x8000;
/// The registers of the local APICs; see [`smp::apic`].
pub(crate) const LOCAL_APIC_ADDRESS: usize = 0xfee0_0000;

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

/// The usable memory that the boot tables reach.
struct Ram {
    ranges: [MemoryRange; MAX_RANGES],
    len: usize,
}

impl Ram {
    fn new(info: &BootInfo) -> Ram {
        let mut ram = Ram {
            ranges: [MemoryRange::new(0, 0); MAX_RANGES],
            len: 0,
        };
        for range in info.ram() {
            let end = range.end.min(entry::mapped_bytes());
            if range.start < end && ram.len < MAX_RANGES {
                ram.ranges[ram.len] = MemoryRange::new(range.start, end);
                ram.len += 1;
            }
        }
        ram
    }

    fn ranges(&self) -> &[MemoryRange] {
        &self.ranges[..self.len]
    }

    fn bytes(&self) -> u64 {
        self.ranges()
            .iter()
            .map(|range| range.end.as_u64() - range.start.as_u64())
            .sum()
    }
}

/// Makes all memory of the machine available: frames, and by that the heap.
pub(crate) fn init(info: &BootInfo) {
    let ram = Ram::new(info);
    if ram.bytes() < MINIMUM_BYTES {
        power::refuse(format_args!(
            "{} MiB of memory; it takes at least 64",
            ram.bytes().div_ceil(1 << 20)
        ));
    }
    let initrd = info.initrd.unwrap_or_default().as_ptr_range();
    let reserved = [
        MemoryRange::new(0, LOW_MEMORY_END),
        MemoryRange::new(
            address(&raw const __kernel_start),
            address(&raw const __kernel_end),
        ),
        MemoryRange::new(address(initrd.start), address(initrd.end)),
    ];
    // SAFETY: 1. the boot tables map all of `ram`, which ends below their limit. 2. besides the kernel, its files and
    // the first megabyte nothing is in use.
    if let Err(error) = unsafe { frame::init(ram.ranges(), &reserved) } {
        panic!("no memory to begin with: {error:?}");
    }
}

/// Whether the kernel's map is left empty (`break=tables`).
static IS_MAP_BROKEN: AtomicBool = AtomicBool::new(false);

/// Leaves the kernel's map empty, which ends the boot (`break=tables`).
pub(crate) fn break_map() {
    // Relaxed: read by this CPU.
    IS_MAP_BROKEN.store(true, Ordering::Relaxed);
}

/// Builds the kernel's own map and changes to it, with five levels if the boot line wants them.
///
/// Needs: frames. Afterwards the firmware's tables can no longer be reached.
pub(crate) fn build_map(info: &BootInfo, command_line: &CommandLine) {
    let wants_five_levels = command_line.is_first_of("la57", ["on", "off"]);
    let levels = if wants_five_levels && features::has_five_levels() {
        5
    } else {
        4
    };
    if wants_five_levels && levels == 4 {
        smp::log!("la57=on, but the processor walks four levels only");
    }
    smp::log!("page tables with {levels} levels");
    let ram = Ram::new(info);
    let page = |start: usize| MemoryRange::new(start as u64, start as u64 + PAGE_SIZE as u64);
    let text = MemoryRange::new(
        address(&raw const __text_start),
        address(&raw const __text_end),
    );
    let constants = MemoryRange::new(
        address(&raw const __rodata_start),
        address(&raw const __rodata_end),
    );
    let layout = KernelLayout {
        levels,
        has_gib_pages: features::has_gib_pages(),
        memory: ram.ranges(),
        devices: &[
            page(LOCAL_APIC_ADDRESS),
            page(io_apic::ADDRESS),
            page(screen::ADDRESS),
        ],
        sections: &[Section::code(text), Section::constants(constants)],
    };
    // Relaxed: set by this CPU.
    let layout = if IS_MAP_BROKEN.load(Ordering::Relaxed) {
        KernelLayout {
            memory: &[],
            devices: &[],
            sections: &[],
            ..layout
        }
    } else {
        layout
    };
    if let Err(error) = kernel_map::build(&layout) {
        panic!("no kernel map: {error:?}");
    }
    let off = irq::disable();
    if let Some(root) = kernel_map::root_pa().filter(|_| levels == 5) {
        // SAFETY: 1. checked above; the entry code has set four levels and nothing else. 2. the layout has all memory,
        // and the kernel's sections with the rights that they need; the stack is in its data. 3. `off`, and the first
        // CPU.
        unsafe { trampoline::enter_five_levels(root.as_u64() as u32) };
    } else {
        // SAFETY: as above, 2. With `break=tables` that is not so, and the machine resets here.
        unsafe { kernel_map::activate(&off) };
    }
}
