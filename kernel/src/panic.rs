//! The end: a panic stops all CPUs, prints where each was, and ends QEMU with a status of its own.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use protocol::Line;
use smp::ipi::stop;

use crate::backtrace::Backtrace;
use crate::device::{console, power, screen, serial};
use crate::trap::stubs::halt_for_ever;

/// The first CPU that panics, plus one. Others that panic only halt.
static PANICKING: AtomicUsize = AtomicUsize::new(0);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    x86_64::instructions::interrupts::disable();
    let this_cpu = smp::cpu::id_racy();
    let mark = this_cpu.index() + 1;
    // AcqRel: whoever comes second sees that somebody else has the machine.
    match PANICKING.compare_exchange(0, mark, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(first) if first == mark => {
            power::off(&Line::Panic("a panic while a panic was reported"))
        }
        Err(_) => halt_for_ever(),
    }
    stop::stop_other_cpus();
    serial::break_locks();
    report(format_args!(
        "kernel panic on CPU {}: {info}",
        this_cpu.index()
    ));
    report(format_args!("{}", Backtrace::here()));
    for (cpu, place) in stop::stopped_cpus() {
        report(format_args!(
            "CPU {} was at\n{}",
            cpu.index(),
            Backtrace::at(place.rip, place.rbp)
        ));
    }
    for cpu in &stop::unreachable_cpus() {
        report(format_args!("CPU {} did not stop", cpu.index()));
    }
    screen::refresh();
    power::off(&Line::Panic(info.message()))
}

fn report(text: core::fmt::Arguments<'_>) {
    smp::log!("{text}");
    console::message(format_args!("{text}\n"));
}
