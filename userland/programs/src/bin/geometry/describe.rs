//! What can be said of a machine without a page table: sizes, formulas, faults.

use core::fmt::Write;
use core::iter::once;

use geometry::{Access, Decoded, Geometry, Intent, Mode, Plx, Protection, Rights, TableSize};
use ulib::{FixedString, print, println};

use crate::failure::Failure;
use crate::show::{Bytes, Entry};

/// Prints all there is to say.
pub(crate) fn everything<M: Protection>(machine: M) -> Result<(), Failure> {
    shape(machine);
    sizes(machine, &[1, machine.pages()])?;
    formulas(machine)?;
    faults(machine);
    Ok(())
}

fn shape<M: Protection>(machine: M) {
    println!("page              {}", Bytes(machine.span(1)));
    print!("virtual address   {} bits:", machine.virtual_bits());
    for level in (1..=machine.levels()).rev() {
        print!(" {} +", machine.index_bits(level));
    }
    let extension = if machine.is_sign_extended() {
        "sign"
    } else {
        "zero"
    };
    println!(" {}, {extension}-extended", machine.page_bits());
    println!("physical address  {} bits", machine.physical_bits());
    println!("entry             {} bytes", machine.entry_bytes());
    println!("levels            {}", machine.levels());
    for level in (1..=machine.levels()).rev() {
        let is_leaf_level = level <= machine.highest_leaf_level();
        println!(
            "  level {level}         {} entries, a table of {}; an entry covers {}{}",
            machine.entries(level),
            Bytes(machine.table_bytes(level)),
            Bytes(machine.span(level)),
            if is_leaf_level { " and may map it" } else { "" },
        );
    }
}

/// Prints for each of `counts` how little and how much a page table takes that maps so many pages.
pub(crate) fn sizes<G: Geometry>(machine: G, counts: &[u64]) -> Result<(), Failure> {
    for &count in counts {
        let least = machine.least_table(count)?;
        let greatest = machine.greatest_table(count)?;
        println!("a page table for {count} of {} pages", machine.pages());
        if least == greatest {
            size("always", least);
        } else {
            size("least", least);
            size("greatest", greatest);
        }
        if least.tables > greatest.tables || least.bytes > greatest.bytes {
            return Err(Failure::Wrong("the least is more than the greatest"));
        }
    }
    Ok(())
}

fn size(name: &str, TableSize { tables, bytes }: TableSize) {
    println!("  {name:<15} tables: {tables}, bytes: {bytes}");
}

fn formulas<G: Geometry>(machine: G) -> Result<(), Failure> {
    let impossible = |_| Failure::Wrong("the machine is impossible");
    let plx = machine.plx().map_err(impossible)?;
    let (page_bytes, levels, entry_bytes) = (plx.page_bytes(), plx.levels(), plx.entry_bytes());
    println!("P = {page_bytes}, L = {levels}, X = {entry_bytes}, if each table is a page");
    println!("  entries         P/X = {}", plx.entries());
    println!(
        "  virtual bits    log2 P + L log2(P/X) = {} + {levels} * {} = {}",
        plx.page_bits(),
        plx.index_bits(),
        plx.virtual_bits(),
    );
    let bits = machine.virtual_bits();
    let needed = Plx::levels_for(bits, page_bytes, entry_bytes).map_err(impossible)?;
    println!(
        "  levels needed   ({bits} - log2 P) / log2(P/X) = {} / {}, rounded up: {needed}",
        bits - plx.page_bits(),
        plx.index_bits(),
    );
    println!("  least           L P = {} bytes", plx.least_bytes());
    println!(
        "  greatest        P (1 + P/X + ... + (P/X)^(L-1)) = {} bytes",
        plx.greatest_bytes()
    );
    if needed != machine.levels() {
        return Err(Failure::Wrong("the machine has other levels than it needs"));
    }
    Ok(())
}

/// Prints what each access comes to, for an entry of level 1 with each choice of rights.
fn faults<M: Protection>(machine: M) {
    println!("faults of an entry of level 1, by their error codes; - is none");
    let rules = machine.rules();
    let accesses = Access::EVERY
        .into_iter()
        .filter(|access| access.intent != Intent::Execute || rules.has_fetches());
    print!("  {:<43}", "entry");
    for access in accesses.clone() {
        print!(" {:>8}", heading(access));
    }
    println!();

    let page = Decoded::Leaf(0x2a << machine.page_bits());
    let choices = if rules.has_no_execute { 0..8 } else { 0..4 };
    let entries = choices.map(|choice| {
        let rights = Rights {
            is_writable: choice & 1 != 0,
            is_user: choice & 2 != 0,
            is_executable: choice & 4 == 0,
        };
        machine.encode(page, rights, 1)
    });
    for raw in once(0).chain(entries) {
        let mut entry = FixedString::<43>::new();
        // What does not fit is not printed.
        let _ = write!(entry, "{}", Entry(machine, raw, 1));
        print!("  {:<43}", entry.as_str());
        for access in accesses.clone() {
            match machine.check(raw, 1, access) {
                Ok(()) => print!(" {:>8}", "-"),
                Err(code) => print!(" {code:>#8x}"),
            }
        }
        println!();
    }
}

fn heading(access: Access) -> &'static str {
    match (access.mode, access.intent) {
        (Mode::Kernel, Intent::Read) => "kernel-r",
        (Mode::Kernel, Intent::Write) => "kernel-w",
        (Mode::Kernel, Intent::Execute) => "kernel-x",
        (Mode::User, Intent::Read) => "user-r",
        (Mode::User, Intent::Write) => "user-w",
        (Mode::User, Intent::Execute) => "user-x",
    }
}
