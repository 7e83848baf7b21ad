//! Which CPUs the machine has, from the firmware's ACPI tables.
//!
//! The `acpi` crate (5.2.0) finds and reads the tables. It believes the lengths in them: a wrong one makes it read
//! beyond the table, and an entry of length zero keeps it going for ever. So the module `lengths` looks at all of them
//! first. A machine whose tables are broken is an error here, and has one CPU for its kernel.

mod lengths;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;

use acpi::madt::{Madt, MadtEntry};
use acpi::{AcpiError, AcpiHandler, AcpiTables, PhysicalMapping};

use crate::OutOfMemory;
use crate::cpu::MAX_CPUS;

/// In an entry's flags: the CPU is there and can be started.
const ENABLED: u32 = 1 << 0;
/// The ids that mean "all CPUs", and so none.
const BROADCAST_XAPIC: u32 = 0xff;
const BROADCAST_X2APIC: u32 = u32::MAX;

/// The machine's CPUs.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Topology {
    /// APIC id of the boot CPU.
    pub boot_apic_id: u32,
    /// APIC ids of the others, in the firmware's order, which is not always that of the ids.
    pub others: Vec<u32>,
    /// How many entries name a CPU that is switched off, or a place for one that could be plugged in.
    pub disabled: usize,
    /// How many CPUs are left out because there are more than [`MAX_CPUS`].
    pub too_many: usize,
}

/// Why the firmware's tables do not say which CPUs there are.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum TopologyError {
    /// There is no root pointer at the given address.
    NoRootPointer,
    /// A table (the first bytes of its name) has a sum other than zero.
    BadChecksum([u8; 4]),
    /// A table has a length that cannot be, or lists something that has.
    BadLength([u8; 4]),
    /// Something that a table refers to cannot be read.
    Unreadable(u64),
    /// There is no table of interrupt controllers.
    NoMadt,
    /// A table's name or signature is not what it should be.
    Malformed,
    /// There is no memory for the list.
    OutOfMemory,
}

impl From<OutOfMemory> for TopologyError {
    fn from(_: OutOfMemory) -> TopologyError {
        TopologyError::OutOfMemory
    }
}

impl From<AcpiError> for TopologyError {
    fn from(error: AcpiError) -> TopologyError {
        match error {
            AcpiError::NoValidRsdp | AcpiError::RsdpIncorrectSignature => {
                TopologyError::NoRootPointer
            }
            AcpiError::RsdpInvalidChecksum => TopologyError::BadChecksum(*b"RSD "),
            AcpiError::SdtInvalidChecksum(signature) => {
                TopologyError::BadChecksum(name_of(signature.as_str()))
            }
            AcpiError::TableMissing(_) => TopologyError::NoMadt,
            _ => TopologyError::Malformed,
        }
    }
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopologyError::NoRootPointer => write!(f, "no ACPI root pointer"),
            TopologyError::BadChecksum(table) => {
                write!(f, "ACPI table {} has a bad checksum", table.escape_ascii())
            }
            TopologyError::BadLength(table) => {
                write!(f, "ACPI table {} has a bad length", table.escape_ascii())
            }
            TopologyError::Unreadable(address) => {
                write!(f, "ACPI tables lead to unreadable memory at {address:#x}")
            }
            TopologyError::NoMadt => write!(f, "no ACPI table of interrupt controllers"),
            TopologyError::Malformed => write!(f, "an ACPI table is malformed"),
            TopologyError::OutOfMemory => write!(f, "no memory for the list of CPUs"),
        }
    }
}

/// Finds the machine's CPUs. `rsdp` is the physical address of ACPI's root pointer, and `boot_apic_id` the id of the
/// CPU that runs this. Physical memory is read through `map(address, length)`.
///
/// Every enabled CPU is listed once, however often the tables name it. The boot CPU is never in the list of the others.
///
/// # Errors
/// [`TopologyError`], if the tables are missing or broken.
///
/// # Safety
/// `map` returns null, or a pointer to `length` bytes which can be read, and do not change, until this returns; and the
/// same each time for the same arguments.
pub unsafe fn discover(
    rsdp: usize,
    boot_apic_id: u32,
    map: impl Fn(usize, usize) -> *const u8,
) -> Result<Topology, TopologyError> {
    // SAFETY: the caller's condition.
    unsafe { lengths::check(rsdp, &map)? };
    // SAFETY: the root pointer can be read, and so can everything that it leads to: just checked.
    let tables = unsafe { AcpiTables::from_rsdp(Mapper(&map), rsdp)? };
    let madt = tables.find_table::<Madt>()?;

    let mut topology = Topology {
        boot_apic_id,
        others: Vec::new(),
        disabled: 0,
        too_many: 0,
    };
    for entry in madt.get().entries() {
        match entry {
            MadtEntry::LocalApic(cpu) => {
                topology.add(u32::from(cpu.apic_id), BROADCAST_XAPIC, cpu.flags)?
            }
            MadtEntry::LocalX2Apic(cpu) => {
                topology.add(cpu.x2apic_id, BROADCAST_X2APIC, cpu.flags)?
            }
            _ => {}
        }
    }
    Ok(topology)
}

impl Topology {
    /// How many CPUs may come up.
    pub fn possible_cpus(&self) -> usize {
        1 + self.others.len()
    }

    fn add(&mut self, apic_id: u32, broadcast: u32, flags: u32) -> Result<(), OutOfMemory> {
        if flags & ENABLED == 0 || apic_id == broadcast {
            self.disabled += 1;
        } else if apic_id == self.boot_apic_id || self.others.contains(&apic_id) {
            // Named twice, or known without being named.
        } else if self.possible_cpus() == MAX_CPUS {
            self.too_many += 1;
        } else {
            self.others.try_reserve(1).map_err(|_| OutOfMemory)?;
            self.others.push(apic_id);
        }
        Ok(())
    }
}

fn name_of(signature: &str) -> [u8; 4] {
    signature.as_bytes().try_into().unwrap_or(*b"????")
}

/// How the `acpi` crate reads physical memory.
struct Mapper<'a, M>(&'a M);

impl<M> Clone for Mapper<'_, M> {
    fn clone(&self) -> Self {
        Mapper(self.0)
    }
}

impl<M: Fn(usize, usize) -> *const u8> AcpiHandler for Mapper<'_, M> {
    unsafe fn map_physical_region<T>(
        &self,
        physical_address: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let Some(start) = NonNull::new((self.0)(physical_address, size).cast_mut().cast::<T>())
        else {
            unreachable!("`lengths::check` has read this memory");
        };
        // SAFETY: the memory is mapped, and the crate's types have no alignment.
        unsafe { PhysicalMapping::new(physical_address, start, size, size, self.clone()) }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}
}
