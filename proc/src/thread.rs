//! A thread: an entry of the process table that runs.

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::{ExitStatus, Outcome};
use mm::NoMemory;
use mm::aspace::SpaceRef;
use smp::cpu::CpuId;
use smp::cpu_set::{AtomicCpuSet, CpuSet};
use smp::fiber::{Fiber, HasFiber, UserState};
use smp::list::{Link, Linked};
use smp::lock::SpinLock;
use smp::rank;

use crate::attention::Attention;
use crate::parking::Parking;
use crate::process::Process;
use crate::registers::UserRegisters;
use crate::sched;
use crate::signal::{Context, SignalState};
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The id of an entry of the process table. A process has the id of its first thread.
pub type Id = abi::Pid;

/// What a thread does when it first runs.
pub enum Start {
    /// Goes to user mode with these registers.
    User(UserRegisters),
    /// Runs a function of the kernel, whose result is the thread's exit status.
    Kernel(KernelFunction),
}

/// What a thread of the kernel does.
pub type KernelFunction = Box<dyn FnOnce() -> i32 + Send>;

/// What a new thread is given.
pub(crate) struct Beginning<'a> {
    pub(crate) start: Start,
    /// None for a thread that never goes to user mode.
    pub(crate) user: Option<UserState>,
    pub(crate) signals: SignalState,
    pub(crate) affinity: &'a CpuSet,
}

impl<'a> Beginning<'a> {
    /// For a thread that is no copy of another one.
    pub(crate) fn new(
        start: Start,
        user: Option<UserState>,
        affinity: &'a CpuSet,
    ) -> Beginning<'a> {
        Beginning {
            start,
            user,
            signals: SignalState::new(),
            affinity,
        }
    }
}

/// A thread. An idle loop is one too, with id 0 and no process, and is in no table.
pub struct Thread {
    id: Id,
    process: Option<Arc<Process>>,
    fiber: Fiber,
    /// Taken by the thread itself when it first runs.
    start: SpinLock<Option<Start>, rank::ThreadStart>,
    pub(crate) parking: Parking,
    /// What others want of the thread. It looks before each return to user mode.
    pub attention: Attention,
    /// What it goes back to from a signal handler. Used by the thread itself only.
    pub(crate) signal_context: SpinLock<Option<Box<Context>>, rank::SignalContext>,
    /// What it gave to `exit_thread`.
    value: AtomicUsize,
    /// The CPU that runs the thread or ran it last. Written by that CPU.
    cpu: AtomicU32,
    affinity: AtomicCpuSet,
    user_ns: AtomicU64,
    kernel_ns: AtomicU64,
    run_link: Link<Thread>,
    wait_link: Link<Thread>,
    sleep_link: Link<Thread>,
    process_link: Link<Thread>,
    futex_link: Link<Thread>,
    /// For which word of memory it waits. Changed while it is in no list of such threads.
    futex_key: [AtomicU64; 2],
    /// Until when it sleeps. Changed while it is in no list of sleepers.
    wake_at_ns: AtomicU64,
}

/// Number of [`Thread`]'s link for run queues.
pub const RUN_LINK: usize = 0;
/// Number of [`Thread`]'s link for wait queues.
pub const WAIT_LINK: usize = 1;
/// Number of [`Thread`]'s link for lists of sleepers.
pub(crate) const SLEEP_LINK: usize = 2;

/// Number of [`Thread`]'s link for the lists of its process.
pub(crate) const PROCESS_LINK: usize = 3;
/// Number of [`Thread`]'s link for the lists of those that wait for words of memory.
pub(crate) const FUTEX_LINK: usize = 4;

impl Linked<PROCESS_LINK> for Thread {
    fn link(&self) -> &Link<Thread> {
        &self.process_link
    }
}

impl Linked<FUTEX_LINK> for Thread {
    fn link(&self) -> &Link<Thread> {
        &self.futex_link
    }
}

impl Linked<SLEEP_LINK> for Thread {
    fn link(&self) -> &Link<Thread> {
        &self.sleep_link
    }
}

