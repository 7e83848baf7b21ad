//! The end: a panic stops all CPUs, prints where each was, and ends QEMU with a status of its own. The first CPU that
//! panics does so; others only halt.

use core::panic::PanicInfo;

use protocol::Line;
use smp::ipi::stop;

use crate::backtrace::Backtrace;
use crate::device::{console, power, screen, serial};
use crate::trap::stubs::halt_for_ever;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    x86_64::instructions::interrupts::disable();
    let this_cpu = smp::cpu::id_racy();
    match stop::stop_other_cpus() {
        Ok(()) => {}
        Err(first) if first == this_cpu => {
            power::off(&Line::Panic("a panic while a panic was reported"))
        }
        Err(_) => halt_for_ever(),
    }
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
