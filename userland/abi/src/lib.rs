//! The contract between the kernel and user programs.
#![no_std]
#![forbid(unsafe_code)]
