//! gdb, as the guide says that it is used.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::boot::{kill_group, wait};
use crate::prepare::{run, shell};
use crate::root;

/// The script that loads symbols and has the kernel's commands.
const SCRIPT: &str = "tools/gdb/argonaut.py";
const POLL: Duration = Duration::from_millis(10);

/// Whether there is a gdb; it is installed if that can be done. If not, a test that needs it is left out, which is said
/// where the test runner does not swallow it; with `CI` in the environment it fails instead.
pub fn is_there() -> bool {
    static FOUND: LazyLock<Result<String, String>> =
        LazyLock::new(|| run(&mut shell(". tools/setup.sh && find_program gdb gdb")));
    let Err(reason) = &*FOUND else {
        return true;
    };
    assert!(env::var_os("CI").is_none(), "{reason}");
    let name = thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln`, which is shown of tests that fail only.
    writeln!(io::stderr(), "SKIPPED {name}: there is no gdb\n{reason}")
        .unwrap_or_else(|error| panic!("{reason}\n{error}"));
    false
}

/// Attaches gdb to the machine that waits at `socket`, and returns what it prints while it executes `commands`,
/// also those after one that fails.
///
/// # Errors
/// Why it could not, or was not done at the deadline, with what it had printed.
pub(crate) fn execute(
    socket: &Path,
    commands: &[String],
    deadline: Duration,
) -> Result<String, String> {
    let start = Instant::now();
    while !socket.exists() {
        if start.elapsed() > deadline {
            return Err(format!("nothing waits at {}", socket.display()));
        }
        thread::sleep(POLL);
    }
    let said = |error: io::Error| format!("gdb: {error}");
    let output = socket.with_extension("output");
    let file = File::create(&output).map_err(said)?;
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-x", SCRIPT, "-ex"])
        .arg(format!("target remote {}", socket.display()));
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.current_dir(root())
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(said)?)
        .stderr(file)
        .process_group(0);
    let mut child = gdb.spawn().map_err(said)?;
    let status = wait(&mut child, deadline);
    kill_group(&mut child);
    let printed = std::fs::read(&output).map_err(said)?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    match status {
        Some(_) => Ok(printed),
        None => Err(format!("{gdb:?} was not done\n{printed}")),
    }
}
