//! The matrix: the machines that the kernel must run on.

use std::fmt;

use crate::Boot;

/// A row of the matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machine {
    /// How many CPUs.
    pub cpus: usize,
    /// x2APIC or xAPIC.
    pub apic: &'static str,
    /// Levels of page tables.
    pub levels: usize,
    /// Memory.
    pub memory: &'static str,
    /// QEMU's machine type.
    pub machine: &'static str,
    /// How the CPUs are arranged.
    pub topology: &'static str,
    /// Ticks a second.
    pub hz: usize,
}

const CPUS: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 16, 64, 255];
const MEMORY: [&str; 3] = ["64M", "1G", "8G"];
const TOPOLOGIES: [&str; 3] = ["sockets", "cores", "threads"];
/// With more CPUs the least memory is not for them: the programs' threads alone need more.
const CPUS_WITH_LITTLE_MEMORY: usize = 16;

/// All machines: numbers of CPUs, APIC modes and levels of page tables each with each, since these meet at boot and in
/// every switch and shootdown. Of all other properties each value meets each value of every other one somewhere.
pub fn matrix() -> Vec<Machine> {
    let places = (0..CPUS.len()).flat_map(|row| (0..4).map(move |column| (row, column)));
    places.map(|(row, column)| machine(row, column)).collect()
}

fn machine(row: usize, column: usize) -> Machine {
    let number = 4 * row + column;
    let cpus = CPUS[row];
    let memory = match cpus <= CPUS_WITH_LITTLE_MEMORY {
        true => MEMORY[(row + column) % 3],
        false => MEMORY[1 + (row + column) % 2],
    };
    Machine {
        cpus,
        apic: ["x2apic", "xapic"][column / 2],
        levels: 4 + column % 2,
        memory,
        machine: ["q35", "pc"][(number / 3 + row / 2) % 2],
        topology: TOPOLOGIES[(row + 2 * column + column / 3) % 3],
        hz: [100, 1000][(number / 2 + row + column) % 2],
    }
}

impl Machine {
    /// Runs a program there.
    pub fn program(&self, words: &[&str]) -> Boot {
        let boot = Boot::program(words)
            .cpus(self.cpus)
            .option("--smp")
            .option(&self.smp())
            .memory(self.memory)
            .option("--machine")
            .option(self.machine)
            .append(&format!("hz={}", self.hz));
        let boot = match self.apic {
            "xapic" => boot.cpu_model("max,-x2apic"),
            _ => boot,
        };
        match self.levels {
            5 => boot.append("la57=on"),
            _ => boot,
        }
    }

    /// The CPUs as QEMU wants them described.
    fn smp(&self) -> String {
        let cpus = self.cpus;
        match self.topology {
            "cores" => format!("{cpus},sockets=1,cores={cpus}"),
            "threads" if cpus.is_multiple_of(4) => {
                format!("{cpus},sockets=2,cores={},threads=2", cpus / 4)
            }
            "threads" if cpus.is_multiple_of(2) => {
                format!("{cpus},sockets=1,cores={},threads=2", cpus / 2)
            }
            _ => format!("{cpus},sockets={cpus}"),
        }
    }

    /// Its properties as words.
    pub fn properties(&self) -> [String; 7] {
        [
            format!("{} CPUs", self.cpus),
            self.apic.to_owned(),
            format!("{} levels", self.levels),
            self.memory.to_owned(),
            self.machine.to_owned(),
            self.topology.to_owned(),
            format!("hz={}", self.hz),
        ]
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.properties().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{CPUS, matrix};

    #[test]
    fn every_two_properties_meet_in_a_machine() {
        let rows: Vec<_> = matrix().iter().map(super::Machine::properties).collect();
        let values = |at: usize| rows.iter().map(|row| &row[at]).collect::<BTreeSet<_>>();
        let mut missing = Vec::new();
        for first in 0..7 {
            for second in first + 1..7 {
                for one in values(first) {
                    for other in values(second) {
                        let meets =
                            |row: &&[String; 7]| &row[first] == one && &row[second] == other;
                        if !rows.iter().any(|row| meets(&row)) {
                            missing.push(format!("{one}, {other}"));
                        }
                    }
                }
            }
        }
        assert_eq!(missing, ["255 CPUs, 64M", "64 CPUs, 64M"]);
    }

    #[test]
    fn numbers_of_cpus_apic_modes_and_levels_are_all_combined() {
        let rows = matrix();
        let combined: BTreeSet<_> = rows
            .iter()
            .map(|at| (at.cpus, at.apic, at.levels))
            .collect();
        assert_eq!(
            (rows.len(), combined.len()),
            (CPUS.len() * 4, CPUS.len() * 4)
        );
    }
}