impl Linked<RUN_LINK> for Thread {
    fn link(&self) -> &Link<Thread> {
        &self.run_link
    }
}

impl Linked<WAIT_LINK> for Thread {
    fn link(&self) -> &Link<Thread> {
        &self.wait_link
    }
}

impl HasFiber for Thread {
    fn fiber(&self) -> &Fiber {
        &self.fiber
    }
}

impl Thread {
    /// A new thread of `process`, not yet in the process table nor in a run queue.
    ///
    /// # Errors
    /// [`NoMemory`] if there is none for its kernel stack or for itself.
    pub(crate) fn new(
        id: Id,
        process: Arc<Process>,
        beginning: Beginning<'_>,
    ) -> Result<Arc<Thread>, NoMemory> {
        let stack = mm::stack::KernelStack::new()?;
        let fiber = Fiber::new(stack, sched::thread_main, 0, beginning.user);
        let mut thread = Thread::with_fiber(id, Some(process), fiber, beginning.affinity);
        thread.start = SpinLock::new(Some(beginning.start));
        thread.attention = beginning.signals.attention;
        thread.signal_context = SpinLock::new(beginning.signals.context);
        mm::heap::try_arc(thread)
    }

    /// The idle loop of `cpu`, whose fiber is the stack on which that CPU was started.
    pub(crate) fn idle(cpu: CpuId) -> Result<Arc<Thread>, NoMemory> {
        let idle = mm::heap::try_arc(Thread::with_fiber(
            0,
            None,
            Fiber::idle(),
            &CpuSet::single(cpu),
        ))?;
        idle.set_cpu(cpu);
        idle.space().add_thread();
        Ok(idle)
    }

    /// A thread of `process` that has no stack and cannot run, for tests of everything else.
    #[cfg(test)]
    pub(crate) fn without_stack(id: Id, process: Arc<Process>) -> Arc<Thread> {
        let here = CpuSet::single(smp::cpu::id_racy());
        Arc::new(Thread::with_fiber(id, Some(process), Fiber::idle(), &here))
    }

    #[inline(always)]
    fn with_fiber(
        id: Id,
        process: Option<Arc<Process>>,
        fiber: Fiber,
        affinity: &CpuSet,
    ) -> Thread {
        let thread = Thread {
            id,
            process,
            fiber,
            start: SpinLock::new(None),
            parking: Parking::new(),
            attention: Attention::new(),
            signal_context: SpinLock::new(None),
            value: AtomicUsize::new(0),
            cpu: AtomicU32::new(smp::cpu::id_racy().index() as u32),
            affinity: AtomicCpuSet::new(),
            user_ns: AtomicU64::new(0),
            kernel_ns: AtomicU64::new(0),
            run_link: Link::new(),
            wait_link: Link::new(),
            sleep_link: Link::new(),
            process_link: Link::new(),
            futex_link: Link::new(),
            futex_key: [0; 2].map(AtomicU64::new),
            wake_at_ns: AtomicU64::new(0),
        };
        thread.affinity.store(affinity);
        thread
    }

    /// Its id in the process table.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The process whose memory and files it uses; none for an idle loop.
    pub fn process(&self) -> Option<&Arc<Process>> {
        self.process.as_ref()
    }

    /// The address space that it is in.
    #[inline]
    pub fn space(&self) -> &SpaceRef {
        match &self.process {
            Some(process) => process.any_space(),
            None => &SpaceRef::Base,
        }
    }

    /// Whether this is the idle loop of a CPU.
    pub(crate) fn is_idle(&self) -> bool {
        self.process.is_none()
    }

    pub(crate) fn take_start(&self) -> Option<Start> {
        self.start.lock().take()
    }

    /// Whether somebody wants something of the thread before it goes back to user mode.
    #[inline]
    pub fn needs_attention(&self) -> bool {
        self.attention.is_wanted()
    }

    /// Whether the thread is to end instead of going back to user mode.
    pub fn is_dying(&self) -> bool {
        self.attention.is_dying()
    }

