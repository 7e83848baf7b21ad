//! Injected failures: a system call for tests, which a kernel has only if its boot line asks for it.

/// The number of `fail_allocation(first: usize, count: usize) -> usize`, far beyond the table of calls.
///
/// Of the allocations that the calling thread has the kernel make from now on, `count` fail, the first of them being
/// number `first`, counted from 1: frames, blocks of the heap, kernel stacks and entries of the process table alike.
/// There is one such plan in the system, and this one takes the place of the one before. Returns 0.
///
/// With a `count` of 0 no allocation fails any more. Returns how many the last plan has made fail.
///
/// Errors: `ENOSYS` unless the boot line has `fail=alloc:driver`, or another `fail=alloc`; `EINVAL` if a number is 2^32
/// or more.
pub const FAIL_ALLOCATION: usize = 0xfa11;
