//! The kernel's own map, its frames, and its access to users' memory.

use alloc::vec::Vec;

use abi::ExitStatus;
use mm::addr::{PAGE_SIZE, VirtAddr};
use mm::aspace::SpaceRef;
use mm::frame::{self, Frame, FrameKind};
use mm::kernel_map;
use mm::page_table::Perm;
use mm::space::Space;
use mm::stack;
use mm::user::UserPtr;
use proc::spawn::KernelSpace;

use super::{NotSo, demand, self_tests, status_of_child};
use crate::device::console::say;

self_tests![
    the_first_page_is_not_mapped,
    what_the_kernel_runs_cannot_be_written_and_the_rest_cannot_be_run,
    a_guard_lies_below_the_kernels_stack,
    fresh_frames_are_zero_and_nobody_elses,
    bad_addresses_of_users_are_errors,
];

fn the_first_page_is_not_mapped() -> Result<(), NotSo> {
    demand!(
        !kernel_map::is_mapped(VirtAddr::new(0)),
        "nothing at address 0"
    );
    Ok(())
}

/// What the kernel's map allows at `address`.
fn rights(address: u64) -> Perm {
    let mut perm = Perm::empty();
    kernel_map::walk(VirtAddr::new(address), &mut |at, entry| {
        if entry.is_leaf(at.level) {
            perm = entry.perm();
        }
    });
    perm
}

fn what_the_kernel_runs_cannot_be_written_and_the_rest_cannot_be_run() -> Result<(), NotSo> {
    static CONSTANT: u64 = 1;
    static VARIABLE: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(1);
    let local = 1_u64;
    let places = [
        ("code", rights as *const () as u64, Perm::empty()),
        ("constants", (&raw const CONSTANT) as u64, Perm::NO_EXECUTE),
        (
            "data",
            (&raw const VARIABLE) as u64,
            Perm::NO_EXECUTE | Perm::WRITE,
        ),
        (
            "the stack",
            (&raw const local) as u64,
            Perm::NO_EXECUTE | Perm::WRITE,
        ),
    ];
    for (what, address, expected) in places {
        let perm = rights(address);
        let found = perm & (Perm::NO_EXECUTE | Perm::WRITE | Perm::USER);
        demand!(
            perm.contains(Perm::PRESENT) && found == expected,
            "{what} at {address:#x} with {expected:?}, not {perm:?}"
        );
    }
    Ok(())
}

fn a_guard_lies_below_the_kernels_stack() -> Result<(), NotSo> {
    const MOST_PAGES: u64 = 64;
    let local = 0_u64;
    let here = (&raw const local) as u64;
    let below = (0..MOST_PAGES).map(|page| VirtAddr::new(here - page * PAGE_SIZE as u64));
    let first_hole = { below }.find(|address| !kernel_map::is_mapped(*address));
    demand!(
        first_hole.is_some_and(stack::is_guard_page),
        "a guard below {here:#x}, not at {first_hole:?}"
    );
    Ok(())
}

const FRAMES: usize = 64;
const WORD_BYTES: usize = size_of::<usize>();

/// Frames, each marked at both ends with its place in the list.
fn marked_frames() -> Result<Vec<Frame>, NotSo> {
    let mut frames = Vec::new();
    frames.try_reserve_exact(FRAMES).map_err(no_memory)?;
    for number in 0..FRAMES {
        let frame = frame::alloc_zeroed(FrameKind::Anonymous).map_err(no_memory)?;
        let mut word = [0; WORD_BYTES];
        for offset in (0..PAGE_SIZE).step_by(WORD_BYTES) {
            frame.read_bytes(offset, &mut word);
            demand!(
                word == [0; WORD_BYTES],
                "zeros at {offset:#x} of a fresh frame, not {word:x?}"
            );
        }
        frame.write_bytes(0, &number.to_ne_bytes());
        frame.write_bytes(PAGE_SIZE - WORD_BYTES, &number.to_ne_bytes());
        frames.push(frame);
    }
    Ok(frames)
}

fn fresh_frames_are_zero_and_nobody_elses() -> Result<(), NotSo> {
    // Some will come back in the second round, with the marks of the first.
    drop(marked_frames()?);
    for (number, frame) in marked_frames()?.iter().enumerate() {
        let mut word = [0; WORD_BYTES];
        for offset in [0, PAGE_SIZE - WORD_BYTES] {
            frame.read_bytes(offset, &mut word);
            let found = usize::from_ne_bytes(word);
            demand!(found == number, "mark {number} in its frame, not {found}");
        }
    }
    Ok(())
}

fn no_memory<E>(_: E) -> NotSo {
    say!("selftest: expected: memory");
    NotSo
}

/// In an empty space: a thread in `base` has the page table of whoever ran before it.
fn bad_addresses_of_users_are_errors() -> Result<(), NotSo> {
    let space = SpaceRef::Paging(Space::new().map_err(no_memory)?);
    let found = status_of_child(KernelSpace::Given(space), || {
        i32::from(use_bad_addresses().is_err())
    });
    demand!(
        found == Ok(ExitStatus::exited(0)),
        "a child that finds nothing, not {found:?}"
    );
    Ok(())
}

fn use_bad_addresses() -> Result<(), NotSo> {
    for address in [
        0,
        0x20_0000,
        0x8000_0000_0000_0000,
        0xffff_8000_0020_0000,
        0xffff_ffff_ffff_eff8,
        0xffff_ffff_ffff_fff8,
        usize::MAX,
    ] {
        let place = UserPtr::<u64>::new(address);
        demand!(place.read().is_err(), "no read at {address:#x}");
        demand!(place.write(1).is_err(), "no write at {address:#x}");
    }
    Ok(())
}
