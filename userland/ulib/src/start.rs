//! From the program's first instruction to its `main`, and from there to its exit.

use core::fmt::Display;

/// What a program's `main` may return.
pub trait Termination {
    /// The exit code that stands for it.
    fn exit_code(self) -> i32;
}

impl Termination for () {
    fn exit_code(self) -> i32 {
        0
    }
}

impl Termination for i32 {
    fn exit_code(self) -> i32 {
        self
    }
}

/// An error is printed, and is exit code 1.
impl<E: Display> Termination for Result<(), E> {
    fn exit_code(self) -> i32 {
        match self {
            Ok(()) => 0,
            Err(error) => {
                crate::eprintln!("{}: {error}", program_name());
                1
            }
        }
    }
}

/// Makes `$main`, a `fn(Arguments) -> impl Termination`, the program's entry, and names the program for messages.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn argonaut_program_main(string: &'static mut [u8]) -> i32 {
            $crate::Termination::exit_code($main($crate::Arguments::split(string)))
        }

        #[unsafe(no_mangle)]
        static ARGONAUT_PROGRAM_NAME: &str = ::core::env!("CARGO_BIN_NAME");
    };
}

#[cfg(not(test))]
pub use entry::{program_name, touch_image};

/// Stands in for the image that a host test does not have.
#[cfg(test)]
pub fn touch_image() {}

/// Stands in for the program that a host test is not.
#[cfg(test)]
pub fn program_name() -> &'static str {
    "test"
}

#[cfg(not(test))]
mod entry {
    use core::arch::{asm, naked_asm};
    use core::panic::PanicInfo;

    use abi::layout::PAGE_SIZE;

    use crate::process;

    // SAFETY: `program!`, or the library of C programs, defines both with these types; without them a program does not
    // link.
    unsafe extern "Rust" {
        safe fn argonaut_program_main(string: &'static mut [u8]) -> i32;
        safe static ARGONAUT_PROGRAM_NAME: &'static str;
    }

    // SAFETY: the linker script defines all three, page-aligned; only their addresses are used.
    unsafe extern "C" {
        safe static IMAGE_START: u8;
        safe static IMAGE_DATA: u8;
        safe static IMAGE_END: u8;
    }

    /// Touches every page of the program: reads text and constants, and writes data as it is.
    pub fn touch_image() {
        let [start, data, end] = [
            &raw const IMAGE_START,
            &raw const IMAGE_DATA,
            &raw const IMAGE_END,
        ];
        for address in (start.addr()..data.addr()).step_by(PAGE_SIZE) {
            // SAFETY: text and constants lie between the two, in whole pages.
            unsafe { (address as *const u8).read_volatile() };
        }
        for address in (data.addr()..end.addr()).step_by(PAGE_SIZE) {
            // SAFETY: data lie between the two, in whole pages that nothing but the kernel replaces. An atomic "or"
            // with 0 changes nothing for anybody; written in Rust it would be left out for that.
            unsafe { asm!("lock or byte ptr [{}], 0", in(reg) address, options(nostack)) };
        }
    }

    /// The name of this program.
    pub fn program_name() -> &'static str {
        ARGONAUT_PROGRAM_NAME
    }

    /// The program's first instruction. `abi::layout` says what the registers hold.
    #[unsafe(no_mangle)]
    #[unsafe(naked)]
    extern "C" fn _start() -> ! {
        naked_asm!(
            "xor ebp, ebp", // the outermost frame
            "and rsp, -16",
            "call {start}",
            "ud2",
            start = sym start,
        )
    }

    extern "C" fn start(string: *mut u8, len: usize) -> ! {
        // SAFETY: the kernel says where it put the argument string, and that the string and the NUL after it are
        // writable and the program's own (`abi::layout`); nothing else points there.
        let string: &'static mut [u8] = unsafe { core::slice::from_raw_parts_mut(string, len + 1) };
        process::exit(argonaut_program_main(string))
    }

    #[panic_handler]
    fn panic(info: &PanicInfo<'_>) -> ! {
        let name = program_name();
        match info.location() {
            Some(place) => crate::eprintln!(
                "{name}: {} ({}:{})",
                info.message(),
                place.file(),
                place.line()
            ),
            None => crate::eprintln!("{name}: {}", info.message()),
        }
        process::exit(process::PANIC_EXIT_CODE)
    }

    /// The compiled `core` names it; nothing unwinds, so nothing calls it.
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {}
}
