//! The registers of a thread in user mode.
//!
//! User mode is a function call: the kernel's entry stubs fill a [`UserRegisters`] when a thread leaves user mode, and
//! load it when it goes back. Whatever a user can name for these registers passes through [`UserRegisters::start`] or
//! stays in the kernel, so that no value in here can raise rights.

/// Selector of the user's code segment (index 4, privilege 3). The order of the segments is fixed by `sysret`.
pub const USER_CODE_SELECTOR: u64 = 0x20 | 3;
/// Selector of the user's stack and data segment (index 3, privilege 3).
pub const USER_DATA_SELECTOR: u64 = 0x18 | 3;
/// The flags that a thread starts with: interrupts on, and the bit that always reads as one.
const START_FLAGS: u64 = 0x202;

/// All general registers of a thread in user mode, why it left user mode, and the frame that `iretq` takes.
///
/// The processor writes the last five words itself on an exception or interrupt: the entry stubs point the stack at the
/// end of this struct, so the order is that of the hardware (Intel SDM volume 3, 6.14.2).
#[repr(C, align(16))]
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names are the processor's own")]
pub struct UserRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    /// Why the thread left user mode: an exception or interrupt vector, or [`SYSTEM_CALL_VECTOR`].
    pub vector: u64,
    /// What the processor says of an exception; zero for those without an error code.
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// The `vector` of a thread that left user mode by `syscall`: no interrupt has this number.
pub const SYSTEM_CALL_VECTOR: u64 = 0x100;

// The stubs let the processor push at the end of the struct, and it aligns the stack to 16 bytes before it does.
const _: () = assert!(size_of::<UserRegisters>().is_multiple_of(16));

impl UserRegisters {
    /// The registers of a thread that starts at `entry` with two arguments; everything else is zero.
    pub fn start(entry: u64, stack_top: u64, argument: u64, argument_len: u64) -> UserRegisters {
        UserRegisters {
            rdi: argument,
            rsi: argument_len,
            rip: entry,
            cs: USER_CODE_SELECTOR,
            rflags: START_FLAGS,
            rsp: stack_top,
            ss: USER_DATA_SELECTOR,
            ..UserRegisters::default()
        }
    }

    /// Stores the result of a system call.
    pub fn set_result(&mut self, result: isize) {
        self.rax = result as u64;
    }
}
