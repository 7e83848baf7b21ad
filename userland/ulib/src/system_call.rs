//! The system calls as they are: one function for each entry of `abi`'s table, with the kernel's documentation.
//!
//! Programs use the safe functions of the other modules; tests that pass nonsense on purpose use these.

use core::arch::asm;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use abi::{Dirent, Errno, ErrnoSet, MappingInfo, Pid, SysInfo, Sysno, ThreadRegisters};

/// Enters the kernel with what the registers shall hold, and returns what it left in `rax`.
macro_rules! enter {
    ($number:expr $(, $register:tt = $value:expr)*) => {{
        let result: isize;
        // SAFETY: the instruction itself touches no memory and keeps all registers but the three named; for what the
        // call does to memory the caller of the function around this has given his word.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") $number => result,
                $(in($register) $value,)*
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result
    }};
}

/// Spreads a call's arguments over the registers in their order.
macro_rules! enter_with {
    ($number:expr) => {
        enter!($number)
    };
    ($number:expr, $a:expr) => {
        enter!($number, "rdi" = $a)
    };
    ($number:expr, $a:expr, $b:expr) => {
        enter!($number, "rdi" = $a, "rsi" = $b)
    };
    ($number:expr, $a:expr, $b:expr, $c:expr) => {
        enter!($number, "rdi" = $a, "rsi" = $b, "rdx" = $c)
    };
    ($number:expr, $a:expr, $b:expr, $c:expr, $d:expr) => {
        enter!($number, "rdi" = $a, "rsi" = $b, "rdx" = $c, "r10" = $d)
    };
    ($number:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
        enter!(
            $number,
            "rdi" = $a,
            "rsi" = $b,
            "rdx" = $c,
            "r10" = $d,
            "r8" = $e
        )
    };
    ($number:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        enter!(
            $number,
            "rdi" = $a,
            "rsi" = $b,
            "rdx" = $c,
            "r10" = $d,
            "r8" = $e,
            "r9" = $f
        )
    };
}

macro_rules! stubs {
    ($($(#[doc = $doc:literal])+
       $variant:ident: fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
        $(
            $(#[doc = $doc])+
            ///
            /// # Safety
            /// The call breaks nothing that the program relies on: what it writes, maps or ends is the caller's to
            /// write, map or end.
            #[inline(always)]
            pub unsafe fn $name($($argument: $type),*) -> isize {
                noted(Sysno::$variant, enter_with!(Sysno::$variant.number() $(, $argument as usize)*))
            }
        )+
    };
}
abi::for_each_system_call!(stubs);

/// Makes a call by a number that the table may not have.
///
/// # Safety
/// As for the call that has this number.
pub unsafe fn by_number(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    enter_with!(number, a, b, c, d, e, f)
}

/// Which errors the calls have returned.
pub struct ErrorNotes([[AtomicU64; 2]; Sysno::COUNT]);

impl Default for ErrorNotes {
    fn default() -> ErrorNotes {
        ErrorNotes::new()
    }
}

impl ErrorNotes {
    /// No errors.
    pub const fn new() -> ErrorNotes {
        ErrorNotes([const { [const { AtomicU64::new(0) }; 2] }; Sysno::COUNT])
    }

    /// The errors that `call` has returned.
    pub fn of(&self, call: Sysno) -> ErrnoSet {
        // Relaxed: who asks has waited for those whose calls count.
        let [low, high] = self.0[call.number()]
            .each_ref()
            .map(|word| u128::from(word.load(Ordering::Relaxed)));
        ErrnoSet::from_bits(low | high << u64::BITS)
    }

    fn note(&self, call: Sysno, errno: Errno) {
        let [word, bit] = [errno.number() / 64, errno.number() % 64];
        if let Some(word) = self.0[call.number()].get(word) {
            // Relaxed: see `of`.
            word.fetch_or(1 << bit, Ordering::Relaxed);
        }
    }
}

/// Where errors are noted; null: nowhere.
static NOTES: AtomicPtr<ErrorNotes> = AtomicPtr::new(core::ptr::null_mut());

/// Has all errors noted that calls return from now on, those of [`by_number`] excepted: for tests that want to know
/// whether they have seen all.
pub fn note_errors(notes: &'static ErrorNotes) {
    // Release pairs with the Acquire in `note`: the notes are there.
    NOTES.store(core::ptr::from_ref(notes).cast_mut(), Ordering::Release);
}

/// `result`, as `call` has returned it.
#[inline(always)]
fn noted(call: Sysno, result: isize) -> isize {
    if let Err(errno) = abi::decode(result) {
        note(call, errno);
    }
    result
}

#[cold]
#[inline(never)]
fn note(call: Sysno, errno: Errno) {
    // SAFETY: null, or from a reference that lives to the end of the program.
    if let Some(notes) = unsafe { NOTES.load(Ordering::Acquire).as_ref() } {
        notes.note(call, errno);
    }
}
