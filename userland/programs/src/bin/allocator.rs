//! Several processes take memory, page by page, until none is left or each has its limit.
//!
//! `allocator [PROCESSES] [LIMIT]` (4 processes, no limit of pages). A page must be zero when it arrives and keep what
//! its owner has written, whatever the others do; the end of memory is `ENOMEM`, and nobody's death.
//!
//! Where there is no memory left nobody can write into a pipe. So each process has a sentinel, a sleeping process that
//! it kills once it has all that it can get.
#![no_std]
#![no_main]

use abi::layout::PAGE_SIZE;
use ulib::file::{self, File};
use ulib::memory::Area;
use ulib::{Arguments, Errno, ExitStatus, Pid, Signal, accounts, println, process};

ulib::program!(main);

const PATIENCE_MS: u64 = 1000;
const SENTINEL_SLEEP_MS: u64 = 1_000_000_000;
const MAX_PROCESSES: usize = 64;

fn main(arguments: Arguments) -> Result<(), Errno> {
    let processes = arguments.number(1, 4).clamp(1, MAX_PROCESSES);
    let limit = arguments.number(2, usize::MAX);
    let before = accounts_with_room_for_pipes()?;
    println!(
        "{processes} processes; {} of {} frames are free",
        before.free_frames, before.total_frames
    );

    let (start_gate, keep_start_shut) = file::pipe()?;
    let (end_gate, keep_end_shut) = file::pipe()?;
    let mut keep_shut = Some((keep_start_shut, keep_end_shut));
    let (mut workers, mut sentinels) = ([0; MAX_PROCESSES], [0; MAX_PROCESSES]);
    for (worker, sentinel) in workers.iter_mut().zip(&mut sentinels).take(processes) {
        *sentinel = process::start(|| {
            drop(keep_shut.take()); // only the parent keeps the gates shut
            process::sleep_ms(SENTINEL_SLEEP_MS);
            1
        })?;
        *worker = process::start(|| {
            drop(keep_shut.take());
            run_worker(limit, *sentinel, &start_gate, &end_gate)
        })?;
    }
    // What the forks have made shared must be this process's own again before memory is short.
    accounts::now();
    let keep_end_shut = keep_shut
        .take()
        .map(|(_opens_now, keep_end_shut)| keep_end_shut);
    wait_for_all(&sentinels, processes)?;
    println!("{} frames are free now", process::sysinfo().free_frames);

    // The workers look at all they have once more, and end.
    drop(keep_end_shut);
    for &worker in workers.iter().take(processes) {
        let status = process::wait(worker)?;
        assert!(
            status == ExitStatus::exited(0),
            "process {worker}: {status}"
        );
    }
    drop((start_gate, end_gate));
    if let Err(difference) = accounts::check_settled(&before, PATIENCE_MS) {
        panic!("the memory has not come back: {difference}");
    }
    println!("Every page kept its contents, and all memory is back.");
    Ok(())
}

/// The accounts once the table of descriptors is as long as it will be.
fn accounts_with_room_for_pipes() -> Result<ulib::SysInfo, Errno> {
    drop((file::pipe()?, file::pipe()?));
    Ok(accounts::now())
}

/// Waits until every sentinel has been killed. A worker that ends before that has failed.
fn wait_for_all(sentinels: &[Pid], processes: usize) -> Result<(), Errno> {
    for _ in 0..processes {
        let (ended, status) = process::wait_any()?;
        let is_sentinel =
            sentinels.contains(&ended) && status == ExitStatus::killed(Signal::SIGKILL);
        assert!(is_sentinel, "process {ended} has ended too early: {status}");
    }
    Ok(())
}

/// Takes and marks pages; kills its sentinel; waits at the gate; looks at the marks.
fn run_worker(limit: usize, sentinel: Pid, start_gate: &File, end_gate: &File) -> i32 {
    let process = process::getpid();
    let mut area = Area::new();
    accounts::now();
    assert_eq!(
        start_gate.read(&mut [0]),
        Ok(0),
        "the gate should open by closing"
    );
    let end = loop {
        if area.len_pages() == limit {
            break "its limit";
        }
        match area.grow(1) {
            Ok(()) => claim(&mut area, process),
            Err(Errno::ENOMEM) => break "the end of memory",
            Err(errno) => panic!("page {}: {errno}", area.len_pages()),
        }
    };
    println!(
        "Process {process} on CPU {} has {} pages and meets {end}",
        process::getcpu(),
        area.len_pages()
    );
    process::kill(sentinel, Signal::SIGKILL).expect("cannot kill the sentinel");
    assert_eq!(
        end_gate.read(&mut [0]),
        Ok(0),
        "the gate should open by closing"
    );
    for index in 0..area.len_pages() {
        let expected = mark(process, index);
        assert!(
            MARKED_WORDS
                .iter()
                .all(|&word| area.page(index)[word] == expected),
            "page {index} has changed"
        );
    }
    0
}

/// Which words of a page are marked: the first, the last and one in between.
const MARKED_WORDS: [usize; 3] = [0, 256, PAGE_SIZE / 8 - 1];

/// What `process` writes into its page `index`.
fn mark(process: Pid, index: usize) -> u64 {
    ((process as u64) << 32) | (index as u64 + 1)
}

/// Checks that the area's last page is zero, and marks it.
fn claim(area: &mut Area, process: Pid) {
    let index = area.len_pages() - 1;
    let page = area.page(index);
    for word in MARKED_WORDS {
        assert_eq!(page[word], 0, "fresh page {index} is not zero");
        page[word] = mark(process, index);
    }
}
