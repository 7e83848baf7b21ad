//! CPUs: `getcpu` and affinity.

use abi::{Errno, Pid};
use mm::user::UserSlice;
use smp::cpu::{self, MAX_CPUS};
use smp::cpu_set::CpuSet;

use super::Call;

const MASK_LEN: usize = MAX_CPUS / 8;

/// `getcpu()`.
pub(super) fn getcpu(_: Call<'_>) -> Result<usize, Errno> {
    Ok(cpu::id_racy().index())
}

/// `set_affinity(tid, mask, len)`.
pub(super) fn set_affinity(call: Call<'_>) -> Result<usize, Errno> {
    let [tid, mask, len, ..] = call.arguments();
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; MASK_LEN];
    UserSlice::new(mask, len.min(MASK_LEN))?.copy_in(&mut bytes)?;
    let words = bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word));
    let set = CpuSet::from_words(words);
    proc::affinity::set_affinity(call.thread, tid as Pid, &set)?;
    Ok(0)
}

/// `get_affinity(tid, mask, len)`.
pub(super) fn get_affinity(call: Call<'_>) -> Result<usize, Errno> {
    let [tid, mask, len, ..] = call.arguments();
    let meaningful = cpu::count().div_ceil(8);
    if len < meaningful {
        return Err(Errno::EINVAL);
    }
    let set = proc::affinity::get_affinity(call.thread, tid as Pid)?;
    let mut bytes = [0; MASK_LEN];
    for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(set.used_words()) {
        *place = word.to_le_bytes();
    }
    let mut rest = UserSlice::new(mask, len)?;
    // The kernel has no more CPUs than it has bits for: behind them there are only zeroes.
    while !rest.is_empty() {
        let written = rest.copy_out(&bytes)?;
        rest = rest.split_at(written).1;
        bytes.fill(0);
        if !rest.is_empty() {
            proc::file::pause_point()?;
        }
    }
    Ok(meaningful)
}
