//! Long operations have points where others run, and where a thread that has been killed stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mm::addr::{PAGE_SIZE, USER_START, UserRange};
use mm::error::SpaceError;
use mm::frame::{FrameKind, accounts};
use mm::hw::host::machine;
use mm::rw_lock::{Sleeper, set_sleeper};
use mm::space::{Protection, Region, RegionFlags, Space};

const PAGES: usize = 40;

/// Kills the thread at the point whose number is in it.
struct Killer {
    points_left: AtomicUsize,
}

static KILLER: Killer = Killer {
    points_left: AtomicUsize::new(0),
};

impl Sleeper for Killer {
    fn wait_while(&self, _: usize, is_to_wait: &dyn Fn() -> bool) {
        while is_to_wait() {
            std::hint::spin_loop();
        }
    }

    fn wake_all(&self, _: usize) {}

    fn pause(&self) -> bool {
        self.points_left.fetch_sub(1, Ordering::Relaxed) > 1
    }
}

fn pages() -> UserRange {
    // Not where a big page fits.
    let start = USER_START.as_u64() as usize + PAGE_SIZE;
    UserRange::page_aligned(start, PAGES * PAGE_SIZE).expect("in user space")
}

/// Does `operation` in an empty space, and has its thread killed at point number `point`. Whether it ended there, and
/// how many points it has come to.
fn killed_at(
    point: usize,
    operation: fn(&Arc<Space>) -> Result<(), SpaceError>,
) -> (Result<(), SpaceError>, usize) {
    KILLER.points_left.store(point, Ordering::Relaxed);
    let space = Space::new().expect("memory");
    let before = accounts().in_use(FrameKind::Anonymous);
    let result = operation(&space);
    if result.is_err() {
        assert_eq!(
            accounts().in_use(FrameKind::Anonymous),
            before,
            "what is not finished is undone"
        );
        assert!(space.mapping(pages().start()).is_none());
    }
    (result, point - KILLER.points_left.load(Ordering::Relaxed))
}

#[test]
fn a_killed_thread_fills_in_no_more_pages() {
    set_sleeper(&KILLER);
    let _machine = machine();
    let operations: [fn(&Arc<Space>) -> _; 2] = [
        |space| {
            let flags = RegionFlags::EAGER;
            space.add(Region::anonymous(pages(), Protection::WRITE, flags))
        },
        |space| space.page_alloc(pages()),
    ];
    for operation in operations {
        assert_eq!(killed_at(usize::MAX, operation), (Ok(()), PAGES));
        for point in [1, 7, PAGES] {
            let ended = (Err(SpaceError::Ending), point);
            assert_eq!(killed_at(point, operation), ended);
        }
    }
}
