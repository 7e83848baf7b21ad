//! Instructions that only the kernel may use.

use core::arch::naked_asm;

use ulib::Errno;
use ulib::signal::FaultKind;

use crate::attempt::{self, Attack};

/// Functions that begin with such an instruction, and what that would do.
macro_rules! instructions {
    ($($name:ident: $what:literal, $instruction:literal;)+) => {
        $(
            #[unsafe(naked)]
            unsafe extern "C" fn $name(_: usize) {
                naked_asm!($instruction, "ret")
            }
        )+
        const INSTRUCTIONS: &[(&str, Attack)] =
            &[$((concat!($instruction, " (", $what, ")"), $name)),+];
    };
}

instructions! {
    disable_interrupts: "no timer any more", "cli";
    halt: "no program any more", "hlt";
    read_port: "the keyboard", "in al, 0x60";
    write_port: "the end of the machine", "out 0xf4, eax";
    load_page_table: "memory of one's own choice", "mov cr3, rdi";
    read_control_register: "how the processor is set up", "mov rax, cr0";
    read_model_specific_register: "where the kernel is entered", "rdmsr";
    write_model_specific_register: "entering the kernel elsewhere", "wrmsr";
    load_interrupt_table: "interrupts of one's own", "lidt [rsp]";
    swap_gs: "what the kernel knows of this CPU", "swapgs";
    flush_translation: "the TLB", "invlpg [rsp]";
}

/// Tries each. Returns the number of holes.
pub(crate) fn try_all() -> Result<usize, Errno> {
    let mut holes = 0;
    for &(what, attack) in INSTRUCTIONS {
        // The handler is told where the instruction is.
        let expected = (attack as *const () as usize, FaultKind::NotPageFault);
        holes += attempt::make(what, attack, 0, expected)?;
    }
    Ok(holes)
}
