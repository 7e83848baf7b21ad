//! Several processes take memory, page by page, until none is left or each has its limit.
//!
//! `allocator [PROCESSES] [LIMIT]` (4 processes, no limit of pages). A page must be zero when it arrives and keep what
//! its owner has written, whatever the others do; the end of memory is `ENOMEM`, and nobody's death.
#![no_std]
#![no_main]

use abi::layout::PAGE_SIZE;
use ulib::file::{self, File};
use ulib::memory::Area;
use ulib::{Arguments, Errno, ExitStatus, Pid, accounts, println, process};

ulib::program!(main);

const PATIENCE_MS: u64 = 1000;
const MAX_PROCESSES: usize = 64;
const REPORT_LEN: usize = size_of::<usize>();

fn main(arguments: Arguments) -> Result<(), Errno> {
    let processes = arguments.number(1, 4).clamp(1, MAX_PROCESSES);
    let limit = arguments.number(2, usize::MAX);
    let before = accounts::now();
    println!(
        "{processes} processes; {} of {} frames are free",
        before.free_frames, before.total_frames
    );

    let (reports, report) = file::pipe()?;
    let (gate, keep_shut) = file::pipe()?;
    let mut keep_shut = Some(keep_shut);
    let mut children = [0; MAX_PROCESSES];
    for child in children.iter_mut().take(processes) {
        *child = process::start(|| {
            // Only the parent keeps the gate shut.
            drop(keep_shut.take());
            run_child(limit, &report, &gate)
        })?;
    }
    let total_pages = read_reports(&reports, processes)?;
    println!(
        "All together: {total_pages} pages; {} frames are free",
        process::sysinfo().free_frames
    );

    // Now the gate opens: the children look at all they have once more, and end.
    drop(keep_shut);
    for &child in children.iter().take(processes) {
        let status = process::wait(child)?;
        assert!(status == ExitStatus::exited(0), "process {child}: {status}");
    }
    drop((reports, report, gate));
    if let Err(difference) = accounts::check_settled(&before, PATIENCE_MS) {
        panic!("the memory has not come back: {difference}");
    }
    println!("Every page kept its contents, and all memory is back.");
    Ok(())
}

/// Takes and marks pages; reports how many; waits at the gate; looks at the marks.
fn run_child(limit: usize, report: &File, gate: &File) -> i32 {
    let process = process::getpid();
    let mut area = Area::new();
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
    report
        .write_all(&area.len_pages().to_ne_bytes())
        .expect("cannot report");
    assert_eq!(
        gate.read(&mut [0]),
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

fn read_reports(reports: &File, processes: usize) -> Result<usize, Errno> {
    let mut total_pages = 0;
    for _ in 0..processes {
        let mut pages = [0; REPORT_LEN];
        let len = reports.read_full(&mut pages)?;
        assert_eq!(len, REPORT_LEN, "the children have ended early");
        total_pages += usize::from_ne_bytes(pages);
    }
    Ok(total_pages)
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
