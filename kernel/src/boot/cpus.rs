//! The CPUs at boot: the boot CPU's own parts, then all others.

use mm::NoMemory;
use mm::stack::KernelStack;
use proc::table;
use smp::apic::ApicMode;
use smp::bring_up::{self, CpuResources};
use smp::cpu::CpuId;
use smp::fiber::KernelStackOwner;
use smp::ipi::{self, stop};
use smp::percpu::{self, PerCpuBlock};
use smp::topology::{self, Topology};
use smp::{OutOfMemory, apic, fpu, irq, mailbox, time, watchdog};

use super::command_line::CommandLine;
use super::info::BootInfo;
use super::{BOOT_BLOCK, entry, features, memory};
use crate::device::io_apic;
use crate::failures;
use crate::trap::{segments, user_loop, vectors};

/// The kernel's own threads, `init` and a program or two.
const LEAST_TABLE_CAPACITY: u64 = 32;
const MOST_TABLE_CAPACITY: u64 = 1 << 20;

/// Finds the machine's CPUs.
///
/// Needs: the heap, and the boot tables, which reach the firmware's tables.
pub(crate) fn find(info: &BootInfo) -> Topology {
    let boot_apic_id = features::initial_apic_id();
    BOOT_BLOCK.set_apic_id(boot_apic_id);
    let reach = |address: usize, len: usize| {
        let end = (address as u64).saturating_add(len as u64);
        if end <= entry::mapped_bytes() {
            address as *const u8
        } else {
            core::ptr::null()
        }
    };
    // SAFETY: the boot tables map what `reach` allows, and nobody changes the firmware's tables.
    let found = unsafe { topology::discover(info.rsdp as usize, boot_apic_id, reach) };
    let topology = found.unwrap_or_else(|error| {
        smp::log!("only the boot CPU is used: {error}");
        Topology {
            boot_apic_id,
            others: alloc::vec::Vec::new(),
            disabled: 0,
            too_many: 0,
        }
    });
    if topology.too_many != 0 {
        smp::log!("{} CPUs too many are left out", topology.too_many);
    }
    smp::cpu::set_possible(topology.possible_cpus());
    topology
}

/// Sets up the boot CPU: exceptions, interrupts, the clock.
///
/// Needs: the kernel's own map.
pub(crate) fn init_boot_cpu(command_line: &CommandLine) {
    if let Some(spins) = command_line.number("spin") {
        smp::wait::set_spin_limit(u32::try_from(spins).unwrap_or(u32::MAX));
    }
    smp::lock::set_statistics(command_line.value("locks") == Some("on"));
    init_own_parts(&BOOT_BLOCK);
    io_apic::mask_legacy_controllers();
    let force_xapic = command_line.is_first_of("apic", ["xapic", "x2apic"]);
    // SAFETY: 1. the first use of the APIC, with interrupts off since the entry code. 2. the kernel's map has the page,
    // uncached.
    let mode = unsafe { apic::init_boot_cpu(memory::LOCAL_APIC_ADDRESS, force_xapic) };
    match time::init(entry::first_instruction_tsc()) {
        Ok(calibration) => smp::log!("APICs in {} mode, {calibration:?}", mode_name(mode)),
        Err(error) => panic!("no clock: {error:?}"),
    }
}

/// The name of a mode as manuals spell it.
pub(crate) fn mode_name(mode: ApicMode) -> &'static str {
    match mode {
        ApicMode::XApic => "xAPIC",
        ApicMode::X2Apic => "x2APIC",
    }
}

/// Starts all other CPUs, and makes what each CPU has of its own. Afterwards all of them run their idle loops, but the
/// boot CPU, which goes on here.
pub(crate) fn start_others(topology: &Topology, command_line: &CommandLine) {
    let Some(root) = mm::kernel_map::root_pa() else {
        panic!("CPUs are started before the kernel's map is built")
    };
    let deaf = failures::deaf_cpu(command_line, &topology.others);
    // SAFETY: 1. the boot CPU, whose APIC and clock are set up. 2. the page is RAM below the first megabyte, which
    // `memory` has reserved. 3. the kernel's map is never freed, and is built below 4 GiB. 4. `topology` has no
    // doubles.
    let woken = unsafe {
        bring_up::wake(
            memory::TRAMPOLINE_PAGE,
            root.as_u64() as u32,
            &topology.others,
            deaf,
        )
    };
    let Ok(roster) = woken else {
        panic!("no memory for a list of CPUs")
    };
    for apic_id in roster.silent().chain(roster.unreachable().iter().copied()) {
        smp::log!("the CPU with APIC id {apic_id} does not answer and is left out");
    }
    let answered = roster.count();
    init_shared_parts(answered, command_line);
    ipi::announce();
    // SAFETY: 1. the boot CPU has just announced itself. 2. `provide` leaks both. 3. the line before the last.
    match unsafe { roster.start(enter_other_cpu, deaf, provide) } {
        Ok(count) => {
            if count < answered {
                smp::log!("no memory for {} CPUs: they are left out", answered - count);
            }
            smp::log!("{count} CPUs");
        }
        Err(error) => panic!("{error}"),
    }
}

