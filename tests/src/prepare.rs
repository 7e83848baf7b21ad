//! What has to be there before a boot, made once for all tests of a process: QEMU, the kernel, the image.

use std::process::{Command, Stdio};
use std::sync::{Mutex, Once, PoisonError};

use crate::root;

/// `run-smp.sh` as a user calls it, with nothing on its standard input.
pub fn run_smp() -> Command {
    // Before the first call, so that two tests do not both find that QEMU is missing and install it.
    static QEMU: Once = Once::new();
    QEMU.call_once(|| {
        succeed(shell(FIND_QEMU));
    });
    let mut command = Command::new(root().join("run-smp.sh"));
    command.stdin(Stdio::null());
    command
}

const FIND_QEMU: &str = ". tools/setup.sh && find_qemu";

/// The profiles that have been built by this process.
static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Builds the kernel in this profile, with the programs and the image, if this process has not done so yet.
pub(crate) fn build(profile: &str) {
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.iter().any(|done| done == profile) {
        return;
    }
    succeed(Command::new(root().join("tools/build.sh")).arg(profile));
    built.push(profile.to_owned());
}

/// Whether the QEMU that the tests boot with emulates x2APIC, as its versions from 9 on do.
pub fn qemu_has_x2apic() -> bool {
    let version = succeed(shell(&format!("{FIND_QEMU} && \"$QEMU\" --version")));
    let major = version
        .split_once("version ")
        .and_then(|(_, rest)| rest.split_once('.'));
    major
        .and_then(|(major, _)| major.parse().ok())
        .is_some_and(|major: u32| major >= 9)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euc", script]).current_dir(root());
    command
}

/// Runs a command to its end and returns what it printed; the test fails if the command did.
fn succeed(mut command: impl std::borrow::BorrowMut<Command>) -> String {
    let command = command.borrow_mut();
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} could not be started: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{errors}",
        output.status
    );
    printed
}
