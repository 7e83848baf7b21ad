//! What stands where in the picture: physical memory on top, the virtual map of a process below, then the CPUs.

use core::fmt;

use crate::physical::{self, PhysicalMap};
use crate::picture::{Colour, Pen, Picture, ROWS};
use crate::symbol::{Pid, Right, Use};
use crate::virtual_map::{self, VirtualMap};

const PHYSICAL_ROW: usize = 0;
const PHYSICAL_LEGEND_ROW: usize = PHYSICAL_ROW + 1 + physical::BLOCK_ROWS;
const VIRTUAL_ROW: usize = PHYSICAL_LEGEND_ROW + 1;
const VIRTUAL_LEGEND_ROW: usize = VIRTUAL_ROW + 1 + virtual_map::BLOCK_ROWS;
const CPU_ROW: usize = VIRTUAL_LEGEND_ROW + 1;

/// Behind the addresses.
const BLOCKS_COLUMN: usize = 15;

const CPU_COLUMNS: usize = 40;
const CPUS_PER_ROW: usize = 2;
/// How many CPUs there is room for.
pub const CPUS: usize = CPUS_PER_ROW * (ROWS - CPU_ROW);
const BAR_LEN: u32 = 10;
/// From so much load on it is not just the kernel's own work if nobody was found running.
const SHORT_TURNS_PERCENT: u32 = 10;

/// A process or a thread, for people.
#[derive(Copy, Clone, Debug)]
pub struct Named<'a> {
    /// Its id.
    pub id: Pid,
    /// The process whose it is, for its colour.
    pub process: Pid,
    /// What it runs.
    pub name: &'a str,
}

/// What a CPU has done of late.
#[derive(Copy, Clone, Debug)]
pub struct CpuLoad<'a> {
    /// Its number.
    pub number: usize,
    /// The part of the time in which it has not halted.
    pub busy_percent: u32,
    /// The thread that it runs, if it is known.
    pub thread: Option<Named<'a>>,
}

/// Draws what physical memory is used for. There are `frames` frames of it, holes not counted.
pub fn draw_physical(picture: &mut Picture, map: &PhysicalMap, frames: u64) {
    let mut pen = picture.begin_row(PHYSICAL_ROW);
    pen.paint(Colour::WHITE).text(format_args!(
        "PHYSICAL MEMORY: {}, a character is {}",
        Size((frames * 4096).next_multiple_of(1 << 20)),
        Size(map.block_bytes())
    ));
    let row_bytes = map.block_bytes() * physical::BLOCKS_PER_ROW as u64;
    for (index, blocks) in map.rows().enumerate() {
        let mut pen = picture.begin_row(PHYSICAL_ROW + 1 + index);
        pen.text(format_args!("  {:012x}", index as u64 * row_bytes));
        pen.go_to(BLOCKS_COLUMN);
        blocks.for_each(|cell| pen.put(cell));
    }
    let mut pen = picture.begin_row(PHYSICAL_LEGEND_ROW);
    for (usage, name) in [
        (Use::Free, "free"),
        (Use::Reserved, "reserved"),
        (Use::Kernel, "kernel"),
        (Use::Tables, "page tables"),
        (Use::Files, "files"),
        (Use::Shared, "shared"),
        (Use::Process(1), "2.. processes"),
    ] {
        pen.put(usage.cell(true));
        pen.text(format_args!(" {name}  "));
    }
}

/// Draws the map of `process`; nothing if there is none.
pub fn draw_virtual(picture: &mut Picture, map: &VirtualMap, process: Option<Named<'_>>) {
    let mut pen = picture.begin_row(VIRTUAL_ROW);
    pen.paint(Colour::WHITE);
    if let Some(process) = process {
        pen.text(format_args!("VIRTUAL MEMORY of "));
        name(&mut pen, process);
        pen.paint(Colour::WHITE).text(format_args!(
            ": {} pages, a character is {}",
            map.pages(),
            Size(map.block_bytes())
        ));
    }
    for row in VIRTUAL_ROW + 1..VIRTUAL_LEGEND_ROW {
        picture.begin_row(row);
    }
    for (row, (address, blocks)) in (VIRTUAL_ROW + 1..).zip(map.rows()) {
        let mut pen = picture.begin_row(row);
        match address >> 48 {
            0xffff => pen.text(format_args!("..{:012x}", address & 0xffff_ffff_ffff)),
            _ => pen.text(format_args!("{:014x}", address & 0xff_ffff_ffff_ffff)),
        };
        pen.go_to(BLOCKS_COLUMN);
        blocks.for_each(|cell| pen.put(cell));
    }
    let mut pen = picture.begin_row(VIRTUAL_LEGEND_ROW);
    for (right, name) in Right::ALL
        .into_iter()
        .zip(["read", "write", "execute", "kernel only"])
    {
        pen.put(right.cell(false));
        pen.text(format_args!(" {name}  "));
    }
    pen.text(format_args!("(capitals: shared; ..: ffff)"));
}

/// Draws the CPUs, of which there are `count`, as far as there is room.
pub fn draw_cpus<'a>(picture: &mut Picture, count: usize, cpus: impl Iterator<Item = CpuLoad<'a>>) {
    for row in CPU_ROW..ROWS {
        picture.begin_row(row);
    }
    for (index, cpu) in cpus.take(CPUS).enumerate() {
        let mut pen = picture.pen(CPU_ROW + index / CPUS_PER_ROW);
        pen.go_to(index % CPUS_PER_ROW * CPU_COLUMNS);
        if index + 1 == CPUS && count > CPUS {
            pen.text(format_args!("and {} more CPUs", count - index));
            break;
        }
        draw_cpu(&mut pen, cpu);
    }
}

