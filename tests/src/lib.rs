//! Boots the kernel from outside and checks what it does.
//!
//! A test says what to boot ([`Boot`]), runs it to its end ([`Boot::run`]) or talks to it through a terminal
//! ([`Boot::terminal`]), and asks the [`Run`] what came of it. Everything goes through `run-smp.sh`, so what is tested
//! is what a user types. A run that is not over at its deadline is a failure, and its report shows where each CPU was.
//!
//! The kernel of the tests is the profile `checked`: optimised, with debug assertions and overflow checks.
//! `ARGONAUT_QEMU` in the environment names another QEMU to test with.

mod boot;
pub mod c_program;
pub mod cache_lines;
pub mod gdb;
pub mod guide;
mod machine;
mod monitor;
mod prepare;
mod run;
mod screenshot;
mod slots;
mod terminal;

use std::path::{Path, PathBuf};

pub use boot::Boot;
pub use machine::{Machine, matrix};
pub use prepare::{qemu_has_x2apic, run_smp};
pub use protocol::Line;
pub use run::Run;
pub use screenshot::Screenshot;
pub use terminal::Terminal;

/// The root of the source tree.
pub fn root() -> PathBuf {
    // The parent of this crate's directory is there since this file is.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default()
}
