//! The scheduler: which thread runs on which CPU.
//!
//! Each CPU has a run queue of its own and takes threads from its front. The kernel is not preempted: a thread loses
//! its CPU only where it asks for it ([`yield_now`], `block`, the end of the thread), which includes the way back to
//! user mode after a timer tick. A woken thread goes to the CPU that it ran on last or to an idle one (`place`); idle
//! CPUs steal, and busy ones pull from longer queues now and then (`balance`).
//!
//! Interrupt handlers only leave notes ([`pending`]); a thread, or the idle loop, acts on them. So no lock in here is
//! ever taken by an interrupt handler.
//!
//! A switch has two halves. The first (`switch_away`) picks the next thread and changes stacks. The second
//! (`finish_switch`) runs on the next thread's stack, and only there is the previous one marked as sleeping, buried,
//! or put into another CPU's run queue: before that its stack is in use.
//!
//! - **RUN-1** a thread is in at most one of: a run queue, a CPU, a sleep ([`crate::parking`]). Who takes it out of one
//!   puts it into the next.
//! - **RUN-2** the exception is a thread that yields: it gets into its own CPU's queue in the step in which the next
//!   one is taken out, and its stack is in use until the switch is over. Its CPU takes nothing out before that, and no
//!   other one takes a thread that is not suspended.
//!
//! How a CPU falls asleep without missing a thread: [`idle_cpus`].

mod balance;
mod idle;
pub mod idle_cpus;
pub mod load;
pub mod pending;
mod place;
pub mod run_queue;
pub mod shake;
pub mod tick;
#[cfg(not(all(test, loom)))]
mod waiter;

use alloc::sync::Arc;

use abi::ExitStatus;
use mm::NoMemory;
use smp::fiber::Running;
use smp::irq::{self, IrqOff};
use smp::percpu::PerCpu;
use spin::Once;

use self::load::{HaltedTime, LastTick};
use self::run_queue::RunQueue;
use crate::exit;
use crate::parking::Finish;
use crate::registers::UserRegisters;
use crate::thread::{Id, Start, Thread};

pub use self::idle::run_idle_loop;

/// What the scheduler keeps of one CPU.
struct Cpu {
    queue: RunQueue,
    halted: HaltedTime,
    last_tick: LastTick,
}

static CPUS: PerCpu<Cpu> = PerCpu::new();
static RUNNING: Running<Thread> = Running::new();
static RUN_USER: Once<fn(&Thread, UserRegisters)> = Once::new();

/// Why a thread gives up its CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Leave {
    /// It is in a run queue already (RUN-2), or is an idle loop: nothing is to be done.
    Yield,
    /// It may not run here any more, and wants to go on elsewhere.
    Move,
    /// It sleeps, as announced by its [`crate::parking::Parking`].
    Block,
    /// It has ended.
    Exit,
}

impl Leave {
    fn from_message(message: usize) -> Leave {
        match message {
            0 => Leave::Yield,
            1 => Leave::Move,
            2 => Leave::Block,
            _ => Leave::Exit,
        }
    }
}

/// Makes the scheduler, at boot. `run_user` runs a user thread until it has to end.
///
/// # Errors
/// [`NoMemory`] if the machine is too small for this many CPUs.
pub(crate) fn init(
    possible_cpus: usize,
    run_user: fn(&Thread, UserRegisters),
) -> Result<(), NoMemory> {
    RUN_USER.call_once(|| run_user);
    let new_cpu = |_| Cpu {
        queue: RunQueue::new(),
        halted: HaltedTime::new(),
        last_tick: LastTick::new(),
    };
    tick::init(possible_cpus)?;
    CPUS.init(possible_cpus, new_cpu).map_err(|_| NoMemory)?;
    RUNNING.init(possible_cpus).map_err(|_| NoMemory)
}

/// The thread that calls this.
pub fn current() -> Arc<Thread> {
    RUNNING.current()
}

/// The id of the thread that calls this; 0 for an idle loop, and before there is one.
pub(crate) fn current_id() -> Id {
    if RUNNING.has_current() {
        RUNNING.with_current(Thread::id)
    } else {
        0
    }
}

