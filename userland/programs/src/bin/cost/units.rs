//! What single steps cost, in instructions.

use core::sync::atomic::Ordering;

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Errno, println, process};

use crate::experiment::best;
use crate::kernel_programs;

/// Of so many steps the kernel says what they cost together.
const KERNEL_STEPS: f64 = 256.0;
const CALLS: usize = 256;
const FAULTS: usize = 128;

/// The exercise's letters, and what eager forks do differently here.
#[derive(Copy, Clone, Default)]
pub(crate) struct Units {
    /// A system call that does nothing.
    pub(crate) s: f64,
    /// A page fault that only gives back the right to write.
    pub(crate) f: f64,
    /// A page of memory taken from the free ones.
    pub(crate) p: f64,
    /// A page mapped in the child's table as well, along whole tables, and its entry changed in the parent's.
    pub(crate) m: f64,
    /// The bytes of a page copied.
    pub(crate) b: f64,
    /// A page mapped in the child's table as well, as it is, by its address.
    pub(crate) m_single: f64,
    /// A mapping replaced by another.
    pub(crate) r: f64,
}

impl Units {
    /// Measures all of them.
    ///
    /// # Errors
    /// Those of `fork`, `spawn` and `page_alloc_range`; `EIO` if the kernel's program prints something else.
    pub(crate) fn measure() -> Result<Units, Errno> {
        let mut units = kernel_programs::unit_costs(|text| {
            Ok(Units {
                p: value(text, "allocate")?,
                b: value(text, "copy")?,
                m: value(text, "share")?,
                m_single: value(text, "map")?,
                r: value(text, "replace")?,
                ..Units::default()
            })
        })?;
        units.s = system_call()?;
        kernel_programs::choose("cow")?;
        units.f = fault()?;
        kernel_programs::choose("boot")?;
        Ok(units)
    }

    pub(crate) fn print(&self) {
        println!(
            "S   a system call that does nothing            {:>8.1}",
            self.s
        );
        println!(
            "F   a page fault that finds the page its own   {:>8.1}",
            self.f
        );
        println!(
            "P   a page of memory taken                     {:>8.1}",
            self.p
        );
        println!(
            "M   a page of the parent mapped in the child   {:>8.1}",
            self.m
        );
        println!(
            "B   the bytes of a page copied                 {:>8.1}",
            self.b
        );
        println!(
            "M1  as M, page by page (eager)                 {:>8.1}",
            self.m_single
        );
        println!(
            "R   a mapping replaced by another              {:>8.1}",
            self.r
        );
    }
}

/// What one step of this name costs, as the kernel's program says.
fn value(text: &str, step: &str) -> Result<f64, Errno> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(name, _)| *name == step);
    let total = found.and_then(|(_, number)| number.parse::<u32>().ok());
    Ok(f64::from(total.ok_or(Errno::EIO)?) / KERNEL_STEPS)
}

fn system_call() -> Result<f64, Errno> {
    let total = best(|| {
        let start_ns = process::clock_ns();
        for _ in 0..CALLS {
            process::getppid();
        }
        Ok(process::clock_ns() - start_ns)
    })?;
    Ok(total / CALLS as f64)
}

/// After a child has gone its parent's pages are its own again, but each only from the first write on.
fn fault() -> Result<f64, Errno> {
    let memory = Mapping::new(&MapRequest::anonymous(FAULTS * PAGE_SIZE))?;
    let touch = || {
        for word in memory.words().iter().step_by(PAGE_SIZE / size_of::<u64>()) {
            // Relaxed: only that it is written matters.
            word.store(1, Ordering::Relaxed);
        }
    };
    let total = best(|| {
        touch();
        process::wait(process::start(|| 0)?)?;
        let start_ns = process::clock_ns();
        touch();
        Ok(process::clock_ns() - start_ns)
    })?;
    Ok(total / FAULTS as f64)
}
