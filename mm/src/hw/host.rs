//! The stand-in for tests on the host: a machine with a little memory, whose CPUs are threads.
//!
//! Physical address `pa` is byte `pa` of an arena. Each thread has a CR3 and counts the flushes of a TLB that it does
//! not have. The frame allocator is one for the whole process, so tests that use it take turns: each starts with
//! `let _machine = machine();`, and can rely on exact accounts.

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::{Layout, alloc_zeroed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::frame::{self, MemoryRange};
use crate::kernel_map::{self, KernelLayout};

/// The memory map of the machine: as on a PC, with a hole below 1 MiB and another further up.
pub const MEMORY_MAP: [MemoryRange; 3] = [
    MemoryRange::new(0, 0x9_fc00),
    MemoryRange::new(0x10_0000, 0x0400_0000),
    MemoryRange::new(0x0600_0000, 0x0800_0000),
];

/// What of it is in use from the start: a kernel and its modules, as it were.
pub const RESERVED: [MemoryRange; 1] = [MemoryRange::new(0x20_0000, 0x52_3456)];

/// The number of CPUs that have caches of frames. Threads that run at the same time should be different ones
/// (`smp::host::become_cpu`).
pub const CPUS: usize = 8;

/// Tests' own boxes and vectors come from the host's heap.
pub(crate) const USES_KERNEL_HEAP: bool = false;

/// Physical addresses aligned to a large page are so in the arena.
const ARENA_ALIGN: usize = 2 << 20;

/// The address of the arena; 0 before the machine exists.
static ARENA: AtomicUsize = AtomicUsize::new(0);
static ARENA_BYTES: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    static ROOT: Cell<PhysAddr> = const { Cell::new(PhysAddr::new(0)) };
    static FLUSHES: Cell<Flushes> = const { Cell::new(Flushes { pages: 0, all: 0 }) };
}

/// How often this thread's TLB was flushed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Flushes {
    /// Single pages.
    pub pages: usize,
    /// Everything, also by loading a root.
    pub all: usize,
}

/// The machine; nobody else has it until this is dropped.
#[derive(Debug)]
pub struct Machine {
    _turn: MutexGuard<'static, ()>,
}

/// Waits for the machine. The first caller boots it.
pub fn machine() -> Machine {
    machine_with(&MEMORY_MAP)
}

/// As [`machine`], with this memory; all tests of a process ask for the same. Only what is used of it becomes memory of
/// the host.
pub fn machine_with(memory_map: &[MemoryRange]) -> Machine {
    static TURN: Mutex<()> = Mutex::new(());
    static BOOTED: OnceLock<()> = OnceLock::new();
    // A test that failed while it had the machine has poisoned the lock, but not the machine.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    BOOTED.get_or_init(|| {
        let ends = memory_map.iter().map(|range| range.end.as_usize());
        let arena_bytes = ends.max().expect("some memory");
        let layout =
            Layout::from_size_align(arena_bytes + ARENA_ALIGN, 16).expect("a valid layout");
        // SAFETY: the size is not zero. The arena is never freed.
        let memory = unsafe { alloc_zeroed(layout) };
        assert!(!memory.is_null(), "no memory for the arena");
        // Relaxed: whoever uses the machine took the turn after this.
        ARENA_BYTES.store(arena_bytes, Ordering::Relaxed);
        ARENA.store(
            memory.expose_provenance().next_multiple_of(ARENA_ALIGN),
            Ordering::Relaxed,
        );
        // SAFETY: 1. all of the map lies in the arena; 2. nobody uses the arena yet.
        unsafe { frame::init(memory_map, &RESERVED) }.expect("memory for the frame table");
        crate::init_cpus(CPUS).expect("memory for the caches");
        // Nobody is interrupted: a thread that plays a CPU which is to answer serves its requests by itself.
        smp::mailbox::init(CPUS, |_, _| {}).expect("memory for the mailboxes");
        let layout = KernelLayout {
            levels: 4,
            has_gib_pages: true,
            memory: memory_map,
            devices: &[],
            sections: &[],
        };
        kernel_map::build(&layout).expect("memory for the kernel's map");
    });
    Machine { _turn: turn }
}

/// How often this thread's TLB was flushed so far.
pub fn flushes() -> Flushes {
    FLUSHES.get()
}

pub(super) fn phys_to_ptr(pa: PhysAddr) -> *mut u8 {
    let arena = ARENA.load(Ordering::Relaxed);
    assert!(
        arena != 0,
        "a test that uses memory starts with `let _machine = machine();`"
    );
    assert!(
        pa.as_usize() < ARENA_BYTES.load(Ordering::Relaxed),
        "{pa} is not memory of the test machine"
    );
    core::ptr::with_exposed_provenance_mut(arena + pa.as_usize())
}

pub(super) fn ptr_to_phys(ptr: *const u8) -> PhysAddr {
    PhysAddr::new((ptr.addr() - ARENA.load(Ordering::Relaxed)) as u64)
}

/// # Safety
/// As `hw::zero_page`.
pub(super) unsafe fn zero_page(page: *mut u8) {
    // SAFETY: the caller may overwrite the page.
    unsafe { page.write_bytes(0, PAGE_SIZE) };
}

pub(super) fn flush_page(_page: VirtAddr) {
    let flushes = FLUSHES.get();
    FLUSHES.set(Flushes {
        pages: flushes.pages + 1,
        ..flushes
    });
}

pub(super) fn flush_all() {
    let flushes = FLUSHES.get();
    FLUSHES.set(Flushes {
        all: flushes.all + 1,
        ..flushes
    });
}

pub(super) fn current_root() -> PhysAddr {
    ROOT.get()
}

/// # Safety
/// None is needed here; the machine's function of this name needs it.
pub(super) unsafe fn load_root(root: PhysAddr) {
    ROOT.set(root);
    flush_all();
}
