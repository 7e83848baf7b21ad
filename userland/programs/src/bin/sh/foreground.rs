//! The programs in the foreground: who gets Ctrl-C.
//!
//! The kernel sends SIGINT to the shell, which was started in the foreground. The shell's handler passes it on to the
//! programs that the shell waits for, and nobody else gets it: not the shell, not its jobs.

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use ulib::{Errno, ExitStatus, Pid, Signal, process, signal};

use crate::command::MAX_PROGRAMS;

// Relaxed, here and below: the handler runs in the thread that it interrupts, the only one.

/// The programs, 0 where there is none.
static PROGRAMS: [AtomicI32; MAX_PROGRAMS] = [const { AtomicI32::new(0) }; MAX_PROGRAMS];
/// Whether Ctrl-C was pressed since the line began.
static WAS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets the shell survive Ctrl-C.
pub(crate) fn catch_interrupts() -> Result<(), Errno> {
    signal::handle(Signal::SIGINT, Some(pass_on))
}

extern "C" fn pass_on(_: i32, _: usize, _: usize) {
    WAS_INTERRUPTED.store(true, Ordering::Relaxed);
    for place in &PROGRAMS {
        interrupt(place.load(Ordering::Relaxed));
    }
}

fn interrupt(program: Pid) {
    if program != 0 {
        // One that has ended just now needs none.
        let _ = process::kill(program, Signal::SIGINT);
    }
}

/// A line begins, with its prompt: Ctrl-C right behind a line is for what that starts.
pub(crate) fn begin() {
    WAS_INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Whether Ctrl-C was pressed since the line began.
pub(crate) fn was_interrupted() -> bool {
    WAS_INTERRUPTED.load(Ordering::Relaxed)
}

/// A program that was just started is in the foreground.
pub(crate) fn add(program: Pid) {
    let free = PROGRAMS
        .iter()
        .find(|place| place.load(Ordering::Relaxed) == 0);
    if let Some(place) = free {
        place.store(program, Ordering::Relaxed);
    }
    // Between its start and the store the handler has not known it.
    if was_interrupted() {
        interrupt(program);
    }
}

/// Waits until a program in the foreground has ended.
pub(crate) fn wait_for(program: Pid) -> Result<ExitStatus, Errno> {
    let outcome = loop {
        match process::wait(program) {
            Err(Errno::EINTR) => {}
            outcome => break outcome,
        }
    };
    for place in &PROGRAMS {
        if place.load(Ordering::Relaxed) == program {
            place.store(0, Ordering::Relaxed);
        }
    }
    outcome
}