    /// Whether waits in the kernel are over: the thread is to end or to take a signal.
    pub fn is_interrupted(&self) -> bool {
        self.attention.is_interrupted()
    }

    /// What it has in user mode besides its general registers; none if it never goes there.
    pub fn user(&self) -> Option<&UserState> {
        self.fiber.user()
    }

    /// What it gave to `exit_thread`.
    pub(crate) fn value(&self) -> usize {
        // Relaxed: who asks has found the thread ended, in a list with a lock.
        self.value.load(Ordering::Relaxed)
    }

    pub(crate) fn set_value(&self, value: usize) {
        // Relaxed: see `value`.
        self.value.store(value, Ordering::Relaxed);
    }

    /// For which word of memory the thread waits.
    pub(crate) fn futex_key(&self) -> [u64; 2] {
        // Relaxed: the lock of the list that the thread is in orders it.
        self.futex_key
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed))
    }

    pub(crate) fn set_futex_key(&self, key: [u64; 2]) {
        for (word, value) in self.futex_key.iter().zip(key) {
            // Relaxed: see `futex_key`.
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Until when the thread sleeps, for the order of sleepers.
    pub(crate) fn wake_at_ns(&self) -> u64 {
        // Relaxed: the lock of the list that the thread is in orders it.
        self.wake_at_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn set_wake_at_ns(&self, deadline_ns: u64) {
        // Relaxed: see `wake_at_ns`.
        self.wake_at_ns.store(deadline_ns, Ordering::Relaxed);
    }

    /// The CPU that runs the thread or ran it last; stale at once.
    pub fn cpu_racy(&self) -> CpuId {
        // Relaxed: a hint for placement and display.
        CpuId::new(self.cpu.load(Ordering::Relaxed) as usize)
    }

    /// Whether `cpu` runs the thread or ran it last; stale at once, unless the caller runs on `cpu`.
    #[inline]
    pub(crate) fn was_last_on(&self, cpu: CpuId) -> bool {
        // Relaxed: see `cpu_racy`.
        self.cpu.load(Ordering::Relaxed) == cpu.index() as u32
    }

    pub(crate) fn set_cpu(&self, cpu: CpuId) {
        self.cpu.store(cpu.index() as u32, Ordering::Relaxed);
    }

    /// The CPUs that the thread may run on.
    pub fn affinity(&self) -> CpuSet {
        self.affinity.load()
    }

    pub(crate) fn set_affinity(&self, set: &CpuSet) {
        self.affinity.store(set);
    }

    pub(crate) fn may_run_on(&self, cpu: CpuId) -> bool {
        self.affinity.contains(cpu)
    }

    /// Processor time in user mode and in the kernel, in nanoseconds, sampled at timer ticks.
    pub fn times_ns(&self) -> (u64, u64) {
        // Relaxed: statistics.
        (
            self.user_ns.load(Ordering::Relaxed),
            self.kernel_ns.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn charge(&self, in_user_mode: bool, time_ns: u64) {
        let counter = if in_user_mode {
            &self.user_ns
        } else {
            &self.kernel_ns
        };
        // Relaxed: statistics, written by the CPU that runs the thread only.
        counter.fetch_add(time_ns, Ordering::Relaxed);
    }
}

impl Thread {
    /// What the thread does, for display; stale at once.
    pub fn state_racy(&self) -> &'static str {
        match () {
            () if self.is_dying() => self.end_racy(),
            () if self.parking.is_parked_racy() => "blocked",
            () if self.is_running_racy() => "running",
            () => "runnable",
        }
    }

    /// How far a thread that ends has got: its process is broken, it is about to go, or it waits to be joined.
    fn end_racy(&self) -> &'static str {
        let Some(process) = &self.process else {
            return "";
        };
        let life = process.life.lock();
        match life.status().map(ExitStatus::outcome) {
            _ if !life.running().contains(self) => "exited",
            Some(Outcome::Killed(_)) => "broken",
            _ => "ending",
        }
    }

    /// Whether a CPU runs it; stale at once.
    pub fn is_running_racy(&self) -> bool {
        !self.fiber.is_suspended()
    }
}
