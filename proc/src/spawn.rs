//! `spawn`: a new process that runs a program from the file tree.
//!
//! The program's segments become regions of the file, so that its pages come in when they are touched, and those that
//! nobody writes are the file's own, shared by all processes that run it. The argument string (the program's name, a
//! blank, the arguments) is put at the top of the stack before the process runs.

pub mod warp;

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, layout};
use mm::addr::{UserRange, VirtAddr};
use mm::aspace::SpaceRef;
use mm::space::{Backing, FileBacking, PageSource, Protection, Region, RegionFlags, Space};
use smp::fiber::{FpuState, UserState};
use smp::tls::TlsBase;

use crate::elf_image::{ElfImage, Segment};
use crate::file::{self, Descriptors, RegularFile};
use crate::kernel_program::{self, KernelProgram};
use crate::name::Name;
use crate::process::Process;
use crate::registers::UserRegisters;
use crate::thread::{Beginning, Id, Start, Thread};
use crate::{birth, exit, init_requests, table};

/// Starts the program `name`, of the kernel or in a file, as a child of `parent`, with its descriptors 0, 1 and 2 and
/// its affinity.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`, `EISDIR` or `ENAMETOOLONG` if there is no such file, `ENOEXEC` if it is not a program, `E2BIG`
/// if the argument string is too long, `EAGAIN` if the process table is full, `ENOMEM`. Nothing has changed then.
pub fn spawn(parent: &Thread, name: &[u8], argument: &[u8]) -> Result<Id, Errno> {
    let parent_process = parent.process().ok_or(Errno::EINVAL)?;
    if let Some(program) = kernel_program::find(name) {
        return spawn_kernel_program(program, parent, argument);
    }
    let (space, registers) = load(name, argument)?;
    let reservation = table::reserve()?;
    let process = mm::heap::try_arc(Process::new(
        reservation.id(),
        Name::new(core::str::from_utf8(name).unwrap_or("?")),
        SpaceRef::Paging(space),
        parent_process.descriptors.inherit_standard()?,
        Some(parent_process.clone()),
    ))?;
    let affinity = parent.affinity();
    let beginning = Beginning::new(Start::User(registers), Some(new_user_state()?), &affinity);
    birth::give_life(reservation, process, beginning)
}

/// Starts `program` as a child of `parent`, which has its descriptors 0, 1 and 2, but for reading ends of pipes, and its
/// affinity like any other. What of the argument is not UTF-8 becomes U+FFFD.
///
/// # Errors
/// `E2BIG` if the argument is too long, `EAGAIN` if the process table is full, `ENOMEM`.
fn spawn_kernel_program(
    program: &'static KernelProgram,
    parent: &Thread,
    argument: &[u8],
) -> Result<Id, Errno> {
    // As for any program, though it is not needed as a whole.
    argument_string(program.name.as_bytes(), argument)?;
    let argument = text_of(argument)?;
    let parent_process = parent.process().ok_or(Errno::EINVAL)?;
    let reservation = table::reserve()?;
    let process = mm::heap::try_arc(Process::new_kernel(
        reservation.id(),
        Name::new(program.name),
        SpaceRef::Base,
        parent_process.descriptors.inherit_outputs()?,
        Some(parent_process.clone()),
    ))?;
    let run = mm::heap::try_box(move || (program.run)(&argument))?;
    let start = Start::Kernel(run);
    let affinity = parent.affinity();
    birth::give_life(reservation, process, Beginning::new(start, None, &affinity))
}

/// `bytes` as text.
fn text_of(bytes: &[u8]) -> Result<String, Errno> {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        let replacement = if chunk.invalid().is_empty() {
            ""
        } else {
            "\u{fffd}"
        };
        for part in [chunk.valid(), replacement] {
            text.try_reserve(part.len()).map_err(|_| Errno::ENOMEM)?;
            text.push_str(part);
        }
    }
    Ok(text)
}

/// Starts process 1, which adopts orphans and takes [requests](init_requests); when it ends, `on_exit` is called.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_init(
    name: &[u8],
    argument: &[u8],
    on_exit: fn(abi::ExitStatus) -> !,
) -> Result<Id, Errno> {
    let (space, registers) = load(name, argument)?;
    let descriptors = Descriptors::with_console()?;
    init_requests::connect(&descriptors)?;
    let reservation = table::reserve()?;
    let process = mm::heap::try_arc(Process::new(
        reservation.id(),
        Name::new("init"),
        SpaceRef::Paging(space),
        descriptors,
        None,
    ))?;
    exit::set_init(process.clone(), on_exit);
    let everywhere = smp::cpu_set::CpuSet::all();
    let beginning = Beginning::new(Start::User(registers), Some(new_user_state()?), &everywhere);
    birth::give_life(reservation, process, beginning)
}

/// Which address space a new process of the kernel is in.
#[derive(Debug)]
pub enum KernelSpace {
    /// That of the parent, which starts it; `base` if there is no parent.
    Parents,
    /// This one.
    Given(SpaceRef),
}

