//! From the first instruction to `main`, and what the loader and the user ask for.

pub mod command_line;
pub mod entry;
pub mod info;