/// Gives the other threads of this CPU their turn. Returns at once if there are none. Interrupts are on.
pub fn yield_now() {
    smp::pin::assert_may_switch();
    let off = irq::disable_from_enabled();
    let cpu = CPUS.get(&off);
    if cpu.queue.len_racy() == 0 {
        return;
    }
    let current = RUNNING.current();
    debug_assert!(!current.is_idle(), "an idle loop is in no run queue");
    if current.attention.is_asked_to_move() {
        drop((current, off));
        return switch_away(Leave::Move);
    }
    if let Some(next) = cpu.queue.exchange(current) {
        switch_to(next, Leave::Yield, off);
    }
}

/// Sleeps until somebody wakes the thread, which has announced it to its `parking`.
pub(crate) fn block() {
    switch_away(Leave::Block);
}

/// As `leave_forbidden_cpu`, if another thread has changed the affinity of `current`.
#[inline]
pub fn move_if_asked(current: &Thread) {
    if current.attention.is_asked_to_move() {
        leave_forbidden_cpu(current);
    }
}

/// Moves the thread that calls this, `current`, to a CPU that its affinity allows, if it is not on one.
pub(crate) fn leave_forbidden_cpu(current: &Thread) {
    current.attention.clear_ask_to_move();
    if !current.may_run_on(smp::cpu::id_racy()) {
        switch_away(Leave::Move);
    }
}

/// Ends the thread that calls this. Nothing on its stack is dropped: the caller owns nothing any more.
fn exit() -> ! {
    switch_away(Leave::Exit);
    unreachable!("a thread that has ended runs again")
}

/// Gives the CPU to the next thread, or to the idle loop if there is none. Interrupts are on.
fn switch_away(leave: Leave) {
    smp::pin::assert_may_switch();
    let off = irq::disable_from_enabled();
    let cpu = CPUS.get(&off);
    let next = cpu.queue.pop().unwrap_or_else(|| RUNNING.idle(&off));
    switch_to(next, leave, off);
}

/// Changes to `next`. Returns when the calling thread runs again, perhaps on another CPU.
#[inline(always)]
fn switch_to(next: Arc<Thread>, leave: Leave, off: IrqOff) {
    next.set_cpu(off.cpu());
    next.space().switch_to(&off);
    let (previous, leave) = RUNNING.switch_to(next, leave as usize, &off);
    finish_switch(previous, leave, off);
}

/// The second half of a switch, on the stack of the thread that was switched to: decides what becomes of `previous`, by
/// the [`Leave`] that it gave as its message.
#[inline(always)]
fn finish_switch(previous: Arc<Thread>, leave: usize, off: IrqOff) {
    drop(off);
    match Leave::from_message(leave) {
        Leave::Yield => drop(previous),
        Leave::Block => finish_sleep(previous),
        Leave::Move => place::requeue(previous),
        Leave::Exit => exit::bury(previous),
    }
}

fn finish_sleep(thread: Arc<Thread>) {
    match thread.parking.finish() {
        Finish::Parked => drop(thread),
        Finish::AlreadyWoken => place::enqueue(thread),
    }
}

/// Where every new thread begins, on its own stack, with interrupts off.
pub(crate) extern "C" fn thread_main(_argument: usize) -> ! {
    let (previous, leave, off) = RUNNING.begin();
    finish_switch(previous, leave, off);
    RUNNING.with_current(|thread| {
        match thread.take_start() {
            Some(Start::User(registers)) => {
                if let Some(run_user) = RUN_USER.get() {
                    run_user(thread, registers);
                }
            }
            Some(Start::Kernel(function)) => {
                let status = ExitStatus::exited(function());
                thread
                    .process()
                    .inspect(|process| exit::end_process(process, status));
            }
            None => {}
        }
        exit::leave_process(thread);
    });
    exit()
}

/// Lets a new thread run for the first time.
pub(crate) fn start(thread: Arc<Thread>) {
    place::requeue(thread);
}

/// How many threads wait for `cpu`, for display; stale at once.
pub fn queue_len_racy(cpu: smp::cpu::CpuId) -> usize {
    CPUS.of(cpu).queue.len_racy()
}
