//! Per-CPU data: [`PerCpu`] is shared, [`CpuLocal`] is its CPU's own, [`PerCpuBlock`] is what GS points to.
//!
//! A table is a static that is empty until the boot CPU calls `init` with the number of possible CPUs; until then `get`
//! panics. Elements lie a cache-line pair apart, so CPUs do not disturb each other.
//!
//! A CPU gets at its own element of a table by one of the words that GS reaches:
//!
//! - **PLACE-1** `init` gives the table a place that no other table ever has, as long as there are any. In a CPU's
//!   block the word at that place is null, or the address of that CPU's element, which the CPU has put there itself at
//!   its first `get`. A table without a place is indexed.

mod block;

use alloc::alloc::{Layout, alloc};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use self::block::{NO_PLACE, PLACES};
use crossbeam_utils::CachePadded;

pub use block::{PerCpuBlock, block_of, install, offset, own_block, own_notes};

use crate::OutOfMemory;
use crate::cpu::{CpuId, MAX_CPUS};
use crate::hw;
use crate::pin::Pinned;

/// One `T` for each CPU, which every CPU may look at.
#[derive(Debug)]
pub struct PerCpu<T> {
    /// 0 until `init` has finished; published by it with Release.
    len: AtomicUsize,
    elements: AtomicPtr<CachePadded<T>>,
    /// Where each CPU's block has the address of its element (PLACE-1), or `NO_PLACE`.
    place: AtomicUsize,
}

