//! The list of CPUs from ACPI tables that QEMU made.

use smp::topology::{self, Topology};

/// Physical memory with tables in it.
struct Memory {
    pieces: Vec<(usize, Vec<u8>)>,
    root_pointer: usize,
}

impl Memory {
    /// Reads a dump: lines `ADDRESS NAME`, each followed by lines of bytes.
    fn from_dump(dump: &str) -> Memory {
        let mut memory = Memory {
            pieces: Vec::new(),
            root_pointer: 0,
        };
        for line in dump
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if let Some((address, name)) = line.split_once(' ') {
                let address = usize::from_str_radix(address, 16).unwrap();
                memory.pieces.push((address, Vec::new()));
                if name == "RSDP" {
                    memory.root_pointer = address;
                }
            } else {
                let bytes = (0..line.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap());
                memory.pieces.last_mut().unwrap().1.extend(bytes);
            }
        }
        // Something follows the root pointer, which is shorter in its first version than what is read of it.
        let root_pointer = memory
            .pieces
            .iter_mut()
            .find(|piece| piece.0 == memory.root_pointer);
        root_pointer.unwrap().1.resize(64, 0);
        memory
    }

    fn map(&self, address: usize, length: usize) -> *const u8 {
        let found = self
            .pieces
            .iter()
            .find_map(|(start, bytes)| bytes.get(address.checked_sub(*start)?..)?.get(..length));
        found.map_or(std::ptr::null(), <[u8]>::as_ptr)
    }

    fn discover(&self) -> Topology {
        // SAFETY: pointers to so many bytes of a piece, which lives on and does not change.
        unsafe {
            topology::discover(self.root_pointer, 0, |address, length| {
                self.map(address, length)
            })
        }
        .unwrap()
    }
}

fn others(dump: &str) -> Vec<u32> {
    let topology = Memory::from_dump(dump).discover();
    assert_eq!(
        (topology.boot_apic_id, topology.disabled, topology.too_many),
        (0, 0, 0)
    );
    topology.others
}

#[test]
fn one_cpu_is_alone() {
    assert_eq!(others(include_str!("data/acpi-q35-1-cpus.txt")), []);
}

#[test]
fn four_cpus_are_found() {
    assert_eq!(others(include_str!("data/acpi-q35-4-cpus.txt")), [1, 2, 3]);
}

#[test]
fn as_many_cpus_as_short_ids_can_name_are_found() {
    assert!(
        others(include_str!("data/acpi-q35-255-cpus.txt"))
            .into_iter()
            .eq(1..255)
    );
}

#[test]
fn cpus_with_long_ids_are_found_too() {
    assert!(
        others(include_str!("data/acpi-q35-300-cpus.txt"))
            .into_iter()
            .eq(1..300)
    );
}
