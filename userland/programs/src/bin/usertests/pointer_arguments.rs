//! Every pointer that a call takes, with every kind of address at which there is nothing for it.
//!
//! The table of calls says which pointers there are, so that none is forgotten.

use abi::layout::PROGRAM_BASE;
use abi::{OpenFlags, Sysno, TABLE, decode};
use ulib::file::{self, File};
use ulib::{Errno, ExitStatus, Signal, common_pipe, system_call};

use crate::check::{LONELY_PAGE_END, join, lonely_page, ok, poke, start, status_of};
use crate::pointers::BAD_ADDRESSES;
use crate::runner::tests;
use crate::thread_tools::{result, spawn};

tests![
    every_pointer_of_every_call_may_be_bad,
    a_message_that_cannot_be_read_does_not_save_who_gives_up,
];

/// What null means for a pointer.
#[derive(PartialEq)]
enum Null {
    Bad,
    /// That nothing is wanted.
    Allowed,
}

/// What a pointer means that leads to what is mapped in part.
#[derive(PartialEq)]
enum Part {
    Bad,
    /// The call does what it can, or it must be aligned.
    Allowed,
}

/// A call, which of its arguments is a pointer, and what the other arguments can be.
struct Pointer(Sysno, usize, [usize; 5], Null, Part);

/// What [`Pointer`]s need.
struct Things {
    /// Keeps the pipe open.
    _reader: File,
    writer: File,
    directory: File,
    program: File,
    child: i32,
    thread: i32,
}

/// All pointers of calls that return.
fn pointers(things: &Things) -> [Pointer; 22] {
    use Part::Allowed as Partly;
    let Things { child, thread, .. } = *things;
    let [directory, program, writer] =
        [&things.directory, &things.program, &things.writer].map(|file| file.descriptor() as usize);
    let nop = c"nop".as_ptr().addr();
    let [child, thread] = [child as usize, thread as usize];
    [
        Pointer(Sysno::Spawn, 0, [0; 5], Null::Bad, Part::Bad),
        Pointer(Sysno::SpawnWith, 0, [0; 5], Null::Bad, Part::Bad),
        Pointer(
            Sysno::SpawnWith,
            1,
            [nop, 0, 0, 0, 0],
            Null::Allowed,
            Part::Bad,
        ),
        Pointer(
            Sysno::WaitPid,
            1,
            [child, 0, 0, 0, 0],
            Null::Allowed,
            Part::Bad,
        ),
        Pointer(Sysno::SetAffinity, 1, [0, 8, 0, 0, 0], Null::Bad, Part::Bad),
        Pointer(
            Sysno::GetAffinity,
            1,
            [0, 128, 0, 0, 0],
            Null::Bad,
            Part::Bad,
        ),
        Pointer(Sysno::Open, 0, [0; 5], Null::Bad, Part::Bad),
        Pointer(Sysno::Read, 1, [program, 8, 0, 0, 0], Null::Bad, Partly),
        Pointer(Sysno::Write, 1, [writer, 8, 0, 0, 0], Null::Bad, Partly),
        Pointer(
            Sysno::ReadDir,
            1,
            [directory, 128, 0, 0, 0],
            Null::Bad,
            Part::Bad,
        ),
        Pointer(Sysno::Pipe, 0, [0; 5], Null::Bad, Part::Bad),
        Pointer(Sysno::SysInfo, 0, [64, 0, 0, 0, 0], Null::Bad, Part::Bad),
        Pointer(
            Sysno::Mapping,
            1,
            [PROGRAM_BASE, 0, 0, 0, 0],
            Null::Bad,
            Part::Bad,
        ),
        Pointer(
            Sysno::CreateThreadRegisters,
            0,
            [0; 5],
            Null::Bad,
            Part::Bad,
        ),
        Pointer(
            Sysno::JoinThreadWait,
            1,
            [thread, 0, 0, 0, 0],
            Null::Allowed,
            Part::Bad,
        ),
        Pointer(Sysno::FutexWait, 0, [0; 5], Null::Bad, Partly),
        Pointer(Sysno::FutexWake, 0, [1, 0, 0, 0, 0], Null::Bad, Partly),
        Pointer(Sysno::PipeRead, 0, [8, 0, 0, 0, 0], Null::Bad, Part::Bad),
        Pointer(Sysno::PipeWrite, 0, [8, 0, 0, 0, 0], Null::Bad, Part::Bad),
        Pointer(Sysno::ConsolePut, 3, [0, 0, 7, 4, 0], Null::Bad, Part::Bad),
        Pointer(Sysno::Log, 0, [0; 5], Null::Bad, Part::Bad),
        // Which end the process.
        Pointer(Sysno::Panic, 0, [0; 5], Null::Allowed, Partly),
    ]
}

