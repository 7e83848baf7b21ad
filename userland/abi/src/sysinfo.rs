//! The kernel's accounts, as `sysinfo` reports them.

/// The kernel's accounts at one moment.
///
/// The structure grows only at its end. The caller passes the length that it knows; the kernel fills that much of what
/// it knows, and returns the length of its own structure. A field that the kernel does not know stays as it was.
///
/// A quiet machine that has run and waited for any number of processes shows the same numbers as before in every field
/// of [`SysInfo::accounts`].
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
#[repr(C)]
pub struct SysInfo {
    /// CPUs that are up.
    pub cpus: u64,
    /// Time since the kernel's first instruction.
    pub uptime_ns: u64,
    /// All frames of memory that the kernel manages, 4 KiB each.
    pub total_frames: u64,
    /// Frames that nobody uses, those in per-CPU caches included.
    pub free_frames: u64,
    /// Frames that pools keep mapped or formatted for their next user: recycled kernel stacks, empty heap blocks. They
    /// are in no other count here.
    pub pooled_frames: u64,
    /// Frames of the kernel's text, data and tables made at boot.
    pub kernel_frames: u64,
    /// Frames of the kernel's heap.
    pub kernel_heap_frames: u64,
    /// Frames of kernel stacks in use.
    pub kernel_stack_frames: u64,
    /// Frames of page tables.
    pub page_table_frames: u64,
    /// Frames of anonymous user memory.
    pub anonymous_frames: u64,
    /// Frames of file contents.
    pub file_frames: u64,
    /// Frames of pipe buffers.
    pub pipe_frames: u64,
    /// Frames of any other use.
    pub other_frames: u64,
    /// Bytes allocated from the kernel's heap.
    pub heap_bytes: u64,
    /// Entries of the process table in use.
    pub table_entries: u64,
    /// How many entries the process table can have.
    pub table_capacity: u64,
    /// Shootdowns since boot: changes of address spaces of which other CPUs were told.
    pub shootdowns_sent: u64,
    /// How many CPUs were told, in all.
    pub shootdown_targets: u64,
    /// Changes that took something away and of which no other CPU had to be told.
    pub shootdowns_avoided: u64,
}

impl SysInfo {
    /// The accounts that must be back where they were once a process has been waited for, each with its name.
    pub const fn accounts(&self) -> [(&'static str, u64); 10] {
        [
            (
                "free and pooled frames",
                self.free_frames.saturating_add(self.pooled_frames),
            ),
            ("kernel frames", self.kernel_frames),
            ("kernel stack frames", self.kernel_stack_frames),
            ("page table frames", self.page_table_frames),
            ("anonymous frames", self.anonymous_frames),
            ("file frames", self.file_frames),
            ("pipe frames", self.pipe_frames),
            ("other frames", self.other_frames),
            ("heap bytes", self.heap_bytes),
            ("table entries", self.table_entries),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::SysInfo;

    #[test]
    fn a_frame_that_moves_into_a_pool_is_not_a_leak() {
        let before = SysInfo {
            free_frames: 10,
            pooled_frames: 0,
            ..SysInfo::default()
        };
        let after = SysInfo {
            free_frames: 6,
            pooled_frames: 4,
            ..SysInfo::default()
        };
        assert_eq!(before.accounts(), after.accounts());
    }

    #[test]
    fn a_leaked_frame_shows() {
        let before = SysInfo {
            free_frames: 10,
            ..SysInfo::default()
        };
        let after = SysInfo {
            free_frames: 9,
            anonymous_frames: 1,
            ..SysInfo::default()
        };
        assert_ne!(before.accounts(), after.accounts());
    }
}