/// Starts a process of the kernel, which runs `function` and ends with its result as status. `parent` is the process of
/// the thread that calls this, if it has one that is to wait for the new one.
///
/// # Errors
/// `EAGAIN` if the process table is full, `ENOMEM`.
pub fn spawn_kernel_process(
    name: &str,
    parent: Option<&Arc<Process>>,
    space: KernelSpace,
    function: impl FnOnce() -> i32 + Send + 'static,
) -> Result<Id, Errno> {
    let space = match (space, parent) {
        (KernelSpace::Given(space), _) => space,
        (KernelSpace::Parents, Some(parent)) => parent.any_space().clone(),
        (KernelSpace::Parents, None) => SpaceRef::Base,
    };
    let reservation = table::reserve()?;
    let process = mm::heap::try_arc(Process::new_kernel(
        reservation.id(),
        Name::new(name),
        space,
        Descriptors::with_console()?,
        parent.cloned(),
    ))?;
    let everywhere = smp::cpu_set::CpuSet::all();
    let start = Start::Kernel(mm::heap::try_box(function)?);
    birth::give_life(
        reservation,
        process,
        Beginning::new(start, None, &everywhere),
    )
}

fn new_user_state() -> Result<UserState, Errno> {
    let fpu = FpuState::new().map_err(|_| Errno::ENOMEM)?;
    Ok(UserState::new(fpu, TlsBase::default()))
}

/// An address space with the program in it, and the registers to start it with.
fn load(name: &[u8], argument: &[u8]) -> Result<(Arc<Space>, UserRegisters), Errno> {
    let file = file::find_regular(name)?;
    let image = ElfImage::parse(&*file).map_err(|reason| {
        smp::log!(
            "{}: not a program: {reason}",
            core::str::from_utf8(name).unwrap_or("?")
        );
        Errno::from(reason)
    })?;
    let space = Space::new()?;
    for segment in image.segments() {
        space.add(region(segment, &file)?)?;
    }
    space.add(stack()?)?;
    warp::put_in_order(name, &image, &space)?;
    let (address, len) = put_argument(&space, name, argument)?;
    // As after a call: the return address would lie on the boundary.
    let stack_top = (address & !15) - 8;
    let registers = UserRegisters::start(
        image.entry().as_u64(),
        stack_top as u64,
        address as u64,
        len as u64,
    );
    Ok((space, registers))
}

/// Whether programs may write and execute all their memory (`break=wx`).
static IS_WX_BROKEN: AtomicBool = AtomicBool::new(false);

/// Lets programs write and execute all that they are loaded with, and their stacks (`break=wx`).
pub fn break_write_xor_execute() {
    // Relaxed: set at boot, before the first process.
    IS_WX_BROKEN.store(true, Ordering::Relaxed);
}

/// The rights that memory gets for which a program asks for `wanted`.
fn granted(wanted: Protection) -> Protection {
    // Relaxed: set at boot.
    if IS_WX_BROKEN.load(Ordering::Relaxed) {
        wanted | Protection::WRITE | Protection::EXECUTE
    } else {
        wanted
    }
}

/// The stack: a few pages, and more when they are touched.
fn stack() -> Result<Region, Errno> {
    let range = UserRange::page_aligned(
        layout::STACK_TOP - layout::STACK_LEN_AT_START,
        layout::STACK_LEN_AT_START,
    )?;
    let limit = VirtAddr::new(layout::STACK_BOTTOM as u64);
    let stack = Region::anonymous(range, granted(Protection::WRITE), RegionFlags::empty());
    Ok(stack.growing_down(Some(limit)))
}

fn region(segment: &Segment, file: &Arc<RegularFile>) -> Result<Region, Errno> {
    let source: Arc<dyn PageSource> = file.clone();
    let backing = match segment.file_len {
        0 => Backing::Anonymous,
        len => Backing::File(FileBacking::new(source, segment.file_offset, len)?),
    };
    Ok(Region::new(
        segment.range,
        granted(segment.protection),
        backing,
    ))
}

/// The parts of the argument string, with its NUL, and how long they are together.
///
/// # Errors
/// `E2BIG` if it is too long.
fn argument_string<'a>(
    name: &'a [u8],
    argument: &'a [u8],
) -> Result<([&'a [u8]; 4], usize), Errno> {
    let blank: &[u8] = if argument.is_empty() { b"" } else { b" " };
    let parts = [name, blank, argument, b"\0"];
    let len_with_nul: usize = parts.iter().map(|part| part.len()).sum();
    if len_with_nul > layout::ARGUMENT_MAX + 1 {
        return Err(Errno::E2BIG);
    }
    Ok((parts, len_with_nul))
}

/// Writes the argument string and its NUL to the top of the stack; returns where, and its length without the NUL.
fn put_argument(space: &Space, name: &[u8], argument: &[u8]) -> Result<(usize, usize), Errno> {
    let (parts, len_with_nul) = argument_string(name, argument)?;
    let address = layout::STACK_TOP - len_with_nul;
    let mut place = address;
    for part in parts {
        space.write_bytes(VirtAddr::new(place as u64), part)?;
        place += part.len();
    }
    Ok((address, len_with_nul - 1))
}
