//! Mistakes with memory.

use core::hint::black_box;

use mm::addr::USER_START;
use mm::frame::{self, Frame, FrameKind};
use mm::user::UserPtr;
use smp::lock::SpinLock;
use smp::rank;

use super::Place::KernelProcess;
use super::Plant;

pub(super) const PLANTS: [Plant; 6] = [
    Plant {
        name: "stack-overflow",
        fault: "a function of the kernel calls itself without end",
        place: KernelProcess,
        commit: || {
            recurse(0);
        },
    },
    Plant {
        name: "frame-twice",
        fault: "a frame is freed twice",
        place: KernelProcess,
        commit: free_twice,
    },
    Plant {
        name: "frame-dirty",
        fault: "a frame is given back as zero that is not",
        place: KernelProcess,
        commit: give_back_dirty,
    },
    Plant {
        name: "null",
        fault: "the kernel reads at address 0",
        place: KernelProcess,
        commit: read_at_null,
    },
    Plant {
        name: "text-write",
        fault: "the kernel writes to its own code",
        place: KernelProcess,
        commit: write_to_text,
    },
    Plant {
        name: "user-copy-under-lock",
        fault: "user memory is read with a spin lock held: the fault may have to wait",
        place: KernelProcess,
        commit: || {
            let lock = SpinLock::<(), rank::File>::new(());
            let _file = lock.lock();
            let _ = UserPtr::<u8>::new(USER_START.as_usize()).read();
        },
    },
];

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let local = black_box([depth; 64]);
    if local[0] == u64::MAX {
        return depth;
    }
    recurse(depth + 1) + black_box(local)[1]
}

fn free_twice() {
    if let Ok(frame) = frame::alloc(FrameKind::Anonymous) {
        let pa = frame.into_raw();
        // SAFETY: `pa` came from `into_raw`. That the reference is taken back only once does not hold: that is the
        // fault.
        drop(unsafe { (Frame::from_raw(pa), Frame::from_raw(pa)) });
    }
}

fn give_back_dirty() {
    if let Ok(frame) = frame::alloc(FrameKind::PageTable) {
        // SAFETY: the frame is nobody else's, and memory. That it then holds only zeros does not hold: that is the
        // fault.
        unsafe {
            frame.as_ptr().write(1);
            frame.drop_zeroed();
        }
    }
}

fn read_at_null() {
    // SAFETY: there is nothing at this address: that is the fault.
    unsafe { black_box(core::ptr::null::<u8>()).read_volatile() };
}

fn write_to_text() {
    // SAFETY: nobody may write there: that is the fault.
    unsafe { black_box(write_to_text as *mut u8).write_volatile(0) };
}
