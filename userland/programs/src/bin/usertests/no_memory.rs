//! What the calls do when there is no memory left.
//!
//! A call may find what it needs in what the kernel has over from before. So most are made again and again, until there
//! is nothing left of that either.

use abi::layout::PAGE_SIZE;
use abi::{OFFERS_MAX, OpenFlags, Sysno, decode};
use ulib::file::{self, File};
use ulib::mapping::{MapRequest, map, mapping, move_frames, protect, unmap};
use ulib::offer::{attach, share};
use ulib::{Errno, MapFlags, Protection, Signal, memory, process, system_call, thread};

use crate::check::{area, expect_marks, join, mark_pages, ok, peek, poke, start};
use crate::files::{SCRATCH_A, empty_scratch};
use crate::memory::page_alloc;
use crate::offers::{LOCAL, Stage, marked_pages};
use crate::runner::tests;
use crate::signals::sigaction;
use crate::thread_registers::registers_for;
use crate::thread_tools::create_with;

tests![
    without_memory_no_page_comes,
    without_memory_no_process_begins,
    without_memory_no_thread_begins,
    without_memory_the_first_handler_is_not_set,
    without_memory_nothing_is_opened,
    without_memory_files_and_pipes_do_not_grow,
    without_memory_mappings_are_not_cut,
    without_memory_pages_of_page_alloc_are_not_given_back_in_part,
    without_memory_pages_are_not_moved,
    without_memory_no_page_is_offered,
    without_memory_no_page_is_attached,
    an_eager_mapping_without_memory_is_taken_back_next_to_a_page_that_a_fork_shares,
];

/// How often a call may find memory all the same.
const MOST: usize = 1000;

/// Takes all memory that this CPU can get.
fn take_all() {
    process::pin(process::getcpu());
    // What this program needs itself comes first: its image and stack, and an error of its own.
    let free = ulib::accounts::now().free_frames as usize;
    assert_eq!(page_alloc(1), Err(Errno::EINVAL));
    let mut area = area();
    let mut len_pages = free;
    while len_pages > 0 {
        if area.grow(len_pages).is_err() {
            len_pages /= 2;
        }
    }
}

/// Calls `call` until it fails.
#[track_caller]
fn until_it_fails<T>(mut call: impl FnMut(usize) -> Result<T, Errno>) -> Errno {
    match (0..MOST).find_map(|round| call(round).err()) {
        Some(errno) => errno,
        None => panic!("there is memory"),
    }
}

fn without_memory_no_page_comes() {
    take_all();
    assert_eq!(page_alloc(LOCAL), Err(Errno::ENOMEM));
    assert_eq!(mapping(LOCAL), Err(Errno::EFAULT));
}

fn without_memory_no_process_begins() {
    take_all();
    assert_eq!(process::start(|| 0), Err(Errno::ENOMEM));
    assert_eq!(process::spawn("nop"), Err(Errno::ENOMEM));
    assert_eq!(process::spawn_with("nop", "x"), Err(Errno::ENOMEM));
    assert_eq!(process::wait_any(), Err(Errno::ECHILD));
}

