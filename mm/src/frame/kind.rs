//! What a frame is used for.

/// What an allocated frame is used for.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(u8)]
pub enum FrameKind {
    /// Per-CPU areas, tables and other parts of the kernel that are neither heap nor stack.
    Kernel,
    /// The kernel heap.
    KernelHeap,
    /// Kernel stacks, in use or pooled.
    KernelStack,
    /// Page-table pages.
    PageTable,
    /// Zero-filled memory of user programs, and their private copies of anything.
    Anonymous,
    /// Contents of files: the initrd's, and what was written over it.
    File,
    /// Pipe buffers.
    Pipe,
}

impl FrameKind {
    /// How many kinds there are.
    pub const COUNT: usize = 7;

    /// All kinds, in the order of their numbers.
    pub const ALL: [FrameKind; FrameKind::COUNT] = [
        FrameKind::Kernel,
        FrameKind::KernelHeap,
        FrameKind::KernelStack,
        FrameKind::PageTable,
        FrameKind::Anonymous,
        FrameKind::File,
        FrameKind::Pipe,
    ];

    /// The kind's place in [`FrameKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name for listings.
    pub const fn name(self) -> &'static str {
        match self {
            FrameKind::Kernel => "kernel",
            FrameKind::KernelHeap => "heap",
            FrameKind::KernelStack => "stacks",
            FrameKind::PageTable => "page tables",
            FrameKind::Anonymous => "anonymous",
            FrameKind::File => "files",
            FrameKind::Pipe => "pipes",
        }
    }
}

/// What a frame is, as the memory view shows it.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum FrameState {
    /// Not memory: a hole in the machine's map.
    Absent,
    /// Memory that never enters the pool: the kernel's image, its modules, the firmware's, the frame table.
    Reserved,
    /// In the buddy allocator.
    Free,
    /// Free, in some CPU's cache.
    Cached,
    /// Allocated.
    InUse {
        /// What for.
        kind: FrameKind,
        /// How many owners share it.
        references: u32,
    },
}

/// A run of frames in one state: 2 to the power of `order` frames from frame `number` on.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct FrameRun {
    /// The number of the first frame.
    pub number: u32,
    /// log2 of the number of frames.
    pub order: u8,
    /// What they are.
    pub state: FrameState,
}

#[cfg(test)]
mod tests {
    use super::FrameKind;

    #[test]
    fn the_list_of_kinds_is_in_the_order_of_their_numbers() {
        for (index, kind) in FrameKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), index);
        }
    }
}
