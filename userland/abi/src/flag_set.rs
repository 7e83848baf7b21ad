//! Sets of flags as numbers, for a crate that depends on no other: a dependency's features would be those of every
//! program.

/// A flag, as it is documented.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Flag {
    /// Its name.
    pub name: &'static str,
    /// Its bit.
    pub bits: u32,
    /// What it means, a line each.
    pub documentation: &'static [&'static str],
}

/// Defines a set of flags: a struct around a `u32`, with a constant for each flag.
macro_rules! flag_set {
    ($($(#[$outer:meta])* pub struct $Name:ident: u32 {
        $($(#[doc = $doc:literal])+ const $FLAG:ident = $bits:literal;)+
    })+) => { $(
        $(#[$outer])*
        #[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
        pub struct $Name(u32);

        impl $Name {
            $($(#[doc = $doc])+ pub const $FLAG: $Name = $Name($bits);)+

            /// Each flag with what it means, for the reference of system calls.
            pub const TABLE: &'static [$crate::Flag] = &[$($crate::Flag {
                name: stringify!($FLAG),
                bits: $bits,
                documentation: &[$($doc),+],
            }),+];

            /// No flag.
            pub const fn empty() -> $Name {
                $Name(0)
            }

            /// Every flag.
            pub const fn all() -> $Name {
                $Name($($bits)|+)
            }

            /// The flags as a number.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// The flags with these bits; none if a bit has no meaning.
            pub const fn from_bits(bits: u32) -> Option<$Name> {
                if bits & !$Name::all().0 == 0 { Some($Name(bits)) } else { None }
            }

            /// The flags with these bits, less those that have no meaning.
            pub const fn from_bits_truncate(bits: u32) -> $Name {
                $Name(bits & $Name::all().0)
            }

            /// The flags with exactly these bits, whether they have a meaning or not: for whoever wants to be refused.
            pub const fn from_bits_retain(bits: u32) -> $Name {
                $Name(bits)
            }

            /// Whether all of `flags` are set.
            pub const fn contains(self, flags: $Name) -> bool {
                self.0 & flags.0 == flags.0
            }

            /// Whether one of `flags` is set.
            pub const fn intersects(self, flags: $Name) -> bool {
                self.0 & flags.0 != 0
            }

            /// Whether no flag is set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The flags of both.
            #[must_use]
            pub const fn union(self, flags: $Name) -> $Name {
                $Name(self.0 | flags.0)
            }

            /// Sets `flags`, or clears them.
            pub const fn set(&mut self, flags: $Name, is_set: bool) {
                self.0 = if is_set { self.0 | flags.0 } else { self.0 & !flags.0 };
            }
        }

        impl core::ops::BitOr for $Name {
            type Output = $Name;
            fn bitor(self, other: $Name) -> $Name {
                self.union(other)
            }
        }

        impl core::ops::BitOrAssign for $Name {
            fn bitor_assign(&mut self, other: $Name) {
                *self = self.union(other);
            }
        }
    )+ };
}

pub(crate) use flag_set;
