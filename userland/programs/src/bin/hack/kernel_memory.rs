//! Memory of the kernel: read, written and executed.

use core::arch::naked_asm;

use ulib::signal::FaultKind;
use ulib::{Errno, FixedString};

use crate::attempt::{self, Attack};

/// What lies where in the kernel's half, where memory is mapped one to one.
const TARGETS: [(&str, usize); 4] = [
    ("the kernel's code", 0x20_0000),
    ("the screen", 0xb_8000),
    ("memory of whoever has it", 0x200_0000),
    ("the interrupt controller", 0xfee0_0000),
];

const WAYS: [(&str, Attack); 3] = [
    ("reading", read),
    ("writing", write),
    ("executing", execute),
];

/// Tries each in each way. Returns the number of holes.
pub(crate) fn attack() -> Result<usize, Errno> {
    let mut holes = 0;
    for (target, address) in TARGETS {
        for (way, attack) in WAYS {
            let mut what = FixedString::<64>::new();
            // It is short enough.
            let _ = core::fmt::write(&mut what, format_args!("{way} {target}"));
            let expected = (address, FaultKind::Privilege);
            holes += attempt::make(what.as_str(), attack, address, expected)?;
        }
    }
    Ok(holes)
}

#[unsafe(naked)]
unsafe extern "C" fn read(_address: usize) {
    naked_asm!("mov rax, [rdi]", "ret")
}

/// What is there stays as it is.
#[unsafe(naked)]
unsafe extern "C" fn write(_address: usize) {
    naked_asm!("lock or qword ptr [rdi], 0", "ret")
}

#[unsafe(naked)]
unsafe extern "C" fn execute(_address: usize) {
    naked_asm!("jmp rdi")
}
