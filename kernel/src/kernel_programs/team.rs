//! The threads of a program: each a process of the kernel, bound to one CPU, in an address space that it may share.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::{Errno, ExitStatus};
use mm::aspace::SpaceRef;
use mm::space::Space;
use proc::sched;
use proc::spawn::{KernelSpace, spawn_kernel_process};
use proc::thread::Id;
use proc::wait_pid::{Which, wait_for_child};
use smp::cpu::CpuId;
use smp::cpu_set::CpuSet;

use crate::device::console::say;

/// What the members of a team have in common.
pub(super) struct Common {
    program: &'static str,
    /// How many members there are to be.
    members: usize,
    /// How many of them have met.
    arrived: AtomicUsize,
    is_over: AtomicBool,
    has_failed: AtomicBool,
}

impl Common {
    pub(super) const fn new(program: &'static str, members: usize) -> Common {
        Common {
            program,
            members,
            arrived: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Waits until all members are here, each on its CPU, or it is over. Called once by each before it begins.
    pub(super) fn meet(&self) {
        // Relaxed: a count; what the members share was there before they were started.
        self.arrived.fetch_add(1, Ordering::Relaxed);
        while self.arrived.load(Ordering::Relaxed) < self.members && !self.is_over() {
            sched::yield_now();
        }
    }

    /// Says what is wrong, if nothing was before, and ends the work.
    pub(super) fn fail(&self, what: fmt::Arguments<'_>) {
        // Relaxed, here and below: who goes on for a moment does no harm.
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            say!("{}: FAILED: {what}", self.program);
        }
        self.end();
    }

    /// Tells all to end.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Whether to end. Lets others run whose turn it is: to be called often.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || proc::file::pause_point().is_err()
    }
}

/// Threads that have been started.
pub(super) struct Team(Vec<Id>);

impl Team {
    pub(super) const fn new() -> Team {
        Team(Vec::new())
    }

    /// Starts a thread in `space` on `cpu`, which runs `work`. With the last thread of a space goes what it has: `work`
    /// does not return before all have been started.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOMEM`.
    pub(super) fn start(
        &mut self,
        name: &str,
        space: &Arc<Space>,
        cpu: CpuId,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), Errno> {
        self.0.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let space = KernelSpace::Given(SpaceRef::Paging(space.clone()));
        let on_cpu = move || {
            let bound = proc::affinity::set_affinity(&sched::current(), 0, &CpuSet::single(cpu));
            match bound {
                Ok(()) => work(),
                Err(_) => return super::FAILED,
            }
            0
        };
        let current = sched::current();
        self.0.push(spawn_kernel_process(
            name,
            current.process(),
            space,
            on_cpu,
        )?);
        Ok(())
    }

    /// Waits for all. True if each has done its work.
    pub(super) fn wait(self) -> bool {
        let current = sched::current();
        let Some(process) = current.process() else {
            return false;
        };
        let mut is_well = true;
        for id in self.0 {
            let ended = wait_for_child(process, Which::Id(id));
            is_well &= ended.is_ok_and(|ended| ended.status == ExitStatus::exited(0));
        }
        is_well
    }
}