// SAFETY: only `&T` is handed out, to any CPU; `init` moves values in from the thread that calls it.
unsafe impl<T: Send + Sync> Sync for PerCpu<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// A table that is not ready yet.
    pub const fn new() -> PerCpu<T> {
        PerCpu {
            len: AtomicUsize::new(0),
            elements: AtomicPtr::new(ptr::null_mut()),
            place: AtomicUsize::new(NO_PLACE),
        }
    }

    /// Fills the table, once, for the CPUs `0..possible_cpus`. Panics if it is called again.
    ///
    /// # Errors
    /// [`OutOfMemory`], and the table is as empty as before.
    pub fn init(
        &self,
        possible_cpus: usize,
        mut make: impl FnMut(CpuId) -> T,
    ) -> Result<(), OutOfMemory> {
        assert!(
            (1..=MAX_CPUS).contains(&possible_cpus),
            "{possible_cpus} CPUs are not possible"
        );
        let layout = Layout::array::<CachePadded<T>>(possible_cpus).map_err(|_| OutOfMemory)?;
        // SAFETY: the layout is not empty, since padding gives even an empty `T` a size and there is one at least.
        let elements = unsafe { alloc(layout) }.cast::<CachePadded<T>>();
        if elements.is_null() {
            return Err(OutOfMemory);
        }
        for index in 0..possible_cpus {
            // SAFETY: `index` is below the length that was allocated.
            unsafe {
                elements
                    .add(index)
                    .write(CachePadded::new(make(CpuId::new(index))))
            };
        }
        // Relaxed: only the winner of this exchange goes on, and `len` publishes.
        let first = self.elements.compare_exchange(
            ptr::null_mut(),
            elements,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        assert!(first.is_ok(), "a per-CPU table was initialised twice");
        // Release pairs with the Acquire in `of`: who sees the length sees the elements.
        self.len.store(possible_cpus, Ordering::Release);
        // Relaxed: a CPU that sees the place looks for its element by `of` first.
        self.place.store(next_place(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether `init` has finished.
    pub fn is_ready(&self) -> bool {
        // Relaxed: whoever goes on to use the table acquires it there.
        self.len.load(Ordering::Relaxed) != 0
    }

    /// The element of the CPU that the caller is pinned to. Panics before `init`.
    #[inline(always)]
    pub fn get(&self, pin: &Pinned) -> &T {
        // SAFETY: a place that `next_place` has given. Relaxed: see `init`.
        let element = unsafe { hw::own_element(self.place.load(Ordering::Relaxed)) };
        if element.is_null() {
            return self.get_first(pin);
        }
        // SAFETY: PLACE-1: `get_first` of this table, on this CPU, has put it there.
        unsafe { &*element.cast::<T>() }
    }

    /// As `get`, or `None` before `init`.
    #[inline(always)]
    pub fn get_if_ready(&self, pin: &Pinned) -> Option<&T> {
        // SAFETY: as in `get`. Relaxed: see `init`.
        let element = unsafe { hw::own_element(self.place.load(Ordering::Relaxed)) };
        if element.is_null() {
            return self.get_first_if_ready(pin);
        }
        // SAFETY: as in `get`.
        Some(unsafe { &*element.cast::<T>() })
    }

    #[cold]
    #[inline(never)]
    fn get_first_if_ready(&self, pin: &Pinned) -> Option<&T> {
        self.is_ready().then(|| self.get_first(pin))
    }

    /// As `get`, for the first time on this CPU.
    #[cold]
    #[inline(never)]
    fn get_first(&self, pin: &Pinned) -> &T {
        let element = self.of(pin.cpu());
        let place = self.place.load(Ordering::Relaxed);
        if place != NO_PLACE {
            block::own_block(pin).set_element(place, ptr::from_ref(element).cast_mut().cast());
        }
        element
    }

    /// The element of `cpu`. Panics before `init`, or if the table was made for fewer CPUs.
    #[inline(always)]
    pub fn of(&self, cpu: CpuId) -> &T {
        // Acquire pairs with the Release in `init`.
        let len = self.len.load(Ordering::Acquire);
        if cpu.index() >= len {
            no_element(cpu, len);
        }
        // SAFETY: `len` is not 0, so `init` has finished and `elements` points to `len` values that live as long as the
        // table.
        unsafe { &*self.elements.load(Ordering::Relaxed).add(cpu.index()) }
    }

    /// The elements of all possible CPUs, in order; none before `init`.
    pub fn iter(&self) -> impl Iterator<Item = (CpuId, &T)> {
        // Acquire pairs with the Release in `init`.
        (0..self.len.load(Ordering::Acquire))
            .map(CpuId::new)
            .map(|cpu| (cpu, self.of(cpu)))
    }
}

impl<T> Default for PerCpu<T> {
    fn default() -> PerCpu<T> {
        PerCpu::new()
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        let len = *self.len.get_mut();
        if len == 0 {
            return;
        }
        let elements = ptr::slice_from_raw_parts_mut(*self.elements.get_mut(), len);
        // SAFETY: the slice was allocated by `init` with the layout of this very slice, every element was written, and
        // nobody borrows the table any more.
        drop(unsafe { alloc::boxed::Box::from_raw(elements) });
    }
}

/// A place for one more table, if there is one left.
fn next_place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(NO_PLACE + 1);
    // Relaxed: only uniqueness counts.
    let next = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
        (next < PLACES).then_some(next + 1)
    });
    next.unwrap_or(NO_PLACE)
}

#[cold]
#[inline(never)]
fn no_element(cpu: CpuId, len: usize) -> ! {
    panic!("per-CPU table has {len} elements and none for CPU {cpu}");
}

/// One `T` for each CPU, which only that CPU touches: no atomics, no lock.
#[derive(Debug)]
pub struct CpuLocal<T> {
    slots: PerCpu<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    /// Not 0 while a `with` runs; touched by its own CPU only.
    in_use: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is touched only between `claim_own` and `release_own` of `in_use`, of which one pair is open at a
// time: on the machine because only the slot's own CPU, and on it only one thread or handler at a time, gets at the
// slot.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T: Send> CpuLocal<T> {
    /// A table that is not ready yet.
    pub const fn new() -> CpuLocal<T> {
        CpuLocal {
            slots: PerCpu::new(),
        }
    }

    /// Fills the table, once, for the CPUs `0..possible_cpus`. Panics if it is called again.
    ///
    /// # Errors
    /// As [`PerCpu::init`].
    pub fn init(
        &self,
        possible_cpus: usize,
        mut make: impl FnMut(CpuId) -> T,
    ) -> Result<(), OutOfMemory> {
        self.slots.init(possible_cpus, |cpu| Slot {
            in_use: AtomicU32::new(0),
            value: UnsafeCell::new(make(cpu)),
        })
    }

