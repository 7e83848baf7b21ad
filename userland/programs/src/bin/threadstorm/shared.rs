//! What all processes of the storm see: whether it lasts, and counters.

use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Errno, MapFlags};

/// What is counted.
#[derive(Copy, Clone)]
pub(crate) enum Counter {
    /// Threads that were started.
    Started,
    /// Threads that were joined.
    Joined,
    /// Processes that were forked.
    Forked,
    /// Of those, the ones that were killed.
    Killed,
    /// Workers that were killed and replaced.
    Replaced,
    /// Signals that were handled.
    Handled,
    /// Faults that a handler has repaired.
    Repaired,
    /// Mappings that were made, changed or removed.
    Mapped,
    /// Children that ended as they should not.
    Wrong,
}

const STOP: usize = 0;

pub(crate) struct Shared(Mapping);

impl Shared {
    pub(crate) fn new() -> Result<Shared, Errno> {
        Mapping::new(&MapRequest::anonymous(PAGE_SIZE).flags(MapFlags::SHARED)).map(Shared)
    }

    /// Lets the page come in.
    pub(crate) fn touch(&self) {
        self.word(STOP).store(0, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) {
        // Relaxed: nothing else goes by it.
        self.word(STOP).store(1, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.word(STOP).load(Ordering::Relaxed) != 0
    }

    pub(crate) fn count(&self, counter: Counter) {
        // Relaxed: only the sum counts.
        self.word(1 + counter as usize)
            .fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.word(1 + counter as usize).load(Ordering::Relaxed)
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.words()[index]
    }
}

impl Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "threads: {} started, {} joined; processes: {} forked, {} of them killed, {} workers replaced; \
             {} signals handled, {} faults repaired, {} mappings changed",
            self.get(Counter::Started),
            self.get(Counter::Joined),
            self.get(Counter::Forked),
            self.get(Counter::Killed),
            self.get(Counter::Replaced),
            self.get(Counter::Handled),
            self.get(Counter::Repaired),
            self.get(Counter::Mapped),
        )
    }
}
