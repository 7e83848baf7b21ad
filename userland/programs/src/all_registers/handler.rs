//! Handlers that leave no register as it was, and what they find when they are called.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::layout::PAGE_SIZE;
use abi::{Signal, Sysno};

use super::{HANDLED, INITIAL_MXCSR};

/// What ends the spinning of a passage.
pub const MARK: u64 = 0x600d_5160;

/// What a handler finds: the registers and the stack that it is called with.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Entry {
    /// RSP.
    pub stack_pointer: u64,
    /// The word there.
    pub return_address: u64,
    /// RFLAGS.
    pub flags: u64,
    /// The x87 control word.
    pub x87_control: u32,
    /// The x87 tags: two bits for each register, all set if it is free.
    pub x87_tags: u32,
    /// MXCSR.
    pub mxcsr: u32,
}

static STACK_POINTER: AtomicU64 = AtomicU64::new(0);
static RETURN_ADDRESS: AtomicU64 = AtomicU64::new(0);
static FLAGS: AtomicU64 = AtomicU64::new(0);
static MXCSR: AtomicU32 = AtomicU32::new(0);
/// As FNSTENV stores it: the first words are the control word, the status word and the tags.
static X87_ENVIRONMENT: [AtomicU32; 7] = [const { AtomicU32::new(0) }; 7];
/// A value of MXCSR that no passage loads: everything masked, rounds down.
static RUINED_MXCSR: u32 = 0x3f80;
const RUINED: u64 = 0x5a5a_5a5a_5a5a_5a5a;
/// How much of its stack a handler overwrites, the return address included.
const OVERWRITTEN_LEN: usize = 4096;

/// What the last of the handlers has found.
pub fn entry() -> Entry {
    // Relaxed: this thread's own handler has stored them, or the caller has waited for the thread.
    let [control, _, tags, ..] = X87_ENVIRONMENT
        .each_ref()
        .map(|word| word.load(Ordering::Relaxed) & 0xffff);
    Entry {
        stack_pointer: STACK_POINTER.load(Ordering::Relaxed),
        return_address: RETURN_ADDRESS.load(Ordering::Relaxed),
        flags: FLAGS.load(Ordering::Relaxed),
        x87_control: control,
        x87_tags: tags,
        mxcsr: MXCSR.load(Ordering::Relaxed),
    }
}

/// Maps the page that was missing, if the signal comes from that.
extern "C" fn repair(signal: i32, address: usize, _kind: usize) {
    if signal == Signal::SIGSEGV.number() {
        let page = address & !(PAGE_SIZE - 1);
        // SAFETY: nothing was there, or the call refuses.
        let mapped = unsafe { ulib::memory::page_alloc_range(page, 1) };
        assert!(mapped.is_ok(), "no page at {page:#x}: {mapped:?}");
    }
}

macro_rules! handlers {
    ($($(#[doc = $doc:literal])+ $name:ident: $($leave:literal),+ $(, $operand:ident = const $value:expr)*;)+) => {$(
        $(#[doc = $doc])+
        #[unsafe(naked)]
        pub extern "C" fn $name(signal: i32, address: usize, kind: usize) {
            naked_asm!(
                "mov [rip + {stack_pointer}], rsp",
                "pushfq",
                "pop qword ptr [rip + {flags}]",
                "mov rax, [rsp]",
                "mov [rip + {return_address}], rax",
                "stmxcsr [rip + {mxcsr}]",
                "fnstenv [rip + {x87_environment}]",
                "fninit",
                "ldmxcsr [rip + {initial_mxcsr}]",
                "cld",
                "sub rsp, 8",
                "call {repair}",
                "add rsp, 8",
                "mov eax, {mark}",
                "mov [rip + {handled}], rax",
                "fldpi; fldl2e; fldl2t; fldlg2; fldln2; fldpi; fldl2e; fldl2t",
                ".irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                "pcmpeqd xmm\\number, xmm\\number",
                ".endr",
                "ldmxcsr [rip + {ruined_mxcsr}]",
                "movabs rax, {ruined}",
                ".irp name, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15",
                "mov \\name, rax",
                ".endr",
                "std",
                $($leave,)+
                stack_pointer = sym STACK_POINTER,
                flags = sym FLAGS,
                return_address = sym RETURN_ADDRESS,
                mxcsr = sym MXCSR,
                x87_environment = sym X87_ENVIRONMENT,
                initial_mxcsr = sym INITIAL_MXCSR,
                repair = sym repair,
                mark = const MARK,
                handled = sym HANDLED,
                ruined_mxcsr = sym RUINED_MXCSR,
                ruined = const RUINED,
                $($operand = const $value,)*
            )
        }
    )+};
}

handlers! {
    /// Returns, with other values in all registers.
    return_with_other_registers: "ret";
    /// Overwrites its stack, its return address too, and all registers, the stack pointer too, and calls `sigreturn`.
    sigreturn_with_nothing_left:
        "mov ecx, {words}", "mov rdi, rsp", "rep stosq", "mov rsp, rax", "mov eax, {sigreturn}", "syscall", "ud2",
        words = const OVERWRITTEN_LEN / 8, sigreturn = const Sysno::SigReturn as usize;
}
