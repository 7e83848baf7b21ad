//! Bring-up with CPUs that are functions: on a start-up command each does what the trampoline does.

use std::boxed::Box;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::roster::{ANSWERED, ASKED, Candidate, RELEASED, Roster, STARTED};
use super::{CpuResources, NotStarted, Starter};
use crate::{CpuId, OutOfMemory, PerCpuBlock, host, ipi};

/// What a start-up command does to a CPU.
#[derive(Copy, Clone, PartialEq)]
enum Kind {
    Works,
    /// Hears only the second command.
    Deaf,
    Dead,
    /// Answers, and breaks before it gets into the kernel.
    Breaks,
}

struct Machine {
    kinds: BTreeMap<u32, Kind>,
    commands: RefCell<Vec<u32>>,
    roster: Roster,
}

impl Machine {
    fn new(kinds: &[(u32, Kind)]) -> Machine {
        let ids: Vec<u32> = kinds.iter().map(|(id, _)| *id).collect();
        let roster = Roster::new(&ids, 0xfe).unwrap();
        Machine {
            kinds: kinds.iter().copied().collect(),
            commands: RefCell::default(),
            roster,
        }
    }

    fn asked(self) -> Machine {
        self.roster.ask(&self);
        self
    }

    fn answered(&self) -> Vec<u32> {
        self.roster.answered().collect()
    }

    fn candidate(&self, apic_id: u32) -> &Candidate {
        self.roster
            .candidates
            .iter()
            .find(|candidate| candidate.apic_id == apic_id)
            .unwrap()
    }

    /// What the trampoline does.
    fn run_trampoline(&self, apic_id: u32) {
        let candidate = self.candidate(apic_id);
        if candidate.advance(ASKED, ANSWERED) || self.kinds[&apic_id] == Kind::Breaks {
            return;
        }
        if candidate.advance(RELEASED, STARTED) {
            let block = candidate.block.load(core::sync::atomic::Ordering::Relaxed);
            // SAFETY: the tests leak their blocks.
            host::become_cpu(unsafe { &*block }.cpu());
            ipi::announce();
            host::become_cpu(CpuId::BOOT);
        }
    }
}

impl Starter for Machine {
    fn init(&self, apic_id: u32) {
        self.commands.borrow_mut().retain(|sent| *sent != apic_id);
    }

    fn start_up(&self, apic_id: u32) {
        let first = !self.commands.borrow().contains(&apic_id);
        self.commands.borrow_mut().push(apic_id);
        match self.kinds[&apic_id] {
            Kind::Works | Kind::Breaks => self.run_trampoline(apic_id),
            Kind::Deaf if !first => self.run_trampoline(apic_id),
            Kind::Deaf | Kind::Dead => {}
        }
    }

    fn patience_ms(&self, _cpus: usize) -> u64 {
        30
    }
}

fn provide(cpu: CpuId, apic_id: u32) -> Result<CpuResources, OutOfMemory> {
    Ok(CpuResources {
        stack_top: 0x1000,
        block: Box::leak(Box::new(PerCpuBlock::new(cpu, apic_id))),
    })
}

#[test]
fn all_cpus_answer_and_start_with_dense_numbers_in_order() {
    let machine = Machine::new(&[(6, Kind::Works), (2, Kind::Works), (9, Kind::Deaf)]).asked();
    assert_eq!(machine.answered(), [6, 2, 9]);
    let mut given = Vec::new();
    let count = machine.roster.release(&machine, |cpu, apic_id| {
        given.push((cpu.index(), apic_id));
        provide(cpu, apic_id)
    });
    assert_eq!((count, given), (Ok(4), std::vec![(1, 6), (2, 2), (3, 9)]));
}

#[test]
fn a_silent_cpu_is_reported_and_the_others_close_ranks() {
    let machine = Machine::new(&[(1, Kind::Works), (2, Kind::Dead), (3, Kind::Works)]).asked();
    assert_eq!(machine.roster.silent().collect::<Vec<_>>(), [2]);
    assert_eq!(
        (machine.answered(), machine.roster.count()),
        (std::vec![1, 3], 3)
    );
    assert_eq!(machine.roster.release(&machine, provide), Ok(3));
}

#[test]
fn a_cpu_that_answers_late_is_not_let_in() {
    let machine = Machine::new(&[(1, Kind::Dead), (2, Kind::Works)]).asked();
    machine.run_trampoline(1);
    assert_eq!(machine.answered(), [2]);
    assert_eq!(machine.roster.release(&machine, provide), Ok(2));
    machine.run_trampoline(1);
    assert_eq!(machine.roster.silent().collect::<Vec<_>>(), [1]);
}

#[test]
fn cpus_for_which_there_is_no_memory_are_left_out() {
    let machine = Machine::new(&[(1, Kind::Works), (2, Kind::Works), (3, Kind::Works)]).asked();
    let count = machine
        .roster
        .release(&machine, |cpu, apic_id| match apic_id {
            2 => Err(OutOfMemory),
            _ => provide(cpu, apic_id),
        });
    assert_eq!((count, machine.answered()), (Ok(2), std::vec![2, 3]));
}

#[test]
fn a_cpu_that_answers_but_does_not_start_is_an_error() {
    // A number that no other test announces.
    let machine = Machine::new(&[(7, Kind::Breaks)]).asked();
    let beyond = |_, apic_id| provide(CpuId::new(777), apic_id);
    assert_eq!(
        machine.roster.release(&machine, beyond),
        Err(NotStarted { apic_id: 7 })
    );
}

#[test]
fn cpus_beyond_the_reach_of_the_mode_are_not_asked() {
    let roster = Roster::new(&[1, 0xff, 300], 0xfe).unwrap();
    assert_eq!(roster.unreachable(), [0xff, 300]);
    assert_eq!(roster.candidates.len(), 1);
}
