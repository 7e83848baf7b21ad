//! Translations, step by step.

use geometry::{Decoded, Protection, Rights, walk};
use ulib::println;

use crate::example::Example;
use crate::failure::Failure;
use crate::show::{Bytes, Entry, Shown};

/// Builds the example, says what it maps, and walks to each of `addresses`.
pub(crate) fn all<M: Protection>(machine: M, addresses: &[u64]) -> Result<(), Failure> {
    let example = Example::new(machine)?;
    println!(
        "a page table of {} tables, with its root at {:#x}, maps",
        example.tables(),
        example.root()
    );
    for mapping in example.mappings() {
        println!(
            "  {:#x} to {:#x}, {}, {}",
            mapping.address,
            mapping.physical,
            Bytes(mapping.bytes),
            Shown(mapping.rights)
        );
    }
    addresses
        .iter()
        .try_for_each(|&address| translate(machine, &example, address))
}

fn translate<M: Protection>(machine: M, example: &Example<M>, address: u64) -> Result<(), Failure> {
    println!("{address:#x}");
    if !machine.is_canonical(address) {
        println!("  is no address of {} bits", machine.virtual_bits());
        return match example.physical(address) {
            None => Ok(()),
            Some(_) => Err(Failure::Wrong("it was translated all the same")),
        };
    }

    let mut rights = Rights::ALL;
    let stop = walk(machine, example.root(), address, |at| {
        let raw = example.load(at);
        println!(
            "  level {} table {:#x} entry {}: {}",
            at.level,
            at.table,
            at.index,
            Entry(machine, raw, at.level)
        );
        rights = rights.and(machine.rights(raw, at.level));
        raw
    });
    let physical = match machine.decode(stop.raw, stop.at.level) {
        Decoded::Leaf(start) => Some(start + (address & (machine.span(stop.at.level) - 1))),
        Decoded::Table(_) | Decoded::Empty => None,
    };
    match physical {
        Some(physical) => println!("  physical address {physical:#x}, {}", Shown(rights)),
        None => println!("  not mapped"),
    }
    if example.physical(address) == physical {
        Ok(())
    } else {
        Err(Failure::Wrong("the library says otherwise"))
    }
}
