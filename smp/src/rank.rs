//! The one table of lock ranks.
//!
//! - **LOCK-1**: a CPU takes spin locks in strictly ascending order of level. So no circle of CPUs can wait for each
//!   other's locks. `try_lock` may take a lock out of order, since it does not wait.
//! - **LOCK-2**: a lock that an interrupt handler takes masks interrupts while it is held. Such ranks lie above all
//!   others, because a handler may interrupt the holder of any lock that does not mask.
//!
//! Debug builds check both at each acquisition. Whoever needs another rank adds a line here, at the right place.

use crate::irq::IrqOff;
use crate::lock::{Hold, Unmasked};

mod sealed {
    /// A line of the table.
    pub trait Listed {
        /// Its place in the table.
        const INDEX: usize;
    }
}

pub(crate) use sealed::Listed;

/// The rank of a lock, as a type: a line of the table below.
pub trait Rank: Listed + 'static {
    /// Its level: locks are taken in ascending order.
    const LEVEL: u16;
    /// Its name, for messages.
    const NAME: &'static str;
    /// Whether interrupts are off while a lock of this rank is held.
    const MASKS_INTERRUPTS: bool;
    /// What a guard holds besides the lock: interrupts off, or nothing.
    type Hold: Hold;
}

/// A line of the table, as a value.
#[derive(Copy, Clone, Debug)]
pub struct RankInfo {
    /// As [`Rank::LEVEL`].
    pub level: u16,
    /// As [`Rank::NAME`].
    pub name: &'static str,
    /// As [`Rank::MASKS_INTERRUPTS`].
    pub masks_interrupts: bool,
}

macro_rules! ranks {
    ($($(#[$documentation:meta])* $name:ident = $level:literal, $hold:ty;)*) => {
        $(
            $(#[$documentation])*
            #[derive(Debug)]
            pub enum $name {}

            impl sealed::Listed for $name {
                const INDEX: usize = index_of($level);
            }

            impl Rank for $name {
                const LEVEL: u16 = $level;
                const NAME: &'static str = stringify!($name);
                const MASKS_INTERRUPTS: bool = <$hold as Hold>::MASKS_INTERRUPTS;
                type Hold = $hold;
            }
        )*

        /// All ranks, ascending.
        pub const TABLE: &[RankInfo] = &[
            $(RankInfo { level: $level, name: stringify!($name), masks_interrupts: <$hold as Hold>::MASKS_INTERRUPTS },)*
        ];
    };
}

ranks! {
    /// A process's family (parent, children), taken as that of the parent, before the child's own.
    FamilyParent = 10, Unmasked;
    /// A process's family (parent, children).
    Family = 12, Unmasked;
    /// The threads that sleep on one CPU until a time.
    Timers = 14, Unmasked;
    /// A process's table of file descriptors.
    Descriptors = 20, Unmasked;
    /// Directories of the file tree.
    FileTree = 24, Unmasked;
    /// What is being typed.
    Terminal = 27, Unmasked;
    /// What has been typed on the console and not been read.
    ConsoleInput = 28, Unmasked;
    /// What is in the pipe that all processes have in common.
    CommonPipe = 29, Unmasked;
    /// The pages that a process has offered to others.
    Offers = 30, Unmasked;
    /// Which frames hold the contents of a file; a fault looks there with the regions locked.
    File = 32, Unmasked;
    /// The inside of a sleeping lock.
    SleepLock = 34, Unmasked;
    /// What a CPU has unmapped and others have not swept; gives frames back.
    Limbo = 35, Unmasked;
    /// A shard of the kernel heap; takes frames from the buddy allocator.
    Heap = 36, Unmasked;
    /// The pool and the window of kernel stacks; takes frames from the buddy allocator.
    KernelStacks = 38, Unmasked;
    /// Of which blocks the memory of big pages consists; gives frames to the buddy allocator.
    BigFrames = 39, Unmasked;
    /// The buddy allocator.
    FramesPool = 40, Unmasked;
    /// An entry of the process table.
    PtableSlot = 50, Unmasked;
    /// The threads of a process, and how it ends.
    ProcessLife = 52, Unmasked;
    /// What a thread in a signal handler goes back to.
    SignalContext = 53, Unmasked;
    /// What a new thread is to do.
    ThreadStart = 54, Unmasked;
    /// The threads that wait for words of user memory, a part of them.
    Futexes = 58, Unmasked;
    /// The waiters of one wait queue.
    WaitQueue = 60, Unmasked;
    /// A CPU's run queue.
    RunQueue = 70, Unmasked;
    /// The picture on the screen. Its thread is woken without it.
    Screen = 78, Unmasked;
    /// The console's serial line.
    ConsoleOutput = 80, IrqOff;
    /// The kernel log's port. The last of all: anything may be logged anywhere.
    Log = 90, IrqOff;
}

const fn index_of(level: u16) -> usize {
    let mut index = 0;
    while TABLE[index].level != level {
        index += 1;
    }
    index
}

const _: () = {
    let mut index = 1;
    while index < TABLE.len() {
        let (below, above) = (&TABLE[index - 1], &TABLE[index]);
        assert!(below.level < above.level, "LOCK-1: the table ascends");
        assert!(
            above.masks_interrupts || !below.masks_interrupts,
            "LOCK-2: masking ranks lie above all others"
        );
        index += 1;
    }
};

/// The name of the rank with this level.
pub fn name(level: u16) -> &'static str {
    TABLE
        .iter()
        .find(|rank| rank.level == level)
        .map_or("unknown", |rank| rank.name)
}
