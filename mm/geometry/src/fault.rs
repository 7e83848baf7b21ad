//! Which accesses fault, and what the processor says about it.
//!
//! An entry grants rights; a walk grants what all of its entries grant. The error code is that of x86, on every machine
//! here (a choice, for those of the exercises): bit 0 says that the page is present, so that it is the rights which are
//! missing; bit 1 that the access was a write, bit 2 that it came from user code, bit 4 that an instruction was
//! fetched. Not modelled are entries with reserved bits set, protection keys and shadow stacks.
//!
//! Source for x86: Intel SDM volume 3, "Access Rights" and "Page-Fault Exceptions".

use core::fmt;

use crate::geometry::{Decoded, Geometry};

/// What an entry that is present allows.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Rights {
    /// What lies there may be changed.
    pub is_writable: bool,
    /// It is the user's.
    pub is_user: bool,
    /// Instructions may be fetched from there.
    pub is_executable: bool,
}

impl Rights {
    /// All of them.
    pub const ALL: Rights = Rights {
        is_writable: true,
        is_user: true,
        is_executable: true,
    };

    /// What both allow: the rights of a walk are those of its entries combined.
    #[must_use]
    pub fn and(self, other: Rights) -> Rights {
        Rights {
            is_writable: self.is_writable && other.is_writable,
            is_user: self.is_user && other.is_user,
            is_executable: self.is_executable && other.is_executable,
        }
    }
}

/// Who makes an access.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Mode {
    /// The kernel, for itself: not in a window in which SMAP is suspended.
    Kernel,
    /// User code.
    User,
}

/// What for.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Intent {
    /// To read data.
    Read,
    /// To write data.
    Write,
    /// To fetch an instruction.
    Execute,
}

/// An access to memory.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Access {
    /// Who makes it.
    pub mode: Mode,
    /// What for.
    pub intent: Intent,
}

impl Access {
    /// Every access that there is.
    pub const EVERY: [Access; 6] = [
        Access::new(Mode::Kernel, Intent::Read),
        Access::new(Mode::Kernel, Intent::Write),
        Access::new(Mode::Kernel, Intent::Execute),
        Access::new(Mode::User, Intent::Read),
        Access::new(Mode::User, Intent::Write),
        Access::new(Mode::User, Intent::Execute),
    ];

    /// An access.
    pub const fn new(mode: Mode, intent: Intent) -> Access {
        Access { mode, intent }
    }
}

/// The error code of a page fault.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct ErrorCode(u32);

impl ErrorCode {
    const PRESENT: u32 = 1 << 0;
    const WRITE: u32 = 1 << 1;
    const USER: u32 = 1 << 2;
    const FETCH: u32 = 1 << 4;

    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::LowerHex for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// How a processor takes the rights.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Rules {
    /// The right to write is asked of the kernel too (WP).
    pub has_write_protect: bool,
    /// Entries can withhold the right to execute (NX).
    pub has_no_execute: bool,
    /// The kernel does not execute what is the user's (SMEP).
    pub has_smep: bool,
    /// The kernel does not read or write what is the user's (SMAP).
    pub has_smap: bool,
}

impl Rules {
    /// Nothing but WP: what the i486 had.
    pub const BASIC: Rules = Rules {
        has_write_protect: true,
        has_no_execute: false,
        has_smep: false,
        has_smap: false,
    };

    /// Whether fetching an instruction is anything else than reading, and told apart in the error code.
    pub fn has_fetches(self) -> bool {
        self.has_no_execute || self.has_smep
    }

    /// What becomes of `access` to a page that grants `rights`; `None` is a page that is not present.
    ///
    /// # Errors
    /// The [`ErrorCode`] of the fault.
    pub fn check(self, rights: Option<Rights>, access: Access) -> Result<(), ErrorCode> {
        if rights.is_some_and(|rights| self.is_allowed(rights, access)) {
            return Ok(());
        }
        let mut bits = 0;
        for (is_so, bit) in [
            (rights.is_some(), ErrorCode::PRESENT),
            (access.intent == Intent::Write, ErrorCode::WRITE),
            (access.mode == Mode::User, ErrorCode::USER),
            (
                access.intent == Intent::Execute && self.has_fetches(),
                ErrorCode::FETCH,
            ),
        ] {
            if is_so {
                bits |= bit;
            }
        }
        Err(ErrorCode(bits))
    }

    fn is_allowed(self, rights: Rights, access: Access) -> bool {
        let is_for_mode = match (access.mode, access.intent) {
            (Mode::User, _) => rights.is_user,
            (Mode::Kernel, Intent::Execute) => !(rights.is_user && self.has_smep),
            (Mode::Kernel, _) => !(rights.is_user && self.has_smap),
        };
        let is_for_intent = match (access.intent, access.mode) {
            (Intent::Read, _) => true,
            (Intent::Write, Mode::User) => rights.is_writable,
            (Intent::Write, Mode::Kernel) => rights.is_writable || !self.has_write_protect,
            (Intent::Execute, _) => rights.is_executable || !self.has_no_execute,
        };
        is_for_mode && is_for_intent
    }
}

/// A machine whose entries say who may do what.
pub trait Protection: Geometry {
    /// How the processor takes the rights.
    fn rules(self) -> Rules;

    /// What the word `raw`, as an entry of this level which is present, allows. What the machine cannot withhold at
    /// this level is allowed.
    fn rights(self, raw: u64, level: u32) -> Rights;

    /// The entry of this level that says `decoded` and allows `rights`, or more if the machine cannot withhold them.
    /// Bits of an address that the entry has no room for are dropped.
    fn encode(self, decoded: Decoded, rights: Rights, level: u32) -> u64;

    /// What becomes of `access` if `raw`, an entry of this level, decides alone.
    ///
    /// # Errors
    /// The [`ErrorCode`] of the fault.
    fn check(self, raw: u64, level: u32, access: Access) -> Result<(), ErrorCode> {
        let rights = match self.decode(raw, level) {
            Decoded::Empty => None,
            Decoded::Table(_) | Decoded::Leaf(_) => Some(self.rights(raw, level)),
        };
        self.rules().check(rights, access)
    }
}
