//! The process table: processes, threads, the scheduler, waiting, pipes and files.
//!
//! Nothing in here is `unsafe`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
