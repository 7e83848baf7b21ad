//! The Rust library of user programs.
#![no_std]
