//! What every CPU must do.

use abi::ExitStatus;
use proc::affinity::set_affinity;
use proc::sched;
use proc::sleep::sleep_ns;
use proc::spawn::KernelSpace;
use smp::cpu_set::CpuSet;
use smp::{CpuId, percpu, pin, time};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};

use super::{NotSo, demand, self_tests, status_of_child};

self_tests![
    a_thread_runs_on_the_cpu_that_it_is_bound_to,
    every_cpu_protects_the_kernel,
    the_clock_never_goes_back_from_cpu_to_cpu,
    the_timer_of_every_cpu_wakes_who_sleeps,
    a_child_on_any_cpu_wakes_its_parent,
];

/// Calls `body` on each CPU in turn.
fn on_each_cpu(mut body: impl FnMut(CpuId) -> Result<(), NotSo>) -> Result<(), NotSo> {
    let outcome = CpuSet::all().iter().try_for_each(|cpu| {
        bind_to(&CpuSet::single(cpu))?;
        body(cpu)
    });
    bind_to(&CpuSet::all())?;
    outcome
}

fn bind_to(cpus: &CpuSet) -> Result<(), NotSo> {
    let bound = set_affinity(&sched::current(), 0, cpus);
    demand!(bound.is_ok(), "to be bound to CPUs: {bound:?}");
    Ok(())
}

fn a_thread_runs_on_the_cpu_that_it_is_bound_to() -> Result<(), NotSo> {
    on_each_cpu(|cpu| {
        let pin = pin::pin();
        let (here, apic_id) = (pin.cpu(), smp::apic::id());
        let known = percpu::block_of(here).map(|block| block.apic_id());
        drop(pin);
        demand!(here == cpu, "to be on CPU {cpu:?}, not {here:?}");
        demand!(known == Some(apic_id), "APIC id {apic_id}, not {known:?}");
        Ok(())
    })
}

fn every_cpu_protects_the_kernel() -> Result<(), NotSo> {
    on_each_cpu(|cpu| {
        let pin = pin::pin();
        let (cr0, cr4, efer) = (Cr0::read(), Cr4::read(), Efer::read());
        drop(pin);
        let protections = [
            ("WP", cr0.contains(Cr0Flags::WRITE_PROTECT)),
            (
                "SMEP",
                cr4.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
            ),
            (
                "SMAP",
                cr4.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
            ),
            ("NX", efer.contains(EferFlags::NO_EXECUTE_ENABLE)),
        ];
        for (name, is_on) in protections {
            demand!(is_on, "{name} on CPU {cpu:?}");
        }
        Ok(())
    })
}

/// Twice around, so that each CPU follows each.
fn the_clock_never_goes_back_from_cpu_to_cpu() -> Result<(), NotSo> {
    let mut last_ns = time::now_ns();
    for _ in 0..2 {
        on_each_cpu(|cpu| {
            let now_ns = time::now_ns();
            demand!(now_ns >= last_ns, "{now_ns} on CPU {cpu:?} after {last_ns}");
            last_ns = now_ns;
            Ok(())
        })?;
    }
    Ok(())
}

const NAP_NS: u64 = 3_000_000;

fn the_timer_of_every_cpu_wakes_who_sleeps() -> Result<(), NotSo> {
    on_each_cpu(|cpu| {
        let start_ns = time::now_ns();
        let slept = sleep_ns(NAP_NS);
        let duration_ns = time::now_ns() - start_ns;
        demand!(slept.is_ok(), "undisturbed sleep on CPU {cpu:?}");
        demand!(
            duration_ns >= NAP_NS,
            "{NAP_NS} ns of sleep, not {duration_ns}"
        );
        Ok(())
    })
}

/// The status of a child that is on another CPU than it should be.
const FAILED_CHILD: i32 = 255;

/// The number of the CPU is the child's status.
fn a_child_on_any_cpu_wakes_its_parent() -> Result<(), NotSo> {
    for cpu in CpuSet::all().iter() {
        let status = (cpu.index() % 128) as i32;
        let found = status_of_child(KernelSpace::Parents, move || {
            match bind_to(&CpuSet::single(cpu)) {
                Ok(()) if pin::pin().cpu() == cpu => status,
                _ => FAILED_CHILD,
            }
        });
        demand!(
            found == Ok(ExitStatus::exited(status)),
            "a child's status {status}, not {found:?}"
        );
    }
    Ok(())
}