impl Pointer {
    /// Tries all that is bad; text of the program too if the call would write.
    #[track_caller]
    fn expect_faults(&self, name: &str, writes: bool) {
        let Pointer(_, place, _, null, part) = self;
        let is_tried = |address: usize| address != 0 || *null == Null::Bad;
        let bad = BAD_ADDRESSES.into_iter().filter(|bad| is_tried(bad.1));
        let text = writes.then_some(("text", PROGRAM_BASE));
        let last_byte = (*part == Part::Bad).then_some(("the end of a page", LONELY_PAGE_END - 1));
        for (what, address) in bad.chain(text).chain(last_byte) {
            // A call before may have stored a part of its result there.
            poke(LONELY_PAGE_END - 8, u64::from_ne_bytes(*b"/./././."));
            let result = self.try_at(address);
            assert_eq!(
                result,
                Err(Errno::EFAULT),
                "{name}, argument {place}: {what}"
            );
        }
    }

    /// Makes the call with `address`.
    fn try_at(&self, address: usize) -> Result<usize, Errno> {
        let Pointer(call, place, others, ..) = self;
        let mut arguments = [0; 6];
        arguments[..*place].copy_from_slice(&others[..*place]);
        arguments[*place] = address;
        arguments[*place + 1..].copy_from_slice(&others[*place..]);
        // SAFETY: the kernel reads and writes nothing at the addresses that the test names.
        decode(unsafe { system_call::by_number(call.number(), arguments) })
    }
}

fn every_pointer_of_every_call_may_be_bad() {
    let _page = lonely_page();
    let (reader, writer) = ok(file::pipe());
    let ended = spawn(|| ());
    let things = Things {
        _reader: reader,
        writer,
        directory: ok(File::open("/", OpenFlags::READ)),
        program: ok(File::open("hello", OpenFlags::READ)),
        child: start(|| ()),
        thread: ended.tid(),
    };
    ok(common_pipe::write(b"12345678"));
    let pointers = pointers(&things);
    for call in &TABLE {
        for (place, argument) in call.arguments.iter().enumerate() {
            let Some(access) = argument.kind.strip_prefix('*') else {
                continue;
            };
            let mut tries = pointers
                .iter()
                .filter(|Pointer(number, at, ..)| (*number, *at) == (call.number, place));
            let Some(pointer) = tries.next() else {
                panic!("nobody tries {} of {}", argument.name, call.name);
            };
            if call.number != Sysno::Panic {
                pointer.expect_faults(call.name, access.starts_with("mut"));
            }
        }
    }
    assert_eq!(common_pipe::read(&mut [0; 16]), Ok(8), "bytes are lost");
    result(ended);
    join(things.child);
}

fn a_message_that_cannot_be_read_does_not_save_who_gives_up() {
    for (what, address) in BAD_ADDRESSES {
        let status = status_of(|| {
            // SAFETY: the kernel only reads, if it can.
            unsafe { system_call::panic(address as *const u8) };
            0
        });
        assert_eq!(status, ExitStatus::killed(Signal::SIGABRT), "{what}");
    }
}
