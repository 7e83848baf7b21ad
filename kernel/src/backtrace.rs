//! Backtraces: the chain of frame pointers, with the names of functions.
//!
//! The kernel is compiled with frame pointers, so each frame begins with the caller's frame pointer and the return
//! address. Names come from the file `kernel.symbols` in the initial file tree, which the build makes from the kernel's
//! symbol table: lines of an address in hexadecimal, a blank, and a name, in rising order of addresses.

use core::arch::asm;
use core::fmt;

use rustc_demangle::demangle;
use spin::Once;
use tar_no_std::TarArchiveRef;

const MAX_FRAMES: usize = 32;

static SYMBOLS: Once<&'static str> = Once::new();

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
}

/// Finds the file with the kernel's symbols in the archive of the initial file tree. Without it backtraces have no
/// names.
pub(crate) fn find_symbols(archive: &'static [u8]) {
    let Ok(archive) = TarArchiveRef::new(archive) else {
        return;
    };
    let file = archive
        .entries()
        .find(|entry| entry.filename().as_str() == Ok("kernel.symbols"));
    if let Some(text) = file.and_then(|file| core::str::from_utf8(file.data()).ok()) {
        SYMBOLS.call_once(|| text);
    }
}

/// A place in the kernel's execution, as a backtrace that is printed when it is formatted.
pub(crate) struct Backtrace {
    rip: usize,
    frame_pointer: usize,
}

impl Backtrace {
    /// The caller's.
    #[inline(always)]
    pub(crate) fn here() -> Backtrace {
        let frame_pointer: usize;
        // SAFETY: reads a register.
        unsafe {
            asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags))
        };
        Backtrace {
            rip: 0,
            frame_pointer,
        }
    }

    /// Of code that was interrupted at `rip` with this frame pointer.
    pub(crate) fn at(rip: usize, frame_pointer: usize) -> Backtrace {
        Backtrace { rip, frame_pointer }
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rip != 0 {
            write_place(formatter, self.rip)?;
        }
        let mut frame = self.frame_pointer;
        for _ in 0..MAX_FRAMES {
            if !is_stack_word(frame) || !is_stack_word(frame + 8) {
                return Ok(());
            }
            // SAFETY: both words are in memory that the kernel has mapped, as was just checked; whatever stands there
            // is only printed or checked again.
            let (next, return_address) =
                unsafe { (*(frame as *const usize), *((frame + 8) as *const usize)) };
            if !is_text(return_address) {
                return Ok(());
            }
            write_place(formatter, return_address)?;
            if next <= frame {
                return Ok(());
            }
            frame = next;
        }
        formatter.write_str("    ...\n")
    }
}

/// Whether the word at `address` can be read: aligned and in the kernel's data or on a stack.
fn is_stack_word(address: usize) -> bool {
    address.is_multiple_of(8) && mm::kernel_map::is_mapped(mm::addr::VirtAddr::new(address as u64))
}

fn is_text(address: usize) -> bool {
    (&raw const __text_start as usize..&raw const __text_end as usize).contains(&address)
}

fn write_place(formatter: &mut fmt::Formatter<'_>, address: usize) -> fmt::Result {
    match find_symbol(address) {
        Some((name, offset)) => writeln!(
            formatter,
            "    {address:#x} {:#}+{offset:#x}",
            demangle(name)
        ),
        None => writeln!(formatter, "    {address:#x}"),
    }
}

/// The last symbol at or below `address`, and how far behind it `address` is.
fn find_symbol(address: usize) -> Option<(&'static str, usize)> {
    let mut best = None;
    for line in SYMBOLS.get()?.lines() {
        let (start, name) = line.split_once(' ')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        if start > address {
            break;
        }
        best = Some((name, address - start));
    }
    best.filter(|_| is_text(address))
}
