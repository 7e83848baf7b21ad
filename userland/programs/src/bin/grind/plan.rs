//! Which calls are made how often, and what each argument of a call stands for: both from the table of system calls, so
//! that a new call takes part by itself.

use alloc::vec::Vec;

use abi::{Argument, Sysno, SystemCall, TABLE};
use programs::random::Random;

/// What an argument stands for, by its type and name.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Kind {
    /// There is no such argument, but the register has something.
    Nothing,
    /// Where the kernel reads or writes bytes, numbers or structures.
    Pointer,
    /// A string with its NUL.
    Text,
    /// A set of registers for a thread.
    Registers,
    /// A place in the address space, which need not be mapped.
    Address,
    /// Code where a thread starts.
    Function,
    /// Code that handles signals.
    Handler,
    /// A file.
    Descriptor,
    /// A process or a thread.
    Id,
    LenBytes,
    LenPages,
    DurationMs,
    Signal,
    /// A small number, or bits.
    Small,
    Number,
}

/// What is done how often, and with what.
pub(crate) struct Plan {
    /// Each call as often as it weighs.
    picks: Vec<Sysno>,
    /// For each call, by its number.
    kinds: [[Kind; 6]; Sysno::COUNT],
}

impl Plan {
    pub(crate) fn new() -> Plan {
        let weighted = |call: &SystemCall| core::iter::repeat_n(call.number, weight(call.number));
        Plan {
            picks: TABLE.iter().flat_map(weighted).collect(),
            kinds: core::array::from_fn(|number| {
                let arguments = TABLE[number].arguments;
                core::array::from_fn(|index| arguments.get(index).map_or(Kind::Nothing, kind))
            }),
        }
    }

    /// The next call.
    #[inline]
    pub(crate) fn pick(&self, random: &mut Random) -> Sysno {
        self.picks[random.below(self.picks.len() as u64) as usize]
    }

    /// What the arguments of a call stand for.
    #[inline]
    pub(crate) fn kinds(&self, call: Sysno) -> &[Kind; 6] {
        &self.kinds[call.number()]
    }
}

/// How often a call is made. Seldom are those that end or stop the caller or others, those that write to the console or
/// the log, which is slow, and those that start programs.
fn weight(call: Sysno) -> usize {
    match call {
        Sysno::Exit | Sysno::Panic | Sysno::ExitThread | Sysno::Log | Sysno::ConsolePut => 1,
        Sysno::Spawn | Sysno::SpawnWith | Sysno::Signal | Sysno::SigAction | Sysno::SleepMs => 2,
        Sysno::Fork | Sysno::PipeRead | Sysno::PipeWrite | Sysno::Yield => 4,
        Sysno::CreateThread | Sysno::CreateThreadRegisters | Sysno::Kill => 8,
        Sysno::WaitPid | Sysno::JoinThreadWait | Sysno::FutexWait => 16,
        _ => 64,
    }
}

fn kind(argument: &Argument) -> Kind {
    match (argument.name, argument.kind) {
        ("name" | "argument" | "path" | "message", "*const u8") => Kind::Text,
        (_, "*const ThreadRegisters") => Kind::Registers,
        (_, pointer) if pointer.starts_with('*') => Kind::Pointer,
        ("function", _) => Kind::Function,
        ("handler", _) => Kind::Handler,
        ("address" | "remote" | "local" | "stack_top", _) => Kind::Address,
        ("fd", _) => Kind::Descriptor,
        (_, "Pid") => Kind::Id,
        ("len", _) => Kind::LenBytes,
        ("len_pages", _) => Kind::LenPages,
        ("duration_ms", _) => Kind::DurationMs,
        ("signal", _) => Kind::Signal,
        (_, "u32" | "i32") => Kind::Small,
        _ => Kind::Number,
    }
}
