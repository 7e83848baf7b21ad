//! The end: a panic stops all CPUs, prints where each was, and ends QEMU with a status of its own.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use protocol::Line;
use smp::ipi::stop;

use crate::backtrace::Backtrace;
use crate::device::{console, power};
use crate::trap::stubs::halt_for_ever;

/// Set by the first CPU that panics. The others, and a panic inside the panic, only halt.
static PANICKING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    x86_64::instructions::interrupts::disable();
    // AcqRel: whoever comes second sees that somebody else has the machine.
    if PANICKING.swap(true, Ordering::AcqRel) {
        halt_for_ever();
    }
    stop::stop_other_cpus();
    let this_cpu = smp::cpu::id_racy();
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
    power::off(&Line::Panic(info.message()))
}

fn report(text: core::fmt::Arguments<'_>) {
    smp::log!("{text}");
    console::message(format_args!("{text}\n"));
}
