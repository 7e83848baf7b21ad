//! What several programs need that is too odd for the library.
#![no_std]

pub mod alice_note;
pub mod all_registers;
pub mod found_registers;
pub mod pipe_partners;
pub mod random;
