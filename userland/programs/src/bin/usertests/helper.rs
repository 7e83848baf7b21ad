//! What `usertests` does when a test starts it as a program of its own.

use core::arch::asm;

use abi::NO_HANDLER;
use ulib::{Arguments, process};

use crate::caught::catchable;
use crate::signals::sigaction;

/// The first argument of such a program; the second says what it shall do.
pub(crate) const OPTION: &str = "--helper";

/// The exit code for "as it should be".
pub(crate) const FINE: i32 = 42;
const NOT_FINE: i32 = 43;

/// Arguments that only arrive whole if kernel and start-up code keep to the rules.
pub(crate) const WORDS: [&str; 6] = ["plain", "with blanks", "", "it's", "\"", r"\"];

pub(crate) fn run(arguments: Arguments) -> i32 {
    let fine = match arguments.get(2) {
        Some("arguments") => arguments.iter().skip(3).eq(WORDS),
        Some("descriptors") => inherits_only_the_standard_descriptors(),
        Some("pinned") => process::getcpu() == arguments.number(3, 0) && may_run_on_one_cpu_only(),
        Some("float") => has_fresh_float_state(),
        Some("tls") => crate::tls::is_tls_base_0(),
        Some("handlers") => has_no_signal_handlers(),
        _ => false,
    };
    if fine { FINE } else { NOT_FINE }
}

fn inherits_only_the_standard_descriptors() -> bool {
    let is_open = |fd| {
        ulib::file::write(fd, &[]) != Err(ulib::Errno::EBADF)
            || ulib::file::read(fd, &mut []).is_ok()
    };
    (0..3).all(is_open) && !(3..32).any(is_open)
}

fn may_run_on_one_cpu_only() -> bool {
    process::get_affinity(0).is_ok_and(|mask| mask.count() == 1)
}

fn has_no_signal_handlers() -> bool {
    let handler_of = |signal: ulib::Signal| sigaction(signal.number(), NO_HANDLER);
    catchable().all(|signal| handler_of(signal) == Ok(NO_HANDLER))
}

/// The control words that the ABI promises, and nothing of anybody else's in the registers.
fn has_fresh_float_state() -> bool {
    let (mut mxcsr, mut control, mut register) = (0_u32, 0_u16, [0_u64; 2]);
    // SAFETY: the instructions store into the three variables, which are as large as what is stored.
    unsafe {
        asm!(
            "stmxcsr [{mxcsr}]",
            "fnstcw [{control}]",
            "movups [{register}], xmm15",
            mxcsr = in(reg) &raw mut mxcsr,
            control = in(reg) &raw mut control,
            register = in(reg) &raw mut register,
            options(nostack, preserves_flags),
        );
    }
    // Status flags may have been set by what ran before.
    mxcsr & !0x3f == 0x1f80 && control == 0x37f && register == [0; 2]
}
