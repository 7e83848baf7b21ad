//! Programs of the kernel: functions that are started by name, as the programs in files are.
//!
//! They do in the kernel what no program can do, or not yet: run threads on chosen CPUs in one address space. Who
//! starts them, waits for them and gets their status cannot tell the difference.

use spin::Once;

/// A program of the kernel.
#[derive(Debug)]
pub struct KernelProgram {
    /// By what it is started. It hides a file of this name.
    pub name: &'static str,
    /// Gets the arguments in one string, and returns the exit status.
    pub run: fn(&str) -> i32,
}

static PROGRAMS: Once<&'static [KernelProgram]> = Once::new();

/// Says which programs there are. Once, at boot.
pub fn install(programs: &'static [KernelProgram]) {
    PROGRAMS.call_once(|| programs);
}

/// The program that is called `name`.
pub(crate) fn find(name: &[u8]) -> Option<&'static KernelProgram> {
    PROGRAMS
        .get()?
        .iter()
        .find(|program| program.name.as_bytes() == name)
}
