//! What has to be there before a boot, made once for all tests of a process: QEMU, the kernel, the image.

use std::env;
use std::process::{Command, Stdio};
use std::sync::{Mutex, Once, PoisonError};

use crate::root;

/// The variable by which `run-smp.sh` knows that it need not build.
pub(crate) const BUILT: &str = "ARGONAUT_BUILT";

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

/// Which profiles this process has built, or tried to.
static BUILDS: Mutex<Vec<(String, Result<(), String>)>> = Mutex::new(Vec::new());

/// Builds the kernel in this profile, with the programs and the image, if this process has not done so yet and
/// `ARGONAUT_BUILT` does not say that they are there. The test fails if that fails, now or earlier.
pub(crate) fn build(profile: &str) {
    if env::var_os(BUILT).is_some() {
        return;
    }
    // Held while building, so that the other tests wait.
    let mut builds = BUILDS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = builds.iter().find(|(built, _)| built == profile);
    let result = match known {
        Some((_, result)) => result.clone(),
        None => {
            let result = run(Command::new(root().join("tools/build.sh")).arg(profile)).map(drop);
            builds.push((profile.to_owned(), result.clone()));
            result
        }
    };
    drop(builds);
    if let Err(reason) = result {
        panic!("{reason}");
    }
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

pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euc", script]).current_dir(root());
    command
}

fn succeed(mut command: Command) -> String {
    run(&mut command).unwrap_or_else(|reason| panic!("{reason}"))
}

/// Runs a command to its end and returns what it printed, or why it failed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?} could not be started: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "{command:?} ended with {}\n{errors}",
            output.status
        ))
    }
}
