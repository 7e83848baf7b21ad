//! Both implementations through the trait, and threads that come and go.

use std::string::String;

use smp::irq;

use super::{AddressSpace, Base, CreateError, IMPLEMENTATIONS, SpaceRef, create};
use crate::addr::{PAGE_SIZE, USER_START, UserRange};
use crate::error::SpaceError;
use crate::frame::accounts;
use crate::hw::{self, host::machine};
use crate::space::{FaultAccess, FaultError, Protection, Region, RegionFlags};

fn range(page: usize, len_pages: usize) -> UserRange {
    let start = USER_START.as_usize() + page * PAGE_SIZE;
    UserRange::page_aligned(start, len_pages * PAGE_SIZE).unwrap()
}

fn region(page: usize, len_pages: usize, flags: RegionFlags) -> Region {
    Region::anonymous(range(page, len_pages), Protection::WRITE, flags)
}

fn printed(space: &dyn AddressSpace) -> String {
    let mut text = String::new();
    space.print(&mut text).unwrap();
    text
}

#[test]
fn spaces_are_made_by_the_name_of_their_implementation() {
    let _machine = machine();
    for implementation in IMPLEMENTATIONS {
        let space = create(implementation.name).unwrap();
        let made = space.as_dyn().implementation();
        assert!(std::ptr::eq(made, implementation), "{}", made.name);
    }
    let refused = create("segments").map(|_| ());
    assert_eq!(refused, Err(CreateError::NoSuchImplementation));
}

#[test]
fn spaces_of_their_own_have_numbers_of_their_own_and_base_is_one() {
    let _machine = machine();
    let id = |name| create(name).unwrap().as_dyn().id();
    assert_ne!(id("paging"), id("paging"));
    assert_eq!(id("base"), id("base"));
}

#[test]
fn the_map_made_at_boot_refuses_to_be_changed() {
    let _machine = machine();
    let eager = region(0, 1, RegionFlags::EAGER);
    assert_eq!(Base.add_region(eager), Err(SpaceError::Fixed));
    for refused in [
        Base.remove_region(range(0, 1)),
        Base.move_region(range(0, 1)),
        Base.protect_region(range(0, 1), Protection::WRITE),
    ] {
        assert_eq!(refused, Err(SpaceError::Fixed));
    }
    let fault = |address| Base.exception(address, FaultAccess::READ);
    assert_eq!(fault(range(0, 1).start()), Err(FaultError::MissingPage));
    let kernel_address = crate::addr::VirtAddr::new(0x20_0000);
    assert_eq!(fault(kernel_address), Err(FaultError::Privilege));
}

#[test]
fn a_space_shows_its_regions_and_how_much_of_each_is_there() {
    let _machine = machine();
    let space = create("paging").unwrap();
    let space = space.as_dyn();
    space.add_region(region(0, 3, RegionFlags::EAGER)).unwrap();
    space
        .add_region(region(16, 8, RegionFlags::empty()))
        .unwrap();
    let touched = range(17, 1).start();
    space.exception(touched, FaultAccess::WRITE).unwrap();
    let summary = space.summary();
    assert_eq!((summary.regions, summary.mapped_pages), (2, 4));
    let text = printed(space);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].ends_with("rw-- eager anonymous: 3 x 4K"), "{text}");
    assert!(lines[1].ends_with("rw-- anonymous: 1 x 4K"), "{text}");
    space.remove_region(range(0, 3)).unwrap();
    assert_eq!(space.summary().mapped_pages, 1);
}

#[test]
fn a_region_that_is_moved_has_other_frames_and_a_protected_one_other_rights() {
    let _machine = machine();
    let space = create("paging").unwrap();
    let space = space.as_dyn();
    space.add_region(region(0, 1, RegionFlags::EAGER)).unwrap();
    let page = range(0, 1);
    let leaf = || {
        let mut last = None;
        space.walk(page.start(), &mut |_, entry| last = Some(entry));
        last.unwrap()
    };
    let before = leaf();
    space.move_region(page).unwrap();
    assert_ne!(leaf().pa(), before.pa());
    space.protect_region(page, Protection::empty()).unwrap();
    let write = space.exception(page.start(), FaultAccess::WRITE);
    assert_eq!(write, Err(FaultError::Permission));
}

#[test]
fn a_walk_reads_an_entry_of_each_level_down_to_the_page_and_ends_at_a_hole() {
    let _machine = machine();
    let space = create("paging").unwrap();
    let space = space.as_dyn();
    space.add_region(region(0, 1, RegionFlags::EAGER)).unwrap();
    let steps = |address| {
        let mut steps = Vec::new();
        space.walk(address, &mut |at, entry| {
            steps.push((at.level, entry.is_leaf(at.level)))
        });
        steps
    };
    let to_page = [(4, false), (3, false), (2, false), (1, true)];
    assert_eq!(steps(range(0, 1).start()), to_page);
    assert_eq!(steps(range(1, 1).start()).last(), Some(&(1, false)));
    let far = USER_START.as_u64() + (1 << 40);
    assert_eq!(steps(crate::addr::VirtAddr::new(far)), [(4, false)]);
    assert_eq!(steps(crate::addr::VirtAddr::new(1 << 50)), []);
}

#[test]
fn base_shows_the_memory_that_is_mapped_one_to_one() {
    let _machine = machine();
    let memory_pages: usize = hw::host::MEMORY_MAP
        .iter()
        .map(|range| (range.end.as_usize() - range.start.as_usize()) / PAGE_SIZE)
        .sum();
    let mapped = Base.summary().mapped_pages;
    // Kernel stacks come on top, page 0 is left out.
    assert!(mapped + 1 >= memory_pages, "{mapped} of {memory_pages}");
    assert!(printed(&Base).contains("x 2M"), "{}", printed(&Base));
    let mut last = None;
    let address = crate::addr::VirtAddr::new(0x40_0000);
    Base.walk(address, &mut |at, entry| {
        last = Some((at.level, entry.pa().as_u64()))
    });
    assert_eq!(last, Some((2, 0x40_0000)));
}

#[test]
fn the_last_thread_that_leaves_a_space_takes_it_down() {
    let _machine = machine();
    let before = accounts();
    let space = create("paging").unwrap();
    space
        .as_dyn()
        .add_region(region(0, 4, RegionFlags::EAGER))
        .unwrap();
    space.add_thread();
    space.add_thread();
    assert_eq!(space.as_dyn().summary().threads, 2);
    space.leave();
    assert_eq!(space.as_dyn().summary().mapped_pages, 4);
    space.leave();
    assert_eq!(space.as_dyn().summary().mapped_pages, 0);
    let after = accounts();
    assert_eq!(after.free, before.free);
}

#[test]
fn a_cpu_keeps_the_page_table_of_a_space_that_it_goes_from_to_base() {
    let _machine = machine();
    let space = create("paging").unwrap();
    let cpus = || space.as_dyn().cpus().unwrap();
    let here = smp::cpu::id_racy();
    space.switch_to(&irq::disable());
    assert!(cpus().active.contains(here) && cpus().loaded.contains(here));
    let root = hw::current_root();
    space.as_dyn().switch_from(&irq::disable());
    assert!(!cpus().active.contains(here) && cpus().loaded.contains(here));
    space.switch_to(&irq::disable());
    SpaceRef::Base.switch_to(&irq::disable());
    assert!(!cpus().active.contains(here) && cpus().loaded.contains(here));
    assert_eq!(hw::current_root(), root);
    space.as_dyn().destroy();
    assert!(cpus().loaded.is_empty());
}
