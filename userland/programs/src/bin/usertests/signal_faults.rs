//! Faults as signals: what a handler is told, and that it can repair what was wrong.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::layout::{PAGE_SIZE, SIGNAL_RETURN};
use ulib::mapping::{self, MapRequest, Mapping};
use ulib::signal::FaultKind;
use ulib::{Errno, ExitStatus, Protection, Signal, file, memory, process, signal, system_call};

use crate::caught::{self, catch, note};
use crate::check::{KERNEL_TEXT, NOT_CANONICAL, UNMAPPED, ok, peek, poke, status_of};
use crate::runner::tests;
use crate::thread_tools::spawn;

tests![
    a_handler_maps_the_missing_page_and_the_access_is_repeated,
    a_handler_protects_the_page_and_the_store_is_repeated,
    a_handler_makes_the_page_executable_and_the_jump_is_repeated,
    a_fault_at_a_kernel_address_is_one_of_privilege,
    a_fault_at_an_address_that_is_none_tells_the_instruction,
    a_division_error_tells_the_instruction,
    an_undefined_instruction_is_told,
    a_breakpoint_tells_the_next_instruction,
    each_thread_handles_its_own_faults,
    a_system_call_with_a_bad_address_is_no_fault,
];

/// Code for `process::exit` by which a handler that must not return says that all was well.
const FINE: i32 = 9;

/// What [`repair`] does to the page of the fault.
static REPAIR: AtomicUsize = AtomicUsize::new(0);

/// Notes the signal, and gives the page of the fault the rights of [`REPAIR`], or maps it if these are none.
extern "C" fn repair(signal: i32, address: usize, kind: usize) {
    note(signal, address, kind);
    let page = address & !(PAGE_SIZE - 1);
    // Relaxed: this thread has set it before.
    match REPAIR.load(Ordering::Relaxed) as u32 {
        0 => {
            // SAFETY: nothing is mapped there, or the call refuses.
            ok(unsafe { memory::page_alloc_range(page, 1) })
        }
        bits => ok(mapping::protect(
            page,
            PAGE_SIZE,
            Protection::from_bits_retain(bits),
        )),
    }
}

#[track_caller]
fn repair_faults(protection: Protection) {
    REPAIR.store(protection.bits() as usize, Ordering::Relaxed);
    ok(signal::handle(Signal::SIGSEGV, Some(repair)));
}

#[track_caller]
fn expect_caught(signal: Signal, address: usize, kind: FaultKind) {
    let caught = caught::last();
    assert_eq!(
        (caught.signal, caught.address, caught.kind),
        (signal, address, kind)
    );
}

fn a_handler_maps_the_missing_page_and_the_access_is_repeated() {
    repair_faults(Protection::empty());
    poke(UNMAPPED + 0x128, 77);
    expect_caught(Signal::SIGSEGV, UNMAPPED + 0x128, FaultKind::MissingPage);
    assert_eq!(peek(UNMAPPED + 0x128), 77);
    assert_eq!(peek(UNMAPPED + 8 * PAGE_SIZE), 0);
    expect_caught(
        Signal::SIGSEGV,
        UNMAPPED + 8 * PAGE_SIZE,
        FaultKind::MissingPage,
    );
    assert_eq!(caught::all().count(), 2);
}

fn a_handler_protects_the_page_and_the_store_is_repeated() {
    repair_faults(Protection::READ.union(Protection::WRITE));
    let page = ok(Mapping::new(
        &MapRequest::anonymous(PAGE_SIZE).protection(Protection::READ),
    ));
    // Untouched, and again when it has a frame.
    for value in [5, 6] {
        let place = page.address() + 8 * value;
        poke(place, value as u64);
        expect_caught(Signal::SIGSEGV, place, FaultKind::Permission);
        assert_eq!(peek(place), value as u64);
        ok(mapping::protect(
            page.address(),
            PAGE_SIZE,
            Protection::READ,
        ));
    }
}

fn a_handler_makes_the_page_executable_and_the_jump_is_repeated() {
    /// `ret`.
    const RETURN_INSTRUCTION: u8 = 0xc3;
    repair_faults(Protection::READ.union(Protection::EXECUTE));
    let page = ok(Mapping::new(&MapRequest::anonymous(PAGE_SIZE)));
    poke(page.address(), u64::from(RETURN_INSTRUCTION));
    // SAFETY: the function there returns, once the handler has run.
    unsafe { asm!("call {0}", in(reg) page.address(), clobber_abi("C")) };
    expect_caught(Signal::SIGSEGV, page.address(), FaultKind::Permission);
}

