//! Page faults. For want of memory they end the process, or call its handler, which may let it try again.

use core::cell::Cell;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::layout::PAGE_SIZE;
use abi::{MapFlags, OpenFlags};
use ulib::failures::{self, Plan};
use ulib::file::File;
use ulib::mapping::{MapRequest, Mapping};
use ulib::signal::{self, FaultKind};
use ulib::{Errno, Signal};

use crate::sweep::{Attempt, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("touch a lazy page", touch, |_| {}),
    Operation::new("touch it, with a handler", touch_with_handler, |_| {}),
    Operation::new("touch a big lazy page", touch_big, |_| {}),
    Operation::new("write after a fork", write_after_fork, |_| {}),
    Operation::new("read a page of a file", read_file_page, |_| {}),
    Operation::new("write a page of a file", write_file_page, |_| {}),
    Operation::new("write a shared page", write_shared, |_| {}),
    Operation::new("a stack that grows", grow_stack, |_| {}),
];

const LEN: usize = 8 * PAGE_SIZE;

/// A child touches the page in the middle of what `request` maps.
fn touch_in_child(plan: Plan, request: &MapRequest, touch: fn(&AtomicU64)) -> Attempt {
    Attempt::in_child(|| {
        let memory = Mapping::new(request)?;
        let word = memory.words().get(request.len / 16).ok_or(Errno::EINVAL)?;
        plan.arm()?;
        touch(word);
        failures::disarm().map(drop)
    })
}

fn write(word: &AtomicU64) {
    word.store(1, Ordering::Relaxed);
}

fn read(word: &AtomicU64) {
    word.load(Ordering::Relaxed);
}

fn touch(plan: Plan) -> Attempt {
    touch_in_child(plan, &MapRequest::anonymous(LEN), write)
}

fn touch_big(plan: Plan) -> Attempt {
    touch_in_child(plan, &MapRequest::anonymous(8 << 20), write)
}

fn write_shared(plan: Plan) -> Attempt {
    touch_in_child(
        plan,
        &MapRequest::anonymous(LEN).flags(MapFlags::SHARED),
        write,
    )
}

fn read_file_page(plan: Plan) -> Attempt {
    match File::open("nop", OpenFlags::READ) {
        Ok(file) => touch_in_child(plan, &MapRequest::file(&file, 0, PAGE_SIZE), read),
        Err(errno) => Attempt::not_begun(errno),
    }
}

fn write_file_page(plan: Plan) -> Attempt {
    match File::open("nop", OpenFlags::READ) {
        Ok(file) => touch_in_child(plan, &MapRequest::file(&file, 0, PAGE_SIZE), write),
        Err(errno) => Attempt::not_begun(errno),
    }
}

static FAULTS: AtomicU32 = AtomicU32::new(0);

/// Lets the thread try again, with memory this time.
extern "C" fn note_want_of_memory(_signal: i32, _address: usize, kind: usize) {
    assert_eq!(
        FaultKind::from_number(kind),
        Some(FaultKind::NoMemory),
        "another fault"
    );
    let _ = failures::disarm();
    FAULTS.fetch_add(1, Ordering::Relaxed);
}

/// The handler is called for want of memory; when it returns, the access is made again.
fn touch_with_handler(plan: Plan) -> Attempt {
    Attempt::in_child(|| {
        signal::handle(Signal::SIGSEGV, Some(note_want_of_memory))?;
        let memory = Mapping::new(&MapRequest::anonymous(LEN))?;
        let word = memory.words().first().ok_or(Errno::EINVAL)?;
        plan.arm()?;
        write(word);
        let failed = failures::disarm()?;
        let faults = FAULTS.load(Ordering::Relaxed);
        // One plan, which the handler ends: one fault, if any.
        match faults == u32::from(failed != 0) && word.load(Ordering::Relaxed) == 1 {
            true => Ok(()),
            false => Err(Errno::EIO),
        }
    })
}

/// Parent and child share a page; the child writes it.
fn write_after_fork(plan: Plan) -> Attempt {
    let memory = match Mapping::new(&MapRequest::anonymous(LEN)) {
        Ok(memory) => memory,
        Err(errno) => return Attempt::not_begun(errno),
    };
    memory.words().iter().for_each(write);
    Attempt::in_child(|| {
        let word = memory.words().first().ok_or(Errno::EINVAL)?;
        plan.arm()?;
        write(word);
        failures::disarm().map(drop)
    })
}

/// How much deeper the stack becomes.
const DEPTH: usize = 128 * 1024;

fn grow_stack(plan: Plan) -> Attempt {
    #[inline(never)]
    fn use_much() {
        let bytes = [const { Cell::new(0_u8) }; DEPTH];
        let last = black_box(&bytes);
        if let Some(byte) = last.first() {
            byte.set(1);
        }
    }
    Attempt::in_child(|| {
        plan.arm()?;
        use_much();
        failures::disarm().map(drop)
    })
}
