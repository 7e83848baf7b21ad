//! Time as somebody counts it who waits or watches.

/// How long something has lasted, in steps of the one who looks: what passes between two looks counts up to a limit
/// only, and an excuse begins it anew ([`super::excuse`]). So a machine that is stopped, or a CPU that the host does
/// not run, does not find that all others have been stuck.
#[derive(Debug)]
pub struct OwnTime {
    counted_ns: u64,
    looked_ns: Option<u64>,
    excuses: u32,
}

impl OwnTime {
    /// None yet.
    pub const fn new() -> OwnTime {
        OwnTime {
            counted_ns: 0,
            looked_ns: None,
            excuses: 0,
        }
    }

    /// Looks: counts the time since the last look, but at most `longest_step_ns`, and returns the sum. The first look
    /// begins it.
    pub fn count(&mut self, now_ns: u64, longest_step_ns: u64) -> u64 {
        let excuses = super::excuses();
        match self.looked_ns.replace(now_ns) {
            Some(looked_ns) if excuses == self.excuses => {
                self.counted_ns += now_ns.saturating_sub(looked_ns).min(longest_step_ns);
            }
            _ => self.counted_ns = 0,
        }
        self.excuses = excuses;
        self.counted_ns
    }
}

impl Default for OwnTime {
    fn default() -> OwnTime {
        OwnTime::new()
    }
}