/// Ends the thread without a stack.
#[unsafe(naked)]
extern "C" fn leave() -> ! {
    core::arch::naked_asm!(
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

fn without_memory_no_thread_begins() {
    let registers = registers_for(leave);
    let function = leave as *const () as usize;
    take_all();
    // SAFETY: the thread touches no memory.
    let create = |_| decode(unsafe { system_call::create_thread(function, 0, LOCAL) });
    assert_eq!(until_it_fails(create), Errno::ENOMEM);
    let create = |_| create_with(&registers);
    assert_eq!(until_it_fails(create), Errno::ENOMEM);
}

/// Each thread needs a place for what its handler goes back to. The kernel has some left over, but not for so many.
fn without_memory_the_first_handler_is_not_set() {
    const THREADS: usize = 512;
    extern "C" fn never(_: i32, _: usize, _: usize) {}
    let handler = never as *const () as usize;
    for _ in 0..THREADS {
        ok(thread::spawn(|| process::sleep_ms(u64::MAX)));
    }
    take_all();
    // SAFETY: the handler returns, and uses nothing.
    let for_all = decode(unsafe { system_call::signal(handler) });
    assert_eq!(for_all, Err(Errno::ENOMEM));
    let for_one = sigaction(Signal::SIGUSR1.number(), handler);
    assert_eq!(for_one, Err(Errno::ENOMEM));
}

fn without_memory_nothing_is_opened() {
    take_all();
    // They stay open.
    let pipe = |_| file::pipe().map(core::mem::forget);
    assert_eq!(until_it_fails(pipe), Errno::ENOMEM);
    let open = |_| File::open("hello", OpenFlags::READ).map(core::mem::forget);
    assert_eq!(until_it_fails(open), Errno::ENOMEM);
    let duplicate = |_| file::duplicate(0).map(core::mem::forget);
    assert_eq!(until_it_fails(duplicate), Errno::ENOMEM);
}

fn without_memory_files_and_pipes_do_not_grow() {
    let (_reader, writer) = ok(file::pipe());
    let scratch = ok(File::open(SCRATCH_A, OpenFlags::WRITE));
    join(start(|| {
        take_all();
        assert_eq!(writer.write(b"x"), Err(Errno::ENOMEM));
        assert_eq!(scratch.write(b"x"), Err(Errno::ENOSPC));
    }));
    assert_eq!(writer.write(b"x"), Ok(1));
    empty_scratch(SCRATCH_A);
}

/// The address of every second page of a mapping of `2 * MOST` pages at [`LOCAL`].
fn every_second(round: usize) -> usize {
    LOCAL + (2 * round + 1) * PAGE_SIZE
}

fn without_memory_mappings_are_not_cut() {
    let request = MapRequest::anonymous((2 * MOST + 1) * PAGE_SIZE).at(LOCAL);
    ok(map(&request));
    take_all();
    let mut cuts = 0;
    // SAFETY: nothing uses the page.
    let errno = until_it_fails(|round| unsafe {
        cuts = round;
        unmap(every_second(round), PAGE_SIZE)
    });
    assert_eq!(errno, Errno::ENOMEM);
    assert!(
        mapping(every_second(cuts)).is_ok(),
        "it is gone all the same"
    );
    let rest = every_second(cuts);
    let protect = |round| protect(rest + 2 * round * PAGE_SIZE, PAGE_SIZE, Protection::READ);
    assert_eq!(until_it_fails(protect), Errno::ENOMEM);
}

fn without_memory_pages_of_page_alloc_are_not_given_back_in_part() {
    // SAFETY: nothing else is there.
    ok(unsafe { memory::page_alloc_range(LOCAL, 2 * MOST + 1) });
    take_all();
    // SAFETY: nothing uses the page.
    let errno = until_it_fails(|round| unsafe { memory::page_free(every_second(round), 1) });
    assert_eq!(errno, Errno::ENOMEM);
}

fn without_memory_pages_are_not_moved() {
    const PAGES: usize = 4;
    ok(map(&MapRequest::anonymous(PAGES * PAGE_SIZE).at(LOCAL)));
    mark_pages(LOCAL, PAGES, 1);
    take_all();
    assert_eq!(move_frames(LOCAL, PAGES * PAGE_SIZE), Err(Errno::ENOMEM));
    expect_marks(LOCAL, PAGES, 1);
}

fn without_memory_no_page_is_offered() {
    let stage = Stage::new();
    let partner = start(|| stage.wait_for(1));
    let hello = ok(File::open("hello", OpenFlags::READ));
    join(start(|| {
        // Each is the file's, however forks copy: to offer it a copy is needed.
        let pages = [(); OFFERS_MAX].map(|()| {
            let page = ok(map(&MapRequest::file(&hello, 0, PAGE_SIZE)));
            (page, peek(page))
        });
        take_all();
        // Some frames may still come back from whoever has ended before.
        let errno = until_it_fails(|round| share(partner, pages[round].0));
        assert_eq!(errno, Errno::ENOMEM);
        assert!(pages.iter().all(|(page, before)| peek(*page) == *before));
    }));
    stage.reach(1);
    join(partner);
}

fn without_memory_no_page_is_attached() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    let stage = Stage::new();
    let taker = start(|| {
        // Its own copy of the page, which is where all memory goes.
        // SAFETY: nothing uses it.
        ok(unsafe { unmap(memory, PAGE_SIZE) });
        stage.wait_for(1);
        take_all();
        let attach = |round| attach(owner, memory, every_second(round));
        assert_eq!(until_it_fails(attach), Errno::ENOMEM);
    });
    ok(share(taker, memory));
    stage.reach(1);
    join(taker);
    assert_eq!(peek(memory), 1);
}

fn an_eager_mapping_without_memory_is_taken_back_next_to_a_page_that_a_fork_shares() {
    // In the midst of what one page-table page serves.
    let neighbour = ok(map(
        &MapRequest::anonymous(PAGE_SIZE).at(LOCAL + 5 * PAGE_SIZE)
    ));
    poke(neighbour, 1);
    join(start(|| {
        let len = (process::sysinfo().total_frames as usize + 1) * PAGE_SIZE;
        let request = MapRequest::anonymous(len).at(neighbour - len);
        assert_eq!(map(&request.flags(MapFlags::EAGER)), Err(Errno::ENOMEM));
        for address in [neighbour - len, neighbour - PAGE_SIZE] {
            assert_eq!(mapping(address), Err(Errno::EFAULT), "{address:#x}");
        }
        poke(neighbour, 2);
    }));
    assert_eq!(peek(neighbour), 1);
}
