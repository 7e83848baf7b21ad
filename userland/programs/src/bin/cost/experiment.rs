//! Forks of a process with so many pages, and writes of the parent after them.

use core::cell::RefCell;
use core::hint::black_box;

use abi::layout::PAGE_SIZE;
use ulib::mapping::protect;
use ulib::memory::Area;
use ulib::{Errno, Protection, process};

/// Of so many rounds the best counts.
const ROUNDS: usize = 5;

/// The least time of several, in nanoseconds.
///
/// # Errors
/// Those of `measure`.
pub(crate) fn best(mut measure: impl FnMut() -> Result<u64, Errno>) -> Result<f64, Errno> {
    let mut best_ns = u64::MAX;
    for _ in 0..ROUNDS {
        best_ns = best_ns.min(measure()?);
    }
    Ok(best_ns as f64)
}

/// What a fork costs this process as it is. Between the rounds `prepare` runs; `then`, which the parent does next,
/// counts too. The child, bound to the same CPU, has not run by then.
fn fork(mut prepare: impl FnMut(), mut then: impl FnMut()) -> Result<f64, Errno> {
    best(|| {
        prepare();
        let start_ns = process::clock_ns();
        let child = process::start(|| 0)?;
        then();
        let duration_ns = process::clock_ns() - start_ns;
        process::wait(child)?;
        Ok(duration_ns)
    })
}

/// What a fork costs that has nothing to copy but the program itself.
///
/// # Errors
/// Those of `fork`.
pub(crate) fn fork_alone() -> Result<f64, Errno> {
    fork(|| (), || ())
}

/// The pages that forks have to deal with.
pub(crate) struct Pages {
    area: Area,
    /// So many of them, the first ones, can be written.
    writable: usize,
}

impl Pages {
    /// Gives this process so many pages.
    ///
    /// # Errors
    /// Those of `page_alloc_range` and `protect`.
    pub(crate) fn new(writable: usize, read_only: usize) -> Result<Pages, Errno> {
        // One area, so that they need no more page-table pages than the kernel's units count.
        let mut area = Area::new();
        area.grow(writable + read_only)?;
        let start = area.words().as_ptr().addr() + writable * PAGE_SIZE;
        protect(start, read_only * PAGE_SIZE, Protection::READ)?;
        Ok(Pages { area, writable })
    }

    /// What a fork costs together with the parent's first writes into so many of the pages.
    ///
    /// # Errors
    /// Those of `fork`.
    pub(crate) fn fork_and_write(&mut self, written: usize) -> Result<f64, Errno> {
        let all = self.writable;
        let area = RefCell::new(&mut self.area);
        fork(
            || touch(&mut area.borrow_mut(), all),
            || touch(&mut area.borrow_mut(), written),
        )
    }

    /// After how many writes a fork has cost `price`; all of them, if not even that is enough. Between two numbers of
    /// writes the cost is taken to grow evenly.
    ///
    /// # Errors
    /// Those of `fork`.
    pub(crate) fn writes_that_cost(&mut self, price: f64) -> Result<f64, Errno> {
        let (mut less, mut enough) = (0, self.writable);
        while enough - less > 1 {
            let middle = less.midpoint(enough);
            match self.fork_and_write(middle)? < price {
                true => less = middle,
                false => enough = middle,
            }
        }
        let (below, above) = (self.fork_and_write(less)?, self.fork_and_write(enough)?);
        Ok(less as f64 + ((price - below) / (above - below)).clamp(0.0, 1.0))
    }
}

/// Writes into the first pages.
fn touch(area: &mut Area, pages: usize) {
    for page in 0..pages {
        black_box(area.page(page))[0] = 1;
    }
}
