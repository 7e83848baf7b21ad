//! What all processes of the storm have in common: counters, who must be left alone, and whether it is over.

use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::layout::PAGE_SIZE;
use abi::{Errno, Sysno, TABLE};
use ulib::mapping::{MapRequest, Mapping};
use ulib::{MapFlags, Pid};

/// How a call ended.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Class {
    /// It was made. If it did not return, that is all.
    Made,
    Done,
    Fault,
    Invalid,
    Interrupted,
    OtherError,
}

const CLASSES: [(Class, &str); 6] = [
    (Class::Made, "made"),
    (Class::Done, "done"),
    (Class::Fault, "EFAULT"),
    (Class::Invalid, "EINVAL"),
    (Class::Interrupted, "EINTR"),
    (Class::OtherError, "other"),
];

/// Processes count in groups, so that few write the same cache line.
pub(crate) const GROUPS: usize = 16;
const WORDS_PER_GROUP: usize = Sysno::COUNT * CLASSES.len();

/// Where it is: at no address that is drawn, and far from where the kernel puts mappings, whose ends the calls overrun.
const TALLY: usize = 0xffff_ad00_0456_0000;

pub(crate) struct Tally(Mapping);

impl Tally {
    /// Counters that forks pass on, all of them in memory.
    ///
    /// # Errors
    /// Those of the system call `map`.
    pub(crate) fn new() -> Result<Tally, Errno> {
        let len = ((1 + GROUPS * WORDS_PER_GROUP) * size_of::<u64>()).next_multiple_of(PAGE_SIZE);
        let flags = MapFlags::SHARED.union(MapFlags::EAGER);
        Mapping::new(&MapRequest::anonymous(len).at(TALLY).flags(flags)).map(Tally)
    }

    /// The counters of one group.
    pub(crate) fn group(&self, group: usize) -> &[AtomicU64] {
        let start = 1 + group % GROUPS * WORDS_PER_GROUP;
        &self.0.words()[start..start + WORDS_PER_GROUP]
    }

    /// The checker is to end.
    pub(crate) fn end(&self) {
        // Relaxed: nothing else goes by it.
        self.0.words()[0].store(1, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.words()[0].load(Ordering::Relaxed) != 0
    }

    fn count(&self, call: Sysno, class: Class) -> u64 {
        let index = index(call, class);
        // Relaxed: only the sum counts.
        let count = |group| self.group(group)[index].load(Ordering::Relaxed);
        (0..GROUPS).map(count).sum()
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        TABLE
            .iter()
            .map(|call| self.count(call.number, Class::Made))
            .sum()
    }

    /// How many of the table's calls were made.
    pub(crate) fn kinds_of_calls(&self) -> usize {
        TABLE
            .iter()
            .filter(|call| self.count(call.number, Class::Made) != 0)
            .count()
    }
}

fn index(call: Sysno, class: Class) -> usize {
    call.number() * CLASSES.len() + class as usize
}

/// Counts in a group.
#[inline]
pub(crate) fn count(group: &[AtomicU64], call: Sysno, class: Class) {
    // Relaxed: only the sum counts.
    group[index(call, class)].fetch_add(1, Ordering::Relaxed);
}

impl Class {
    pub(crate) fn of(result: Result<usize, Errno>) -> Class {
        match result {
            Ok(_) => Class::Done,
            Err(Errno::EFAULT) => Class::Fault,
            Err(Errno::EINVAL) => Class::Invalid,
            Err(Errno::EINTR) => Class::Interrupted,
            Err(_) => Class::OtherError,
        }
    }
}

/// A table of calls and classes.
impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:24}", "call")?;
        CLASSES
            .iter()
            .try_for_each(|(_, name)| write!(f, "{name:>12}"))?;
        for call in &TABLE {
            write!(f, "\n{:24}", call.name)?;
            for (class, _) in CLASSES {
                write!(f, "{:12}", self.count(call.number, class))?;
            }
        }
        Ok(())
    }
}

/// Ids that no call of the storm may send a signal to: who was there before it, its supervisor, and its checker.
pub(crate) struct Protected(alloc::vec::Vec<u64>);

impl Protected {
    /// Everybody who is there now.
    pub(crate) fn everybody() -> Protected {
        let capacity = ulib::process::sysinfo().table_capacity as usize;
        let mut protected = Protected(alloc::vec![0; capacity.div_ceil(64)]);
        for id in 1..capacity {
            if ulib::process::is_there(id as Pid) {
                protected.add(id as Pid);
            }
        }
        protected
    }

    pub(crate) fn add(&mut self, id: Pid) {
        if let Some(word) = self.0.get_mut(id as usize / 64) {
            *word |= 1 << (id % 64);
        }
    }

    #[inline]
    pub(crate) fn contains(&self, id: Pid) -> bool {
        let word = usize::try_from(id).ok().and_then(|id| self.0.get(id / 64));
        word.is_some_and(|word| word & 1 << (id % 64) != 0)
    }

    /// All ids that can be given out and are not protected.
    pub(crate) fn others(&self) -> impl Iterator<Item = Pid> + '_ {
        (1..(self.0.len() * 64) as Pid).filter(|&id| !self.contains(id))
    }
}