/// What mm, proc and the mailboxes keep for each CPU.
fn init_shared_parts(cpus: usize, command_line: &CommandLine) {
    if let Some(frequency_hz) = command_line.number("hz") {
        proc::sched::tick::set_frequency_hz(frequency_hz);
    }
    if let Some(seed) = command_line.number("shake")
        && proc::sched::shake::start(cpus, seed).is_err()
    {
        panic!("no memory to shake {cpus} CPUs");
    }
    let ready = mailbox::init(cpus, ipi::ring_mailboxes)
        .and_then(|()| stop::init(cpus))
        .and_then(|()| watchdog::init(cpus, command_line.number("watchdog")))
        .map_err(|OutOfMemory| NoMemory)
        .and_then(|()| mm::init_cpus(cpus))
        .and_then(|()| proc::init(cpus, table_capacity(command_line), user_loop::run));
    if ready.is_err() {
        panic!("no memory for {cpus} CPUs");
    }
}

/// How many entries the process table shall have. Panics if the boot line asks for fewer than the kernel itself needs.
fn table_capacity(command_line: &CommandLine) -> usize {
    match command_line.number("table") {
        None => table::usual_capacity(mm::frame::accounts().total),
        Some(entries @ LEAST_TABLE_CAPACITY..=MOST_TABLE_CAPACITY) => entries as usize,
        Some(entries) => panic!(
            "boot line: table={entries} is not from {LEAST_TABLE_CAPACITY} to {MOST_TABLE_CAPACITY}"
        ),
    }
}

/// A stack and a block for another CPU, which keeps them for ever.
fn provide(cpu: CpuId, apic_id: u32) -> Result<CpuResources, OutOfMemory> {
    let block =
        mm::heap::try_box(PerCpuBlock::new(cpu, apic_id)).map_err(|NoMemory| OutOfMemory)?;
    let stack = KernelStack::new().map_err(|NoMemory| OutOfMemory)?;
    let stack_top = stack.top();
    core::mem::forget(stack);
    Ok(CpuResources {
        stack_top,
        block: alloc::boxed::Box::leak(block),
    })
}

/// Where another CPU arrives in the kernel.
extern "C" fn enter_other_cpu(index: usize) -> ! {
    let cpu = CpuId::new(index);
    let Some(block) = percpu::block_of(cpu) else {
        panic!("CPU {index} has no block")
    };
    init_own_parts(block);
    // SAFETY: 1. the boot CPU has chosen the mode. 2. interrupts are off since this CPU started, and the vectors are
    // set.
    unsafe { apic::init_cpu() };
    ipi::announce();
    run_idle_loop(cpu)
}

/// What each CPU does for itself before it can take an exception or interrupt.
fn init_own_parts(block: &'static PerCpuBlock) {
    // First: frames are zeroed by its registers.
    fpu::init_cpu();
    if segments::init_cpu(block).is_err() {
        panic!("no memory for the segments of CPU {}", block.cpu().index());
    }
    vectors::init_cpu();
}

/// Runs the boot CPU's idle loop: from here on it is like any other.
pub(crate) fn idle() -> ! {
    run_idle_loop(CpuId::BOOT)
}

fn run_idle_loop(cpu: CpuId) -> ! {
    // SAFETY: 1. interrupts are off since this CPU started. 2. nobody on this stack, which began there, wanted them
    // off.
    drop(unsafe { irq::IrqOff::adopt() });
    match proc::sched::run_idle_loop(cpu) {
        Err(mm::NoMemory) => panic!("no memory for the idle thread of CPU {}", cpu.index()),
        Ok(never) => match never {},
    }
}
