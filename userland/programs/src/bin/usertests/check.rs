//! What many tests need.

use abi::layout::PAGE_SIZE;
use ulib::memory::Area;
use ulib::{Errno, ExitStatus, Pid, process};

/// An address in user space at which nothing is mapped, nor around it.
pub(crate) const UNMAPPED: usize = 0xffff_c000_0000_0000;
/// An address in the kernel's text.
pub(crate) const KERNEL_TEXT: usize = 0x20_0000;
/// An address that the processor refuses whatever the page tables say.
pub(crate) const NOT_CANONICAL: usize = 0x8000_0000_0000_0000;
/// The last page, which is never mapped.
pub(crate) const LAST_PAGE: usize = 0xffff_ffff_ffff_f000;
/// Where tests put memory of their own.
pub(crate) const AREA_START: usize = 0xffff_a000_0000_0000;

/// The result, or the end of the test.
#[track_caller]
pub(crate) fn ok<T>(result: Result<T, Errno>) -> T {
    match result {
        Ok(value) => value,
        Err(errno) => panic!("failed with {errno:?}"),
    }
}

/// Starts a child that runs `body` and exits with 0 if it returns.
#[track_caller]
pub(crate) fn start(body: impl FnOnce()) -> Pid {
    ok(process::start(|| {
        body();
        0
    }))
}

/// Starts a child that does nothing but run, without a system call.
#[track_caller]
pub(crate) fn start_spinner() -> Pid {
    start(|| {
        loop {
            core::hint::spin_loop();
        }
    })
}

/// Waits for a child that must exit with 0.
#[track_caller]
pub(crate) fn join(child: Pid) {
    let status = ok(process::wait(child));
    assert!(status == ExitStatus::exited(0), "child {child}: {status}");
}

/// Runs `body` in a child and returns how that ended.
#[track_caller]
pub(crate) fn status_of(body: impl FnOnce() -> i32) -> ExitStatus {
    ok(process::start(body).and_then(process::wait))
}

/// Whether a child shares the page at `memory` until one of the two writes it, which it does unless the boot line says
/// `fork=eager` or `fork=naive`.
#[track_caller]
pub(crate) fn do_forks_share(memory: usize) -> bool {
    let status = status_of(|| {
        let page = ok(ulib::mapping::mapping(memory)).page();
        i32::from(page.contains(ulib::PageState::SHARED))
    });
    assert!([0, 1].map(ExitStatus::exited).contains(&status), "{status}");
    status == ExitStatus::exited(1)
}

/// Kills a child and waits for it.
#[track_caller]
pub(crate) fn kill(child: Pid) {
    ok(process::kill(child, ulib::Signal::SIGKILL));
    let status = ok(process::wait(child));
    assert!(
        status == ExitStatus::killed(ulib::Signal::SIGKILL),
        "child {child}: {status}"
    );
}

/// The word at `address`.
pub(crate) fn peek(address: usize) -> u64 {
    // SAFETY: the tests look at memory that they have mapped for words, or at what is no memory and ends the process.
    unsafe { core::ptr::with_exposed_provenance::<u64>(address).read_volatile() }
}

/// Stores a word at `address`.
pub(crate) fn poke(address: usize, value: u64) {
    // SAFETY: as for `peek`.
    unsafe { core::ptr::with_exposed_provenance_mut::<u64>(address).write_volatile(value) };
}

/// Stores `first` into the first word of the page at `address`, `first + 1` into that of the next, and so on.
pub(crate) fn mark_pages(address: usize, len_pages: usize, first: u64) {
    for (page, value) in (0..len_pages).zip(first..) {
        poke(address + page * PAGE_SIZE, value);
    }
}

/// Checks what [`mark_pages`] has stored.
#[track_caller]
pub(crate) fn expect_marks(address: usize, len_pages: usize, first: u64) {
    for (page, value) in (0..len_pages).zip(first..) {
        let found = peek(address + page * PAGE_SIZE);
        assert!(found == value, "page {page} has {found} instead of {value}");
    }
}

/// An access that nobody is allowed, tried in a child.
#[track_caller]
pub(crate) fn expect_fatal(what: &str, access: impl FnOnce()) {
    let status = status_of(|| {
        access();
        0
    });
    let expected = ExitStatus::killed(ulib::Signal::SIGSEGV);
    assert!(status == expected, "{what}: {status}");
}

/// Ranges in which nobody can have memory: address and length.
pub(crate) const BAD_RANGES: [(usize, usize); 15] = [
    (AREA_START + 1, PAGE_SIZE),
    (AREA_START + PAGE_SIZE / 2, PAGE_SIZE),
    (AREA_START, PAGE_SIZE - 1),
    (AREA_START, PAGE_SIZE + 8),
    (AREA_START, 0),
    (AREA_START, usize::MAX),
    (AREA_START, 0x0000_6000_0000_0000),
    (AREA_START, usize::MAX & !(PAGE_SIZE - 1)),
    (PAGE_SIZE, PAGE_SIZE),
    (KERNEL_TEXT, PAGE_SIZE),
    (NOT_CANONICAL, PAGE_SIZE),
    (0x7fff_ffff_f000, 2 * PAGE_SIZE),
    (LAST_PAGE, PAGE_SIZE),
    (LAST_PAGE - PAGE_SIZE, 2 * PAGE_SIZE),
    (usize::MAX & !(PAGE_SIZE - 1), PAGE_SIZE),
];

/// One mapped page, with nothing mapped around it.
#[track_caller]
pub(crate) fn lonely_page() -> Area {
    let mut area = area();
    ok(area.grow(1));
    area
}

/// An area at [`AREA_START`]. Each test has its own process, and makes one only.
pub(crate) fn area() -> Area {
    // SAFETY: nothing else is put there, see above.
    unsafe { Area::at(AREA_START) }
}

/// The address just behind [`lonely_page`].
pub(crate) const LONELY_PAGE_END: usize = AREA_START + PAGE_SIZE;
