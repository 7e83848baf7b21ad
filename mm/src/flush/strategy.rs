//! How other CPUs come to know of what has been taken away.

/// Which other CPUs a batch asks, and whether it waits for them.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(u8)]
pub enum Strategy {
    /// Those that can use what was taken away; it waits for them.
    Targeted,
    /// All of them, each time; it waits for them.
    Broadcast,
    /// Nobody at once, when something is just unmapped: they find out by themselves, and memory and addresses wait
    /// until they have ([`limbo`](crate::flush::limbo)). Whatever else takes something away does as `Targeted`.
    Deferred,
    /// Nobody: they go on using what they remember, whoever owns the memory by then (`break=shootdown`). Only a page
    /// table that is given back as a whole still sends the CPUs away that have it loaded.
    Nobody,
}

impl Strategy {
    #[inline]
    pub(super) const fn from_bits(bits: u8) -> Strategy {
        match bits {
            0 => Strategy::Targeted,
            1 => Strategy::Broadcast,
            2 => Strategy::Deferred,
            _ => Strategy::Nobody,
        }
    }
}
