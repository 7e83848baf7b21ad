//! Thread-local variables of C programs: `__thread`, `_Thread_local`, and C++'s `thread_local` with constant initial
//! values.
//!
//! The compiler finds them below the address to which FS points, where the word is that address itself (variant II of
//! the ELF specification for thread-local storage). The first thread has its block from the heap; that of any other is
//! at the top of its stack, so that it goes with it. In the child of a fork, memory and FS are as they were.

use alloc::alloc::{Layout, alloc};
use core::ptr;

use ulib::thread;

/// What the linker script says of the program's thread-local variables.
#[repr(C)]
struct Template {
    /// Where their initial values are.
    data: *const u8,
    data_len: usize,
    /// The initial values and the zeros behind them.
    len: usize,
    alignment: usize,
}

// SAFETY: nobody changes it, nor what it points to.
unsafe impl Sync for Template {}

// SAFETY: the linker script defines it like this.
unsafe extern "C" {
    safe static TLS_TEMPLATE: Template;
}

/// The variables of a thread.
pub(crate) struct Block {
    /// Where they begin.
    pub(crate) start: usize,
    /// Where FS shall point: just behind them.
    pub(crate) base: usize,
}

/// Gives the first thread its variables, if the program has any.
pub(crate) fn begin() {
    let template = &TLS_TEMPLATE;
    if template.len == 0 {
        return;
    }
    // The block may begin almost twice its alignment below the top.
    let room = template.len + 2 * template.alignment + size_of::<usize>();
    let layout = Layout::from_size_align(room, size_of::<usize>())
        .expect("a program is smaller than memory");
    // SAFETY: the layout is not empty.
    let bytes = unsafe { alloc(layout) };
    assert!(!bytes.is_null(), "no memory for thread-local variables");
    // SAFETY: the memory is fresh, and there is enough.
    let block = unsafe { put_below(bytes.expose_provenance() + room) };
    let base = block.map_or(0, |block| block.base);
    thread::set_tls_base(base).expect("the heap is in user space");
}

/// Makes the variables of a thread, with their initial values, below `top`. `None` if the program has none.
///
/// # Safety
/// The memory below `top` can be written and is nobody else's, as far as the variables need it, as long as the thread
/// runs.
pub(crate) unsafe fn put_below(top: usize) -> Option<Block> {
    let template = &TLS_TEMPLATE;
    if template.len == 0 {
        return None;
    }
    let alignment = template.alignment.max(align_of::<usize>());
    let base = (top - size_of::<usize>()) & !(alignment - 1);
    let start = base - template.len.next_multiple_of(template.alignment);
    let block: *mut u8 = ptr::with_exposed_provenance_mut(start);
    // SAFETY: by the caller's word; the initial values are as many as the linker says, and part of the program.
    unsafe {
        ptr::copy_nonoverlapping(template.data, block, template.data_len);
        ptr::write_bytes(
            block.add(template.data_len),
            0,
            template.len - template.data_len,
        );
        block.add(base - start).cast::<usize>().write(base);
    }
    Some(Block { start, base })
}
