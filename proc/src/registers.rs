//! The registers of a thread in user mode.
//!
//! User mode is a function call: the kernel's entry stubs fill a [`UserRegisters`] when a thread leaves user mode, and
//! load it when it goes back. Whatever a user can name for these registers passes through [`UserRegisters::start`] or
//! stays in the kernel, so that no value in here can raise rights.

use abi::ThreadRegisters;
use mm::addr::VirtAddr;

/// Selector of the user's code segment (index 4, privilege 3). The order of the segments is fixed by `sysret`.
pub const USER_CODE_SELECTOR: u64 = 0x20 | 3;
/// Selector of the user's stack and data segment (index 3, privilege 3).
pub const USER_DATA_SELECTOR: u64 = 0x18 | 3;
/// The flags that users may choose: CF, PF, AF, ZF, SF, OF (results of arithmetic), TF (single steps), DF (direction),
/// AC (alignment checks, which the kernel keeps off) and ID. Source: Intel SDM volume 1, 3.4.3.
const USER_FLAGS: u64 = 0x24_0dd5;
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

    /// The registers of a thread that starts with those of `wanted` that give no right. `None` if it would start, or
    /// have its stack, outside of user space.
    pub fn from_user(wanted: &ThreadRegisters) -> Option<UserRegisters> {
        let is_stack_top = |address: u64| address > 0 && VirtAddr::new(address - 1).is_user();
        if !VirtAddr::new(wanted.rip).is_user() || !is_stack_top(wanted.rsp) {
            return None;
        }
        // Each of the others is the user's own in any case.
        Some(UserRegisters {
            rax: wanted.rax,
            rbx: wanted.rbx,
            rcx: wanted.rcx,
            rdx: wanted.rdx,
            rsi: wanted.rsi,
            rdi: wanted.rdi,
            rbp: wanted.rbp,
            r8: wanted.r8,
            r9: wanted.r9,
            r10: wanted.r10,
            r11: wanted.r11,
            r12: wanted.r12,
            r13: wanted.r13,
            r14: wanted.r14,
            r15: wanted.r15,
            rip: wanted.rip,
            rflags: wanted.rflags & USER_FLAGS | START_FLAGS,
            rsp: wanted.rsp,
            ..UserRegisters::start(0, 0, 0, 0)
        })
    }

    /// Lets the thread go on in `function`, in user space, with another stack pointer and three arguments.
    pub(crate) fn call(&mut self, function: u64, stack_pointer: u64, arguments: [u64; 3]) {
        [self.rdi, self.rsi, self.rdx] = arguments;
        self.rip = function;
        self.rflags = START_FLAGS;
        self.rsp = stack_pointer;
    }

    /// Stores the result of a system call.
    pub fn set_result(&mut self, result: isize) {
        self.rax = result as u64;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use abi::ThreadRegisters;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{START_FLAGS, USER_CODE_SELECTOR, USER_DATA_SELECTOR, USER_FLAGS, UserRegisters};

    const USER: u64 = 0xffff_8000_0020_0000;
    const USER_END: u64 = 0xffff_ffff_ffff_f000;
    const INTERRUPTS: u64 = 1 << 9;

    /// A set that is taken.
    fn harmless() -> ThreadRegisters {
        ThreadRegisters {
            rip: USER,
            rsp: USER_END,
            ..ThreadRegisters::default()
        }
    }

    proptest! {
        #[test]
        fn no_set_gives_a_right(words in any::<[u64; 21]>(), rip in USER..USER_END, rsp in USER + 1..USER_END) {
            let [rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, cs, rflags, ss, ..] = words;
            let wanted = ThreadRegisters {
                rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, cs, rflags, rsp, ss,
                tls_base: words[18],
            };
            let given = UserRegisters::from_user(&wanted).unwrap();
            prop_assert_eq!((given.cs, given.ss), (USER_CODE_SELECTOR, USER_DATA_SELECTOR));
            prop_assert!(given.rflags & INTERRUPTS != 0);
            prop_assert_eq!(given.rflags & !(USER_FLAGS | START_FLAGS), 0);
            prop_assert_eq!((given.rip, given.rsp), (rip, rsp));
            let general = [given.rax, given.rbx, given.rcx, given.rdx, given.rsi, given.rdi, given.rbp, given.r8, given.r9,
                given.r10, given.r11, given.r12, given.r13, given.r14, given.r15];
            prop_assert_eq!(&general, &words[..15]);
        }
    }

    #[test]
    fn a_thread_starts_and_has_its_stack_in_user_space() {
        assert!(UserRegisters::from_user(&harmless()).is_some());
        for rip in [0, 0x20_0000, 1 << 47, USER_END, u64::MAX] {
            let wanted = ThreadRegisters { rip, ..harmless() };
            assert!(UserRegisters::from_user(&wanted).is_none(), "{rip:#x}");
        }
        for rsp in [0, 0x20_0000, 1 << 63, USER_END + 1, u64::MAX] {
            let wanted = ThreadRegisters { rsp, ..harmless() };
            assert!(UserRegisters::from_user(&wanted).is_none(), "{rsp:#x}");
        }
    }
}