/// Runs `access` in a child whose handler for `signal` has to be called with this address and kind.
#[track_caller]
fn expect_signal(signal: Signal, address: usize, kind: FaultKind, access: impl FnOnce()) {
    static EXPECTED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    extern "C" fn judge(_: i32, address: usize, kind: usize) {
        let expected = EXPECTED.each_ref().map(|word| word.load(Ordering::Relaxed));
        assert_eq!([address, kind], expected, "{address:#x}");
        process::exit(FINE);
    }
    let status = status_of(|| {
        // Relaxed: the handler runs in this thread.
        EXPECTED[0].store(address, Ordering::Relaxed);
        EXPECTED[1].store(kind.number(), Ordering::Relaxed);
        ok(signal::handle(signal, Some(judge)));
        access();
        0
    });
    assert_eq!(status, ExitStatus::exited(FINE));
}

fn a_fault_at_a_kernel_address_is_one_of_privilege() {
    for address in [0, 0x1000, KERNEL_TEXT, 0x7fff_ffff_f000] {
        expect_signal(Signal::SIGSEGV, address, FaultKind::Privilege, || {
            peek(address);
        });
    }
    // The page to which handlers return is nobody's.
    expect_signal(Signal::SIGSEGV, SIGNAL_RETURN, FaultKind::Privilege, || {
        peek(SIGNAL_RETURN);
    });
}

/// Functions that begin with an instruction that faults: their address is its address.
#[unsafe(naked)]
extern "C" fn divide(_dividend: u64, _divisor: u64) {
    naked_asm!("div rsi", "ret")
}

#[unsafe(naked)]
extern "C" fn do_undefined() {
    naked_asm!("ud2")
}

#[unsafe(naked)]
extern "C" fn break_here() {
    naked_asm!("int3", "ret")
}

#[unsafe(naked)]
extern "C" fn read_word(_address: usize) {
    naked_asm!("mov rax, [rdi]", "ret")
}

fn a_fault_at_an_address_that_is_none_tells_the_instruction() {
    let instruction = read_word as extern "C" fn(usize) as usize;
    expect_signal(
        Signal::SIGSEGV,
        instruction,
        FaultKind::NotPageFault,
        || read_word(NOT_CANONICAL),
    );
}

fn a_division_error_tells_the_instruction() {
    let instruction = divide as extern "C" fn(u64, u64) as usize;
    expect_signal(Signal::SIGFPE, instruction, FaultKind::NotPageFault, || {
        divide(1, 0)
    });
}

fn an_undefined_instruction_is_told() {
    let instruction = do_undefined as extern "C" fn() as usize;
    expect_signal(Signal::SIGILL, instruction, FaultKind::NotPageFault, || {
        do_undefined()
    });
}

fn a_breakpoint_tells_the_next_instruction() {
    let instruction = break_here as extern "C" fn() as usize;
    catch(&[Signal::SIGTRAP]);
    break_here();
    expect_caught(Signal::SIGTRAP, instruction + 1, FaultKind::NotPageFault);
}

fn each_thread_handles_its_own_faults() {
    repair_faults(Protection::empty());
    let threads = core::array::from_fn::<_, 4, _>(|number| {
        let address = UNMAPPED + number * PAGE_SIZE;
        let touch = move || {
            poke(address, number as u64);
            process::gettid()
        };
        (address, spawn(touch))
    });
    for (address, thread) in threads {
        let tid = thread.join();
        let is_its_own =
            |caught: caught::Caught| caught.address == address && Some(caught.tid) == tid;
        assert!(caught::all().any(is_its_own), "{address:#x}");
    }
    assert_eq!(caught::all().count(), 4);
}

fn a_system_call_with_a_bad_address_is_no_fault() {
    catch(&[Signal::SIGSEGV]);
    let (_reader, writer) = ok(file::pipe());
    for address in [UNMAPPED, KERNEL_TEXT, NOT_CANONICAL] {
        // SAFETY: the kernel only reads, or refuses.
        let result = unsafe { system_call::write(writer.descriptor(), address as *const u8, 1) };
        assert_eq!(abi::decode(result), Err(Errno::EFAULT));
    }
    assert_eq!(caught::signals(), []);
}
