//! What the processor must have.
//!
//! Source: Intel SDM volume 2, "CPUID".

use core::arch::x86_64::{__cpuid, __cpuid_count};

use crate::device::power;

/// A feature and the CPUID bit that tells of it.
struct Feature {
    name: &'static str,
    is_there: fn() -> bool,
}

const NEEDED: &[Feature] = &[
    Feature {
        name: "SYSCALL (system calls)",
        is_there: || extended_edx() & 1 << 11 != 0,
    },
    Feature {
        name: "NX (no-execute pages)",
        is_there: || extended_edx() & 1 << 20 != 0,
    },
    Feature {
        name: "SMEP (no kernel execution of user pages)",
        is_there: || structured_ebx() & 1 << 7 != 0,
    },
    Feature {
        name: "SMAP (no kernel access to user pages)",
        is_there: || structured_ebx() & 1 << 20 != 0,
    },
];

/// Refuses a machine whose processor lacks something that the kernel is built on.
pub(crate) fn require() {
    if let Some(missing) = NEEDED.iter().find(|feature| !(feature.is_there)()) {
        power::refuse(format_args!(
            "the processor lacks {}; try --cpu max",
            missing.name
        ));
    }
}

/// Whether the processor can walk page tables of five levels.
pub(crate) fn has_five_levels() -> bool {
    structured_ecx() & 1 << 16 != 0
}

/// Whether the processor can keep users from instructions that tell where the kernel's tables are (UMIP).
pub(crate) fn has_user_mode_instruction_prevention() -> bool {
    structured_ecx() & 1 << 2 != 0
}

/// Whether the processor has pages of 1 GiB.
pub(crate) fn has_gib_pages() -> bool {
    extended_edx() & 1 << 26 != 0
}

fn extended_edx() -> u32 {
    __cpuid(0x8000_0001).edx
}

fn structured_ebx() -> u32 {
    if __cpuid(0).eax < 7 {
        0
    } else {
        __cpuid_count(7, 0).ebx
    }
}

fn structured_ecx() -> u32 {
    if __cpuid(0).eax < 7 {
        0
    } else {
        __cpuid_count(7, 0).ecx
    }
}

/// The APIC id with which this CPU was born: of the processor's topology where it tells one, else the 8-bit one.
pub(crate) fn initial_apic_id() -> u32 {
    const TOPOLOGY: u32 = 0xb;
    let levels = if __cpuid(0).eax < TOPOLOGY {
        0
    } else {
        __cpuid_count(TOPOLOGY, 0).ebx
    };
    if levels == 0 {
        __cpuid(1).ebx >> 24
    } else {
        __cpuid_count(TOPOLOGY, 0).edx
    }
}
