//! Notes that interrupt handlers leave for the thread, or the idle loop, of the same CPU.
//!
//! The way to user mode looks for notes with interrupts off, and so does the idle loop before it halts: a note left
//! after that look comes with an interrupt that ends user mode or the halt.

use core::sync::atomic::Ordering;

use smp::pin::{self, Pinned};
use smp::{irq, percpu};
use spin::Once;

use super::{shake, tick, yield_now};

/// The timer fired while a user program ran.
const TIMER_IN_USER_MODE: u8 = 1;
/// The timer fired in the kernel or in the idle loop.
const TIMER_IN_KERNEL: u8 = 2;
/// A device has something that [`set_device_work`]'s function is to handle.
const DEVICE: u8 = 4;

static DEVICE_WORK: Once<fn()> = Once::new();

/// Names the function that handles what device interrupts announce. It runs on a thread or in the idle loop.
pub fn set_device_work(work: fn()) {
    DEVICE_WORK.call_once(|| work);
}

fn leave(note: u8) {
    let off = irq::disable();
    // Relaxed: written and read on one CPU.
    percpu::own_block(&off)
        .notes
        .fetch_or(note, Ordering::Relaxed);
}

/// For the timer's interrupt handler.
pub fn leave_timer_note(in_user_mode: bool) {
    leave(if in_user_mode {
        TIMER_IN_USER_MODE
    } else {
        TIMER_IN_KERNEL
    });
    shake::ring_again(&irq::disable());
}

/// For the interrupt handlers of devices.
pub fn leave_device_note() {
    leave(DEVICE);
}

/// The notes on this CPU: 0 if there are none. Ask with interrupts off, or the answer is stale.
#[inline]
pub fn notes(pin: &Pinned) -> u64 {
    percpu::own_notes(pin)
}

/// Whether there are notes on this CPU. Ask with interrupts off, or the answer is stale.
#[inline]
pub fn any(pin: &Pinned) -> bool {
    notes(pin) != 0
}

/// Acts on all notes of this CPU. May give the CPU to another thread.
#[inline]
pub fn serve() {
    // A note that is left just after this look is found by the next one.
    if any(&pin::pin()) {
        serve_notes();
    }
}

fn serve_notes() {
    let off = irq::disable();
    let notes = percpu::own_block(&off).notes.swap(0, Ordering::Relaxed);
    drop(off);
    // The notes are about this CPU, so what may end in a switch comes last.
    let has_ticked = notes & (TIMER_IN_USER_MODE | TIMER_IN_KERNEL) != 0;
    let turn_ends = has_ticked && tick::serve_timer(notes & TIMER_IN_USER_MODE != 0);
    if notes & DEVICE != 0
        && let Some(work) = DEVICE_WORK.get()
    {
        work();
    }
    if turn_ends {
        yield_now();
    }
}
