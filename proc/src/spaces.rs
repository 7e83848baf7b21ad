//! The address spaces that threads are in.
//!
//! Nobody keeps a list of them: the process table has all threads, and to register each new space in a list would cost
//! every `fork` and `exit` something for the sake of whoever asks, once in a while.

use alloc::vec::Vec;

use mm::NoMemory;
use mm::aspace::SpaceRef;

use crate::name::Name;
use crate::table::{self, Entry};
use crate::thread::Id;

/// An address space that somebody is in.
#[derive(Clone)]
pub struct LiveSpace {
    /// The space.
    pub space: SpaceRef,
    /// Of the processes whose threads are in it, the one with the least id.
    pub pid: Id,
    /// That process's name.
    pub name: Name,
}

/// All spaces that threads of the process table are in, by their numbers: `base` comes first.
///
/// # Errors
/// [`NoMemory`] for the list.
pub fn list() -> Result<Vec<LiveSpace>, NoMemory> {
    let mut list = Vec::new();
    let mut is_complete = true;
    table::for_each(|_, entry| {
        if let Entry::Thread(thread) = entry
            && let Some(process) = thread.process()
        {
            if list.try_reserve(1).is_err() {
                is_complete = false;
                return;
            }
            list.push(LiveSpace {
                space: process.any_space().clone(),
                pid: process.id(),
                name: *process.name(),
            });
        }
    });
    if !is_complete {
        return Err(NoMemory);
    }
    list.sort_unstable_by_key(|live| (live.space.as_dyn().id(), live.pid));
    list.dedup_by_key(|live| live.space.as_dyn().id());
    Ok(list)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use mm::aspace::SpaceRef;
    use mm::flush::SpaceId;
    use mm::space::Space;

    use super::list;
    use crate::file::Descriptors;
    use crate::name::Name;
    use crate::process::Process;
    use crate::table;
    use crate::thread::Thread;

    /// A process of the kernel in `space`, with an entry in the table.
    fn born_in(space: &SpaceRef, name: &str) -> (Arc<Process>, Arc<Thread>) {
        table::init(table::usual_capacity(0)).unwrap();
        let reservation = table::reserve().unwrap();
        let (id, name) = (reservation.id(), Name::new(name));
        let new = Process::new_kernel(id, name, space.clone(), Descriptors::new(), None);
        let process = Arc::new(new);
        let thread = Thread::without_stack(id, process.clone());
        reservation.publish(thread.clone());
        (process, thread)
    }

    /// The rows of these spaces: number, process and name.
    fn rows(of: &[SpaceId]) -> Vec<(SpaceId, i32, String)> {
        list()
            .unwrap()
            .into_iter()
            .map(|live| (live.space.as_dyn().id(), live.pid, live.name.to_string()))
            .filter(|(id, ..)| of.contains(id))
            .collect()
    }

    #[test]
    fn each_space_is_listed_once_with_its_first_process_as_long_as_one_is_there() {
        let _machine = mm::hw::host::machine();
        let spaces = [(); 2].map(|()| SpaceRef::Paging(Space::new().unwrap()));
        let ids = spaces.each_ref().map(|space| space.as_dyn().id());
        let (second, _thread) = born_in(&spaces[1], "second");
        let (first, _thread) = born_in(&spaces[0], "first");
        let (guest, _thread) = born_in(&spaces[1], "guest");
        let row = |id, process: &Process| (id, process.id(), process.name().to_string());
        let expected = [row(ids[0], &first), row(ids[1], &second)];
        assert_eq!(rows(&ids), expected);
        table::free(second.id());
        assert_eq!(rows(&ids)[1], row(ids[1], &guest));
        table::free(guest.id());
        assert_eq!(rows(&ids), [row(ids[0], &first)]);
        table::free(first.id());
    }
}
