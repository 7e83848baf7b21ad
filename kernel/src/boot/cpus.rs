//! The CPUs at boot: the boot CPU's own parts, then all others.

use smp::cpu::CpuId;
use smp::ipi::{self, stop};
use smp::topology::{self, Topology};
use smp::{apic, fpu, irq, mailbox, percpu, time};

use super::command_line::CommandLine;
use super::info::BootInfo;
use super::{BOOT_BLOCK, entry, memory};
use crate::trap::{segments, user_loop, vectors};

/// Finds the machine's CPUs.
///
/// Needs: the heap, and the boot tables, which reach the firmware's tables.
pub fn find(info: &BootInfo) -> Topology {
    let boot_apic_id = apic::initial_id();
    BOOT_BLOCK.set_apic_id(boot_apic_id);
    let reach = |address: usize, len: usize| {
        let end = (address as u64).saturating_add(len as u64);
        if end <= entry::mapped_bytes() { address as *const u8 } else { core::ptr::null() }
    };
    // SAFETY: the boot tables map what `reach` allows, and nobody changes the firmware's tables.
    let found = unsafe { topology::discover(info.rsdp as usize, boot_apic_id, reach) };
    let topology = found.unwrap_or_else(|error| {
        smp::log!("only the boot CPU is used: {error}");
        Topology { boot_apic_id, others: alloc::vec::Vec::new(), disabled: 0, too_many: 0 }
    });
    if topology.too_many != 0 {
        smp::log!("{} CPUs too many are left out", topology.too_many);
    }
    smp::cpu::set_possible(topology.possible_cpus());
    topology
}

/// Sets up the boot CPU, and what all CPUs share.
///
/// Needs: the kernel's own map.
pub fn init_boot_cpu(topology: &Topology, command_line: &CommandLine) {
    let cpus = topology.possible_cpus();
    if let Some(spins) = command_line.number("spin") {
        smp::wait::set_spin_limit(spins as u32);
    }
    if let Some(frequency_hz) = command_line.number("hz") {
        proc::sched::tick::set_frequency_hz(frequency_hz);
    }
    init_own_parts(&BOOT_BLOCK);
    let force_xapic = command_line.value("apic") == Some("xapic");
    // SAFETY: 1. the first use of the APIC, with interrupts off since the entry code. 2. the kernel's map has the page,
    // uncached.
    let mode = unsafe { apic::init_boot_cpu(memory::LOCAL_APIC_ADDRESS, force_xapic) };
    let calibration = match time::init(entry::first_instruction_tsc()) {
        Ok(calibration) => calibration,
        Err(error) => panic!("no clock: {error:?}"),
    };
    smp::log!("boot CPU: APIC id {}, {mode:?}, {calibration:?}", topology.boot_apic_id);
    let ready = mailbox::init(cpus, ipi::ring_mailboxes)
        .and_then(|()| stop::init(cpus))
        .map_err(|_| mm::NoMemory)
        .and_then(|()| mm::init_cpus(cpus))
        .and_then(|()| proc::init(cpus, mm::frame::accounts().total, user_loop::run));
    if ready.is_err() {
        panic!("no memory for {cpus} CPUs");
    }
    stop::can_be_stopped();
}

/// Starts all other CPUs.
pub fn start_others(_topology: &Topology) {}

/// What each CPU does for itself before it can take an exception or interrupt.
fn init_own_parts(block: &'static percpu::PerCpuBlock) {
    if segments::init_cpu(block).is_err() {
        panic!("no memory for the segments of CPU {}", block.cpu().index());
    }
    vectors::init_cpu();
    fpu::init_cpu();
}

/// Runs the boot CPU's idle loop: from here on it is like any other.
pub fn idle() -> ! {
    run_idle_loop(CpuId::BOOT)
}

fn run_idle_loop(cpu: CpuId) -> ! {
    // SAFETY: 1. interrupts are off since this CPU started. 2. nobody on this stack, which began there, wanted them off.
    drop(unsafe { irq::IrqOff::adopt() });
    match proc::sched::run_idle_loop(cpu) {
        Err(mm::NoMemory) => panic!("no memory for the idle thread of CPU {}", cpu.index()),
        Ok(never) => match never {},
    }
}
