//! `fail_allocation`, which is in no table of calls: it is there only if failures can be injected (`fail=alloc`).

use core::num::NonZeroU32;

use abi::Errno;
use abi::failures::FAIL_ALLOCATION;
use mm::fail::{self, Whose};

use super::Call;

/// A call that the table does not have.
///
/// # Errors
/// `ENOSYS` unless it is this one and the boot line has asked for failures.
#[cold]
pub(super) fn beyond_the_table(call: Call<'_>) -> Result<usize, Errno> {
    if call.registers.rax as usize == FAIL_ALLOCATION && fail::is_enabled() {
        fail_allocation(call)
    } else {
        Err(Errno::ENOSYS)
    }
}

/// `fail_allocation(first, count)`.
fn fail_allocation(call: Call<'_>) -> Result<usize, Errno> {
    let [first, count, ..] = call
        .arguments()
        .map(|argument| u32::try_from(argument).map_err(|_| Errno::EINVAL));
    match NonZeroU32::new(count?) {
        None => Ok(fail::disarm() as usize),
        Some(count) => {
            fail::arm(Whose::Mine, first?, count);
            Ok(0)
        }
    }
}
