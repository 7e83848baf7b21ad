//! Mapping memory, and changing what is mapped.

use abi::layout::PAGE_SIZE;
use abi::{MapFlags, OpenFlags, Protection, Sysno};
use ulib::failures::{Plan, disarm};
use ulib::file::File;
use ulib::mapping::{MapRequest, map, mapping, protect, unmap};
use ulib::{Errno, memory};

use crate::sweep::{Attempt, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("page_alloc_range", page_alloc_range, page_free_all),
    Operation::new("page_free of the middle", page_free_middle, |_| {}),
    Operation::new("map lazy", map_lazy, unmap_some),
    Operation::new("map eager", map_eager, unmap_some),
    Operation::new("map eager, big pages", map_big, unmap_big),
    Operation::new("map a file", map_file, unmap_some),
    Operation::new("map a file, shared", map_file_shared, unmap_some),
    Operation::new("map shared memory", map_shared, unmap_some),
    Operation::new("protect of the middle", protect_middle, |_| {}),
    Operation::new("protect of every other page", protect_many, |_| {}),
    Operation::new("protect in a big page", protect_in_big, |_| {}),
    Operation::new("unmap of the middle", unmap_middle, |_| {}),
    Operation::new("unmap in a big page", unmap_in_big, |_| {}),
    Operation::new("move", move_pages, |_| {}),
];

/// Up to a boundary of page tables of level 1, and beyond.
const PLACE: usize = 0xffff_a000_0020_0000 - 4 * PAGE_SIZE;
const LEN: usize = 8 * PAGE_SIZE;
const BIG_LEN: usize = 4 << 20;

fn page_alloc_range(plan: Plan) -> Attempt {
    // SAFETY: nothing else is there.
    unsafe {
        Attempt::call(
            plan,
            Sysno::PageAllocRange,
            [PLACE, LEN / PAGE_SIZE, 0, 0, 0, 0],
        )
    }
}

fn page_free_all(_: usize) {
    // SAFETY: nothing uses it.
    let _ = unsafe { memory::page_free(PLACE, LEN / PAGE_SIZE) };
}

fn page_free_middle(plan: Plan) -> Attempt {
    Attempt::in_child(|| {
        // SAFETY: nothing else is there.
        unsafe { memory::page_alloc_range(PLACE, LEN / PAGE_SIZE) }?;
        change(
            plan,
            Sysno::PageFree,
            PLACE,
            [PLACE + 3 * PAGE_SIZE, 1, 0, 0, 0, 0],
        )
    })
}

fn call_map(plan: Plan, request: &MapRequest) -> Attempt {
    let arguments = [
        request.address,
        request.len,
        request.protection.bits() as usize,
        request.flags.bits() as usize,
        request.fd as usize,
        request.offset as usize,
    ];
    // SAFETY: nothing that is there is replaced.
    unsafe { Attempt::call(plan, Sysno::Map, arguments) }
}

fn map_lazy(plan: Plan) -> Attempt {
    call_map(plan, &MapRequest::anonymous(LEN))
}

fn map_eager(plan: Plan) -> Attempt {
    let request = MapRequest::anonymous(LEN).at(PLACE);
    call_map(plan, &request.flags(MapFlags::EAGER))
}

fn map_big(plan: Plan) -> Attempt {
    call_map(plan, &MapRequest::anonymous(BIG_LEN).flags(MapFlags::EAGER))
}

fn map_file(plan: Plan) -> Attempt {
    map_a_file(plan, MapFlags::EAGER)
}

fn map_file_shared(plan: Plan) -> Attempt {
    map_a_file(plan, MapFlags::EAGER.union(MapFlags::SHARED))
}

fn map_a_file(plan: Plan, flags: MapFlags) -> Attempt {
    match File::open("nop", OpenFlags::READ) {
        Ok(file) => {
            let request = MapRequest::file(&file, 0, LEN).protection(Protection::READ);
            call_map(plan, &request.flags(flags))
        }
        Err(errno) => Attempt::not_begun(errno),
    }
}

fn map_shared(plan: Plan) -> Attempt {
    let flags = MapFlags::SHARED.union(MapFlags::EAGER);
    call_map(plan, &MapRequest::anonymous(LEN).flags(flags))
}

fn unmap_some(address: usize) {
    // SAFETY: nothing uses it.
    let _ = unsafe { unmap(address, LEN) };
}

fn unmap_big(address: usize) {
    // SAFETY: nothing uses it.
    let _ = unsafe { unmap(address, BIG_LEN) };
}

/// Has a call change what is mapped at `start`. If it fails that has to be as it was.
fn change(plan: Plan, call: Sysno, start: usize, arguments: [usize; 6]) -> Result<(), Errno> {
    let before = mapping(start);
    // SAFETY: nothing uses it.
    let result = unsafe { plan.call(call, arguments) }.0;
    match result {
        Err(_) if mapping(start) != before => Err(Errno::EIO),
        result => result.map(drop),
    }
}

/// A child maps memory, and has a call change it.
fn change_in_child(
    plan: Plan,
    len: usize,
    call: Sysno,
    arguments: fn(usize) -> [usize; 6],
) -> Attempt {
    Attempt::in_child(|| {
        let start = map(&MapRequest::anonymous(len).flags(MapFlags::EAGER))?;
        change(plan, call, start, arguments(start))
    })
}

fn read_only_middle(start: usize) -> [usize; 6] {
    let rights = Protection::READ.bits() as usize;
    [start + 3 * PAGE_SIZE, 2 * PAGE_SIZE, rights, 0, 0, 0]
}

fn protect_middle(plan: Plan) -> Attempt {
    change_in_child(plan, LEN, Sysno::Protect, read_only_middle)
}

/// So many regions that their list has to grow.
fn protect_many(plan: Plan) -> Attempt {
    const PAGES: usize = 64;
    Attempt::in_child(|| {
        let start = map(&MapRequest::anonymous(PAGES * PAGE_SIZE))?;
        plan.arm()?;
        let pages = (1..PAGES).step_by(2).map(|page| start + page * PAGE_SIZE);
        let result = pages
            .map(|page| protect(page, PAGE_SIZE, Protection::READ))
            .find(Result::is_err);
        disarm()?;
        result.unwrap_or(Ok(()))
    })
}

fn protect_in_big(plan: Plan) -> Attempt {
    change_in_child(plan, BIG_LEN, Sysno::Protect, read_only_middle)
}

fn unmap_middle(plan: Plan) -> Attempt {
    change_in_child(plan, LEN, Sysno::Unmap, |start| {
        [start + 3 * PAGE_SIZE, 2 * PAGE_SIZE, 0, 0, 0, 0]
    })
}

fn unmap_in_big(plan: Plan) -> Attempt {
    change_in_child(plan, BIG_LEN, Sysno::Unmap, |start| {
        [start + 3 * PAGE_SIZE, 2 * PAGE_SIZE, 0, 0, 0, 0]
    })
}

fn move_pages(plan: Plan) -> Attempt {
    change_in_child(plan, LEN, Sysno::Move, |start| [start, LEN, 0, 0, 0, 0])
}
