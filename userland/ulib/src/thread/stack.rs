//! Stacks for threads: mappings that grow down when they are touched, each with a gap before the next.

use abi::layout::PAGE_SIZE;
use abi::{Errno, GUARD_GAP_LEN, MapFlags};
use alloc::vec::Vec;

use crate::mapping::{MapRequest, map};
use crate::sync::Mutex;

/// Where stacks are: between program and heap, so that `fork` finds all of the program's memory close together.
const STACKS_START: usize = 0xffff_8080_0000_0000;
/// How far their tops are from each other.
const DISTANCE: usize = 512 * 1024;
/// How long a stack is at first.
const LEN_AT_START: usize = 4 * PAGE_SIZE;
/// How long it can become: as long as the stack of the first thread.
const LEN_MAX: usize = abi::layout::STACK_LEN_PAGES * PAGE_SIZE;

const _: () = assert!(LEN_MAX + GUARD_GAP_LEN <= DISTANCE);

/// The stack of one thread. It stays mapped, for the next one; if it is dropped, it is lost.
#[must_use]
#[derive(Debug)]
pub(super) struct Stack {
    top: usize,
}

struct Pool {
    free: Vec<Stack>,
    /// How many have been mapped.
    count: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: Vec::new(),
    count: 0,
});

impl Stack {
    /// A stack that nobody uses.
    ///
    /// # Errors
    /// Those of the system call `map`.
    pub(super) fn take() -> Result<Stack, Errno> {
        let mut pool = POOL.lock();
        if let Some(stack) = pool.free.pop() {
            return Ok(stack);
        }
        let top = STACKS_START + (pool.count + 1) * DISTANCE;
        let request = MapRequest::anonymous(LEN_AT_START)
            .at(top - LEN_AT_START)
            .flags(MapFlags::GROW_DOWN)
            .limit(LEN_MAX);
        map(&request)?;
        pool.count += 1;
        Ok(Stack { top })
    }

    /// Its end, where it begins to be used.
    pub(super) fn top(&self) -> usize {
        self.top
    }

    /// Keeps it for another thread. No thread uses it any more.
    pub(super) fn give_back(self) {
        POOL.lock().free.push(self);
    }
}

/// Calls `body` while no thread takes or gives back a stack.
pub(super) fn while_quiet<T>(body: impl FnOnce() -> T) -> T {
    let _pool = POOL.lock();
    body()
}