/// As `CPU   2  73% #######... 5 allocator`.
fn draw_cpu(pen: &mut Pen<'_>, cpu: CpuLoad<'_>) {
    let percent = cpu.busy_percent.min(100);
    pen.text(format_args!("CPU{:>4} {percent:>3}% ", cpu.number));
    pen.paint(Colour::GREEN.bright());
    let busy = (percent * BAR_LEN).div_ceil(100);
    for part in 0..BAR_LEN {
        pen.text(format_args!("{}", if part < busy { '#' } else { '.' }));
    }
    pen.paint(Colour::GREY).text(format_args!(" "));
    match cpu.thread {
        Some(thread) => name(pen, thread),
        None => {
            let is_idle = percent < SHORT_TURNS_PERCENT;
            let text = if is_idle { "idle" } else { "short turns" };
            pen.text(format_args!("{text}"));
        }
    }
}

/// Writes id and name in the colour that the process has in the map.
fn name(pen: &mut Pen<'_>, of: Named<'_>) {
    let colour = Use::Process(of.process).cell(true).colour();
    pen.paint(colour)
        .text(format_args!("{} {:.10}", of.id, of.name))
        .paint(Colour::GREY);
}

/// A number of bytes in the largest unit that shows it without a fraction.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = [(1 << 30, "GiB"), (1 << 20, "MiB")]
            .into_iter()
            .find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit))
            .unwrap_or((1 << 10, "KiB"));
        write!(f, "{} {name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use mm::addr::{PhysAddr, VirtAddr};
    use mm::frame::{FrameRun, FrameState};
    use mm::page_table::Perm;
    use mm::space::SeenPage;

    use super::{CPUS, CpuLoad, Named, Size, draw_cpus, draw_physical, draw_virtual};
    use crate::{PhysicalMap, Picture, ROWS, VirtualMap};

    const ALLOCATOR: Named<'_> = Named {
        id: 5,
        process: 5,
        name: "allocator",
    };

    fn texts(picture: &Picture) -> Vec<String> {
        (0..ROWS).map(|row| picture.row_text(row)).collect()
    }

    #[test]
    fn a_gibibyte_of_physical_memory_fills_eight_rows_with_their_addresses() {
        let mut map = PhysicalMap::new(1 << 18).unwrap();
        for (number, order, state) in [(0, 9, FrameState::Reserved), (512, 9, FrameState::Free)] {
            map.add_run(&FrameRun {
                number,
                order,
                state,
            });
        }
        let mut picture = Picture::new().unwrap();
        draw_physical(&mut picture, &map, (1 << 18) - 97);
        let rows = texts(&picture);
        assert_eq!(rows[0], "PHYSICAL MEMORY: 1 GiB, a character is 2 MiB");
        assert_eq!(rows[1], "  000000000000 R.");
        assert_eq!(rows[8], "  000038000000");
        assert!(
            rows[9].starts_with(". free  R reserved  K kernel") && rows[9].ends_with("processes")
        );
    }

    #[test]
    fn a_virtual_map_says_whose_it_is_and_vanishes_with_the_process() {
        let mut map = VirtualMap::new().unwrap();
        let page = |va| SeenPage {
            va: VirtAddr::new(va),
            pa: PhysAddr::new(0),
            len_pages: 1,
            perm: Perm::USER_WRITE,
            is_shared: false,
            kind: None,
        };
        let mut picture = Picture::new().unwrap();
        map.add_page(&page(0xff80_0000_0000_1000));
        map.add_page(&page(0xffff_8000_0020_0000));
        draw_virtual(&mut picture, &map, Some(ALLOCATOR));
        let rows = texts(&picture);
        assert_eq!(
            &rows[10..14],
            [
                "VIRTUAL MEMORY of 5 allocator: 2 pages, a character is 4 KiB",
                "80000000000000  w",
                "..800000200000 w",
                ""
            ]
        );
        assert!(rows[15].starts_with("r read  w write  x execute  k kernel only"));
        map.clear();
        draw_virtual(&mut picture, &map, None);
        assert!(texts(&picture)[10..15].iter().all(String::is_empty));
    }

    #[test]
    fn cpus_stand_two_in_a_row_with_load_and_thread() {
        let mut picture = Picture::new().unwrap();
        let loads = [
            (0, 9, None),
            (1, 73, Some(ALLOCATOR)),
            (2, 250, Some(ALLOCATOR)),
            (3, 10, None),
        ];
        let cpus = loads.map(|(number, busy_percent, thread)| CpuLoad {
            number,
            busy_percent,
            thread,
        });
        draw_cpus(&mut picture, 4, cpus.into_iter());
        let rows = texts(&picture);
        assert_eq!(
            &rows[16..],
            [
                "CPU   0   9% #......... idle            CPU   1  73% ########.. 5 allocator",
                "CPU   2 100% ########## 5 allocator     CPU   3  10% #......... short turns",
                "",
                ""
            ]
        );
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut picture = Picture::new().unwrap();
        let cpu = |number| CpuLoad {
            number,
            busy_percent: 0,
            thread: None,
        };
        draw_cpus(&mut picture, CPUS, (0..CPUS).map(cpu));
        assert!(!picture.row_text(ROWS - 1).contains("more"));
        draw_cpus(&mut picture, 255, (0..255).map(cpu));
        assert!(picture.row_text(ROWS - 1).ends_with("and 248 more CPUs"));
    }

    #[test]
    fn sizes_are_in_the_largest_unit_without_a_fraction() {
        let shown = [0, 4096, 3 << 19, 1 << 20, 5 << 30].map(|bytes| Size(bytes).to_string());
        assert_eq!(shown, ["0 KiB", "4 KiB", "1536 KiB", "1 MiB", "5 GiB"]);
    }
}
