//! The shape of this machine's page tables.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use geometry::Geometry;
use mm::addr::UserRange;
use mm::kernel_map;
use proc::process::Process;

use super::GO_ON;
use crate::boot::features;
use crate::device::console::say;

pub(super) fn geometry(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    let Some(shape) = kernel_map::geometry() else {
        say!("geometry: there is no page table of the kernel's own");
        return GO_ON;
    };
    let (page, unit) = scaled(shape.span(1));
    say!(
        "{} levels; pages of {page} {unit}; entries of {} bytes; addresses of {} bits, virtual, and {}, physical",
        shape.levels(),
        shape.entry_bytes(),
        shape.virtual_bits(),
        shape.physical_bits()
    );
    say!(
        "{:>5} {:>6} {:>6} {:>7} {:>12} {:>12}",
        "LEVEL",
        "BIT",
        "TO BIT",
        "ENTRIES",
        "EACH COVERS",
        "ALL COVER"
    );
    let highest_leaf = if features::has_gib_pages() { 3 } else { 2 };
    for level in (1..=shape.levels()).rev() {
        let (shift, bits) = (shape.shift(level), shape.index_bits(level));
        let (each, each_unit) = scaled(shape.span(level));
        let (all, all_unit) = scaled(shape.span(level) << bits);
        let meaning = match level {
            1 => "maps a page",
            _ if level <= highest_leaf => "maps a big page, or names a table",
            _ => "names a table",
        };
        let (last, entries) = (shift + bits - 1, shape.entries(level));
        say!(
            "{level:>5} {shift:>6} {last:>6} {entries:>7} {each:>8} {each_unit} {all:>8} {all_unit}  {meaning}"
        );
    }
    let (kernel_end, users) = (1_u64 << (shape.virtual_bits() - 1), UserRange::all());
    say!(
        "the kernel's half: [0x0, {kernel_end:#x}); user space: [{:#x}, {:#x})",
        users.start().as_u64(),
        users.end().as_u64()
    );
    GO_ON
}

/// A power of two of bytes in the largest unit that leaves a whole number.
fn scaled(bytes: u64) -> (u64, &'static str) {
    const UNITS: [&str; 6] = ["B  ", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let power = bytes.trailing_zeros() / 10;
    let unit = UNITS.get(power as usize).copied();
    (bytes >> (10 * power), unit.unwrap_or("EiB"))
}
