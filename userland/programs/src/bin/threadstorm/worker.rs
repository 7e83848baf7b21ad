//! What the processes of the storm do.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use abi::layout::PAGE_SIZE;
use programs::random::Random;
use ulib::mapping::{self, MapRequest};
use ulib::signal::{self, FaultKind};
use ulib::sync::Mutex;
use ulib::thread::{self, JoinHandle};
use ulib::{CpuMask, Errno, ExitStatus, Pid, Protection, Signal, file, futex, process};

use crate::shared::{Counter, Shared};

const THREADS_MAX: usize = 24;
/// How many things a thread does before it ends.
const THREAD_ACTS: u64 = 60;
/// How many things a forked child does, with what depth of children of its own.
const CHILD_ACTS: u64 = 12;
const DEPTH_MAX: u32 = 2;
const SLEEP_MAX_MS: u64 = 3;

/// Where all threads map, unmap and write.
const ARENA_START: usize = 0xffff_a800_0000_0000;
const ARENA_PAGES: u64 = 64;
const RANGE_MAX_PAGES: u64 = 8;

/// The exit code of a process with a fault that nobody can repair.
const CODE_FAULT_ELSEWHERE: i32 = 90;

/// What the threads of one process share.
struct Team {
    shared: &'static Shared,
    /// How many children deep the process is.
    depth: u32,
    running: AtomicUsize,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// What threads wait for, and wake each other by.
    word: AtomicU32,
}

/// For the signal handlers of this process, which get no argument of their own.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(core::ptr::null_mut());

/// A worker: a process that goes on until it is killed.
pub(crate) fn run(shared: &Shared, seed: u64) -> i32 {
    // SAFETY: this process runs no code that drops it; its memory is a copy of its own, as long as the process is
    // there.
    let shared: &'static Shared = unsafe { &*core::ptr::from_ref(shared) };
    // Relaxed: there is one thread.
    SHARED.store(core::ptr::from_ref(shared).cast_mut(), Ordering::Relaxed);
    for (signal, handler) in [
        (Signal::SIGSEGV, repair as signal::Handler),
        (Signal::SIGUSR1, take_note),
    ] {
        if let Err(errno) = signal::handle(signal, Some(handler)) {
            panic!("no handler for {signal:?}: {errno}");
        }
    }
    let team = new_team(shared, 0);
    let mut random = Random::new(seed);
    loop {
        if random.below(4) == 0 {
            join_one(team);
        }
        act(team, &mut random);
    }
}

