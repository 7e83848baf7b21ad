//! Threads, as `create_thread_registers` takes them.

/// All registers with which a thread starts.
///
/// The kernel makes its own set from them: it takes what can give no right, and replaces the rest.
#[repr(C)]
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the names are the processor's own")]
pub struct ThreadRegisters {
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
    /// Where it starts, in user space.
    pub rip: u64,
    /// Ignored: a thread has the user's code segment.
    pub cs: u64,
    /// Of these only the arithmetic flags and DF, TF, AC and ID are taken; interrupts are on.
    pub rflags: u64,
    /// Its stack pointer, in user space or just behind it.
    pub rsp: u64,
    /// Ignored: a thread has the user's data segment.
    pub ss: u64,
    /// The base of FS, as for `set_tls_base`.
    pub tls_base: u64,
}
