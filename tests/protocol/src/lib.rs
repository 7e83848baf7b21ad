//! The lines by which the kernel tells the outside how a run went.
#![no_std]
#![forbid(unsafe_code)]