    /// Whether `init` has finished.
    pub fn is_ready(&self) -> bool {
        self.slots.is_ready()
    }

    /// Calls `use_it` with this CPU's value. Panics before `init`, and if this CPU is already inside of a `with` of the
    /// same table: a value that interrupt handlers use too wants interrupts off around it.
    #[inline(always)]
    pub fn with<U>(&self, pin: &Pinned, use_it: impl FnOnce(&mut T) -> U) -> U {
        let slot = self.slots.get(pin);
        if !hw::claim_own(&slot.in_use) {
            used_twice(pin.cpu());
        }
        let _claim = Claim(&slot.in_use);
        // SAFETY: the claim is open until `_claim` is dropped, after the borrow; see `Sync for Slot`.
        use_it(unsafe { &mut *slot.value.get() })
    }
}

impl<T: Send> Default for CpuLocal<T> {
    fn default() -> CpuLocal<T> {
        CpuLocal::new()
    }
}

struct Claim<'a>(&'a AtomicU32);

impl Drop for Claim<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        hw::release_own(self.0);
    }
}

#[cold]
#[inline(never)]
fn used_twice(cpu: CpuId) -> ! {
    panic!("CPU {cpu} uses a value of its own inside of a use of it");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::{CpuLocal, PerCpu};
    use crate::pin::pin;
    use crate::{CpuId, host};

    #[test]
    fn each_cpu_gets_its_own_element_and_may_look_at_the_others() {
        let squares = PerCpu::<usize>::new();
        squares.init(4, |cpu| cpu.index() * cpu.index()).unwrap();
        host::become_cpu(CpuId::new(3));
        assert_eq!(*squares.get(&pin()), 9);
        assert_eq!(*squares.of(CpuId::new(2)), 4);
        assert_eq!(
            squares.iter().map(|(_, square)| *square).sum::<usize>(),
            1 + 4 + 9
        );
    }

    #[test]
    #[should_panic(expected = "0 elements and none for CPU 0")]
    fn a_table_that_is_not_ready_panics() {
        PerCpu::<u32>::new().get(&pin());
    }

    #[test]
    #[should_panic(expected = "2 elements and none for CPU 2")]
    fn a_cpu_beyond_the_table_panics() {
        let table = PerCpu::<u32>::new();
        table.init(2, |_| 0).unwrap();
        table.of(CpuId::new(2));
    }

    #[test]
    #[should_panic(expected = "initialised twice")]
    fn a_table_is_initialised_once() {
        let table = PerCpu::<u32>::new();
        table.init(1, |_| 0).unwrap();
        let _ = table.init(1, |_| 0);
    }

    #[test]
    fn elements_are_dropped_with_their_table() {
        let counted = Arc::new(());
        let table = PerCpu::<Arc<()>>::new();
        table.init(3, |_| counted.clone()).unwrap();
        assert_eq!(Arc::strong_count(&counted), 4);
        drop(table);
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    #[should_panic(expected = "inside of a use")]
    fn a_cpus_own_value_cannot_be_used_inside_of_its_use() {
        let own = CpuLocal::<u32>::new();
        own.init(1, |_| 0).unwrap();
        own.with(&pin(), |_| own.with(&pin(), |_| ()));
    }

    #[test]
    #[should_panic(expected = "inside of a use")]
    fn an_interrupt_inside_of_a_use_cannot_use_the_value() {
        let own: &'static CpuLocal<u32> = std::boxed::Box::leak(std::boxed::Box::default());
        own.init(1, |_| 0).unwrap();
        host::on_interrupt(|| own.with(&pin(), |value| *value += 1));
        own.with(&pin(), |_| host::poll_interrupt());
    }

    #[test]
    fn threads_that_play_one_cpu_take_turns() {
        let own = CpuLocal::<u32>::new();
        own.init(1, |_| 0).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| own.with(&pin(), |value| *value += 1)));
            }
        });
        assert_eq!(own.with(&pin(), |value| *value), 4000);
    }
}