fn new_team(shared: &'static Shared, depth: u32) -> &'static Team {
    Box::leak(Box::new(Team {
        shared,
        depth,
        running: AtomicUsize::new(0),
        handles: Mutex::new(Vec::new()),
        word: AtomicU32::new(0),
    }))
}

/// Does one thing.
fn act(team: &'static Team, random: &mut Random) {
    match random.below(16) {
        0..=2 => start_thread(team, random),
        3 => fork(team, random),
        4 => map(team, random),
        5 => unmap(team, random),
        6 => protect(team, random),
        7..=9 => write(random),
        10 => process::sleep_ms(random.below(SLEEP_MAX_MS)),
        11 => process::yield_now(),
        12 => wake_or_wait(team, random),
        13 => signal_somebody(team, random),
        14 => move_about(random),
        _ => use_a_pipe(random),
    }
}

/// Whether so little memory is left that no more threads and children should want some: they would die of it.
fn is_memory_short() -> bool {
    let now = process::sysinfo();
    now.free_frames < now.total_frames / 4
}

fn start_thread(team: &'static Team, random: &mut Random) {
    if is_memory_short() {
        return;
    }
    // Relaxed: a bound that need not be exact.
    if team.running.fetch_add(1, Ordering::Relaxed) >= THREADS_MAX {
        team.running.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let mut own_random = Random::new(random.word());
    let started = thread::spawn(move || {
        let random = &mut own_random;
        for _ in 0..random.below(THREAD_ACTS) {
            if team.shared.is_over() {
                break;
            }
            act(team, random);
        }
        team.running.fetch_sub(1, Ordering::Relaxed);
        if random.below(8) == 0 {
            // SAFETY: there are no scopes.
            unsafe { thread::exit(0) };
        }
    });
    match started {
        Ok(handle) => {
            team.shared.count(Counter::Started);
            // The handles of the others are dropped.
            if random.below(4) != 0 {
                team.handles.lock().push(handle);
            }
        }
        Err(Errno::ENOMEM | Errno::EAGAIN) => {
            team.running.fetch_sub(1, Ordering::Relaxed);
        }
        Err(errno) => panic!("no thread: {errno}"),
    }
}

/// Joins the thread that was started first. Only the first thread of a process does, so that no two wait for each
/// other.
fn join_one(team: &Team) {
    let oldest = {
        let mut handles = team.handles.lock();
        if handles.is_empty() {
            return;
        }
        handles.remove(0)
    };
    // None if it has ended by `exit`.
    let _: Option<()> = oldest.join();
    team.shared.count(Counter::Joined);
}

/// Starts a child that does a few things, with threads of its own, and waits for it, or kills it first.
fn fork(team: &'static Team, random: &mut Random) {
    if team.depth >= DEPTH_MAX || is_memory_short() {
        return;
    }
    let seed = random.word();
    let child = process::start(|| {
        let team = new_team(team.shared, team.depth + 1);
        let mut random = Random::new(seed);
        (0..CHILD_ACTS).for_each(|_| act(team, &mut random));
        0
    });
    let child = match child {
        Ok(child) => child,
        Err(Errno::ENOMEM | Errno::EAGAIN) => return,
        Err(errno) => panic!("no child: {errno}"),
    };
    team.shared.count(Counter::Forked);
    let is_killed = random.below(3) == 0;
    if is_killed {
        team.shared.count(Counter::Killed);
        // It may have ended.
        let _ = process::kill(child, Signal::SIGKILL);
    }
    let status = wait(child);
    let is_right = status == ExitStatus::exited(0)
        || is_killed && status == ExitStatus::killed(Signal::SIGKILL);
    if !is_right {
        ulib::println!("child {child} of {}: {status}", process::getpid());
        team.shared.count(Counter::Wrong);
    }
}

/// Waits for a child, however often signals come.
fn wait(child: Pid) -> ExitStatus {
    loop {
        match process::wait(child) {
            Ok(status) => return status,
            Err(Errno::EINTR) => {}
            Err(errno) => panic!("cannot wait for {child}: {errno}"),
        }
    }
}

/// A part of the arena: address and length.
fn range(random: &mut Random) -> (usize, usize) {
    let len_pages = 1 + random.below(RANGE_MAX_PAGES);
    let first = random.below(ARENA_PAGES - len_pages + 1);
    let address = ARENA_START + first as usize * PAGE_SIZE;
    (address, len_pages as usize * PAGE_SIZE)
}

fn map(team: &Team, random: &mut Random) {
    let (address, len) = range(random);
    team.shared.count(Counter::Mapped);
    // Something may be mapped there.
    let _ = mapping::map(&MapRequest::anonymous(len).at(address));
}

fn unmap(team: &Team, random: &mut Random) {
    let (address, len) = range(random);
    team.shared.count(Counter::Mapped);
    // SAFETY: the arena is used by `write` only, with atomics, and what is missing there comes back.
    let unmapped = unsafe { mapping::unmap(address, len) };
    assert!(matches!(unmapped, Ok(()) | Err(Errno::ENOMEM)));
}

fn protect(team: &Team, random: &mut Random) {
    let (address, len) = range(random);
    let protection = match random.below(2) {
        0 => Protection::READ,
        _ => Protection::READ.union(Protection::WRITE),
    };
    team.shared.count(Counter::Mapped);
    // A part of it may be mapped.
    let _ = mapping::protect(address, len, protection);
}

/// Adds to a few words of the arena, wherever they are. Where nothing may be written, `repair` lets it.
fn write(random: &mut Random) {
    for _ in 0..4 {
        let (address, _) = range(random);
        // SAFETY: an aligned word of user space, which is touched with atomics only, by all threads. If it is not
        // mapped the handler maps it.
        let word = unsafe { AtomicU64::from_ptr(address as *mut u64) };
        word.fetch_add(1, Ordering::Relaxed);
    }
}

/// The handler for faults: those in the arena it repairs.
extern "C" fn repair(_signal: i32, address: usize, kind: usize) {
    let page = address & !(PAGE_SIZE - 1);
    if !(ARENA_START..ARENA_START + ARENA_PAGES as usize * PAGE_SIZE).contains(&page) {
        process::exit(CODE_FAULT_ELSEWHERE);
    }
    // Another thread may do, or undo, the same at the same time: then the fault comes again.
    let _ = match FaultKind::from_number(kind) {
        Some(FaultKind::MissingPage) => {
            mapping::map(&MapRequest::anonymous(PAGE_SIZE).at(page)).map(drop)
        }
        _ => mapping::protect(page, PAGE_SIZE, Protection::READ.union(Protection::WRITE)),
    };
    count_in_handler(Counter::Repaired);
}

extern "C" fn take_note(_signal: i32, _address: usize, _kind: usize) {
    count_in_handler(Counter::Handled);
}

fn count_in_handler(counter: Counter) {
    // SAFETY: stored before there were handlers, and stays.
    if let Some(shared) = unsafe { SHARED.load(Ordering::Relaxed).as_ref() } {
        shared.count(counter);
    }
}

/// Wakes who waits, or waits. Those that are to end by themselves do not wait: nobody may be there to wake them.
fn wake_or_wait(team: &Team, random: &mut Random) {
    // Relaxed: only the word itself counts.
    let value = team.word.load(Ordering::Relaxed);
    if team.depth > 0 || random.below(4) != 0 {
        team.word.store(value.wrapping_add(1), Ordering::Relaxed);
        futex::wake(&team.word, 1 + random.below(3) as u32);
    } else {
        // It may be something else by now, or a signal comes.
        let _ = futex::wait(&team.word, value);
    }
}

fn signal_somebody(team: &Team, random: &mut Random) {
    let tid = {
        let handles = team.handles.lock();
        match handles.len() as u64 {
            0 => process::getpid(),
            len => handles[random.below(len) as usize].tid(),
        }
    };
    // It may have ended, or be in a handler.
    let _ = process::kill(tid, Signal::SIGUSR1);
}

fn move_about(random: &mut Random) {
    let cpu = random.below(process::cpu_count() as u64) as usize;
    let cpus = match random.below(2) {
        0 => CpuMask::single(cpu),
        _ => CpuMask::ALL,
    };
    if let Err(errno) = process::set_affinity(0, &cpus) {
        panic!("cannot move: {errno}");
    }
}

fn use_a_pipe(random: &mut Random) {
    let (reader, writer) = match file::pipe() {
        Ok(ends) => ends,
        Err(Errno::EMFILE | Errno::ENOMEM) => return,
        Err(errno) => panic!("no pipe: {errno}"),
    };
    let sent = random.word().to_ne_bytes();
    let mut received = [0; 8];
    if writer.write_all(&sent) == Ok(()) && reader.read_full(&mut received) == Ok(sent.len()) {
        assert!(received == sent, "a pipe has changed what went through it");
    }
}
