//! Whether the tests have seen all errors that the calls promise, and no others.
//!
//! What counts is what the kernel has really returned to the tests, in all of their processes: `ulib` notes it in
//! memory that they share. What is promised stands in the documentation of the calls (`abi`).

use abi::layout::PAGE_SIZE;
use abi::{Errno, Sysno, TABLE};
use ulib::mapping::{MapRequest, map};
use ulib::system_call::{ErrorNotes, note_errors};
use ulib::{MapFlags, println};

/// Where the notes are, out of the way of the tests.
const NOTES_ADDRESS: usize = 0xffff_d000_0000_0000;

/// What these tests cannot see, and where it is tested instead.
const NOT_HERE: &[(Sysno, Errno)] = &[
    // A full process table, which takes `table=64` on the boot line: the program `crowd`, `tests/tests/threads.rs`.
    (Sysno::Fork, Errno::EAGAIN),
    (Sysno::Spawn, Errno::EAGAIN),
    (Sysno::SpawnWith, Errno::EAGAIN),
    (Sysno::CreateThread, Errno::EAGAIN),
    (Sysno::CreateThreadRegisters, Errno::EAGAIN),
    // With `pipe=noblock` only: `tests/tests/pipes.rs`.
    (Sysno::PipeRead, Errno::EAGAIN),
    (Sysno::PipeWrite, Errno::EAGAIN),
];
/// What it returns may be a thread's value, which looks like an error: see its documentation.
const RETURNS_ANYTHING: Sysno = Sysno::JoinThread;

/// The notes of what has been returned since [`start`].
pub(crate) struct Coverage(&'static ErrorNotes);

/// Has errors noted from now on.
pub(crate) fn start() -> Result<Coverage, Errno> {
    const { assert!(size_of::<ErrorNotes>() <= PAGE_SIZE) };
    let memory = map(&MapRequest::anonymous(PAGE_SIZE)
        .flags(MapFlags::SHARED)
        .at(NOTES_ADDRESS))?;
    let place = core::ptr::with_exposed_provenance_mut::<ErrorNotes>(memory);
    // SAFETY: a new page, which is large enough and stays to the end of the program.
    let notes = unsafe {
        place.write(ErrorNotes::new());
        &*place
    };
    note_errors(notes);
    Ok(Coverage(notes))
}

impl Coverage {
    /// Prints what has been returned and is not promised and, if all tests have run, what is promised and has not been
    /// returned. True if there is neither.
    pub(crate) fn report(&self, is_whole: bool) -> bool {
        let (mut promised, mut is_well) = (0, true);
        for call in &TABLE {
            let mut expected = call.errors();
            let returned = self.0.of(call.number);
            let returned_unasked = match call.number {
                RETURNS_ANYTHING => expected,
                _ => returned,
            };
            for errno in returned_unasked.without(expected) {
                println!(
                    "FAIL {} has returned {errno:?}, which it does not promise",
                    call.name
                );
                is_well = false;
            }
            promised += expected.len();
            for (_, errno) in NOT_HERE.iter().filter(|(number, _)| *number == call.number) {
                expected.remove(*errno);
            }
            for errno in expected.without(if is_whole { returned } else { expected }) {
                println!("FAIL no test has seen {errno:?} from {}", call.name);
                is_well = false;
            }
        }
        if is_whole {
            println!(
                "usertests: {promised} errors promised, {} of them not seen here",
                NOT_HERE.len()
            );
        }
        is_well
    }
}
