//! Looking at all frames, and at the pages of all processes.
//!
//! A look at everything is a *round*. With much memory in use it takes several drawings, so that none takes long.
//!
//! The thread has a reference to a process only while it looks at a part of its pages, and neither sleeps nor takes
//! memory meanwhile, so that whoever buries the process waits for that at most (EXIT-1 in `proc::exit`). What ends
//! between two looks is passed over.

use ::memview::layout::Named;
use ::memview::{PhysicalMap, VirtualMap};
use mm::NoMemory;
use mm::addr::{PAGE_SHIFT, VirtAddr, user_start};
use mm::frame::{self, FrameKind};
use mm::space::Look;
use proc::name::Name;
use proc::process::Process;
use proc::table::{self, Entry};
use proc::thread::Id;

/// How many runs of frames, pages and entries of the process table are looked at for one drawing: about a millisecond.
const LOOKS_PER_DRAWING: usize = 32_768;
/// How many pages of a process are looked at in one piece.
const PAGES_AT_A_TIME: usize = 1024;

/// A process or a thread that was there.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    id: Id,
    process: Id,
    name: Name,
}

impl Seen {
    /// The thread `id`, if it is there.
    pub(super) fn find(id: Id) -> Option<Seen> {
        let thread = table::find_thread(id)?;
        let process = thread.process()?;
        Some(Seen {
            id,
            ..Seen::process(process)
        })
    }

    fn process(process: &Process) -> Seen {
        Seen {
            id: process.id(),
            process: process.id(),
            name: *process.name(),
        }
    }

    /// For the picture.
    pub(super) fn named(&self) -> Named<'_> {
        Named {
            id: self.id,
            process: self.process,
            name: self.name.as_str(),
        }
    }
}

/// Where a round goes on.
#[derive(Clone, Copy)]
enum Place {
    /// At the run of frames that begins with this one.
    Frames(u32),
    /// At this entry of the process table.
    Entry(Id),
    /// At this address of this process.
    Pages(Id, VirtAddr),
}

/// What has been seen in this round, and what was seen in the last one.
pub(super) struct Survey {
    place: Place,
    physical: PhysicalMap,
    virtual_map: VirtualMap,
    /// How many of the entries of the process table that were in use when the round began have not been found yet.
    entries_left: u32,
    /// The process whose virtual map is shown.
    shown_id: Id,
    shown: Option<Seen>,
    /// The processes with the least id, and with the least one beyond that of the shown one.
    first: Option<Id>,
    next: Option<Id>,
}

impl Survey {
    /// # Errors
    /// [`NoMemory`].
    pub(super) fn new() -> Result<Survey, NoMemory> {
        Ok(Survey {
            place: Place::Frames(0),
            physical: PhysicalMap::new(frame::count())?,
            virtual_map: VirtualMap::new()?,
            entries_left: 0,
            shown_id: abi::INIT_PID,
            shown: None,
            first: None,
            next: None,
        })
    }

    /// What physical memory is used for. Complete when [`Survey::advance`] has said so.
    pub(super) fn physical(&self) -> &PhysicalMap {
        &self.physical
    }

    /// The virtual map of the shown process. Complete when [`Survey::advance`] has said so.
    pub(super) fn virtual_map(&self) -> &VirtualMap {
        &self.virtual_map
    }

    /// The process whose virtual map this is, if it was there.
    pub(super) fn shown(&self) -> Option<Seen> {
        self.shown
    }

    /// Shows the next process from the next round on.
    pub(super) fn show_next(&mut self) {
        if let Some(id) = self.next.or(self.first) {
            self.shown_id = id;
        }
    }

    /// Goes on with a round. True if that has completed it; the next call begins another.
    pub(super) fn advance(&mut self) -> bool {
        let mut looks = LOOKS_PER_DRAWING;
        while looks > 0 {
            let next = match self.place {
                Place::Frames(number) => {
                    if number == 0 {
                        self.clear();
                    }
                    self.look_at_frames(number, &mut looks)
                }
                Place::Entry(id) => {
                    looks -= 1;
                    self.look_at_entry(id)
                }
                Place::Pages(id, start) => self.look_at_pages(id, start, &mut looks),
            };
            let Some(next) = next else {
                self.place = Place::Frames(0);
                return true;
            };
            self.place = next;
        }
        false
    }

    fn clear(&mut self) {
        self.physical.clear();
        self.virtual_map.clear();
        self.entries_left = table::used();
        (self.shown, self.first, self.next) = (None, None, None);
    }

    fn look_at_frames(&mut self, number: u32, looks: &mut usize) -> Option<Place> {
        let mut next = number;
        let mut runs = frame::runs_from(number);
        while *looks > 0 {
            let Some(run) = runs.next() else {
                return Some(Place::Entry(1));
            };
            self.physical.add_run(&run);
            next = run.number.saturating_add(1 << run.order);
            *looks -= 1;
        }
        Some(Place::Frames(next))
    }

    /// `None` when as many entries have been found as were in use, or behind the last one.
    fn look_at_entry(&mut self, id: Id) -> Option<Place> {
        if self.entries_left == 0 || id as usize >= table::capacity() {
            return None;
        }
        let entry = table::find(id);
        let process = match &entry {
            Entry::Free => return Some(Place::Entry(id + 1)),
            Entry::Reserved => None,
            Entry::Thread(thread) => thread.process().filter(|process| process.id() == id),
            Entry::Process(process) => Some(process),
        };
        self.entries_left -= 1;
        let Some(process) = process.filter(|process| process.space().is_some()) else {
            return Some(Place::Entry(id + 1));
        };
        self.first = self.first.or(Some(id));
        if id > self.shown_id {
            self.next = self.next.or(Some(id));
        }
        if id == self.shown_id {
            self.shown = Some(Seen::process(process));
        }
        Some(Place::Pages(id, user_start()))
    }

    /// Looks at a part of the pages of process `id`.
    fn look_at_pages(&mut self, id: Id, start: VirtAddr, looks: &mut usize) -> Option<Place> {
        let most = PAGES_AT_A_TIME.min(*looks);
        let process = table::find_process(id);
        let space = process.as_ref().and_then(|process| process.space());
        let is_shown = id == self.shown_id;
        let look = space.map(|space| {
            space.look_at_pages(start, most, &mut |page| {
                *looks -= 1;
                if page.kind == Some(FrameKind::Anonymous) {
                    let number = page.pa.as_u64() >> PAGE_SHIFT;
                    self.physical
                        .add_page(number, page.len_pages, id, page.is_shared);
                }
                if is_shown {
                    self.virtual_map.add_page(&page);
                }
            })
        });
        Some(match look {
            Some(Look::Stopped(next)) => Place::Pages(id, next),
            // What somebody changes just now is passed over: its memory shows as that of somebody unknown.
            Some(Look::Busy | Look::Ended) | None => Place::Entry(id + 1),
        })
    }
}
