//! The Argonaut kernel.
//!
//! [`main`] is the list of what happens at boot. From there: [`trap`] is how the processor comes into the kernel,
//! [`syscall`] what programs ask for, [`device`] the hardware around, [`shell`] the kernel's own shell,
//! [`kernel_programs`] the programs that are part of it.
#![no_std]
#![no_main]

extern crate alloc;

mod accounts;
mod backtrace;
mod boot;
mod breaks;
mod device;
mod failures;
mod kernel_programs;
mod mappings;
mod memory_view;
mod paging_test;
mod panic;
mod plants;
mod shell;
mod syscall;
mod trap;

use boot::command_line::CommandLine;
use boot::info::BootInfo;
use boot::{cpus, features, memory, programs};
use device::{console, log, serial};

/// The boot CPU's way from the entry code to its idle loop. Each step needs those before it.
extern "C" fn main(start_info: usize) -> ! {
    // SAFETY: the entry code calls this once, first of all, with GS of the boot CPU unused.
    unsafe { smp::percpu::install(&boot::BOOT_BLOCK) }; // locks count on it
    serial::init(); // so that everything after can complain
    log::init();
    // SAFETY: the entry code passes what the loader left in EBX, and nothing has been written but the kernel's own
    // data.
    let info = unsafe { BootInfo::read(start_info) };
    let command_line = CommandLine::new(info.command_line);
    info.initrd
        .inspect(|archive| backtrace::find_symbols(archive)); // so that a panic can name functions
    features::require(); // refuses processors that lack what the kernel is built on
    breaks::pull_all(&command_line);
    failures::arrange(&command_line);
    memory::init(&info); // frames and heap
    let topology = cpus::find(&info);
    memory::build_map(&info, &command_line); // the kernel's own page tables
    cpus::init_boot_cpu(&command_line); // exceptions, APIC, clock
    cpus::start_others(&topology, &command_line); // and what each CPU has of its own
    console::init(); // input by interrupts
    programs::start(&info, &command_line); // the file tree, `init`, the kernel shell
    cpus::idle()
}
