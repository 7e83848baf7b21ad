//! The loom models of the libraries, which take a build of their own (`--cfg loom`), in a target directory of its own.

use std::process::Command;

use tests::root;

/// Runs the tests that `what` names, all of them to the end.
#[track_caller]
fn explore(what: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--release", "--no-fail-fast"])
        .args(what)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", root().join("target/loom"))
        .env("RUSTFLAGS", "--cfg loom")
        // Building takes longer than running with what the kernel is built with.
        .envs([
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
        ])
        .output()
        .expect("cargo starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "a model fails\n{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let has_run = |line: &str| line.starts_with("test ") && line.ends_with(" ok");
    assert!(printed.lines().any(has_run), "no model ran\n{printed}");
}

/// In one test, since two builds in one directory wait for each other.
#[test]
fn the_models_hold() {
    explore(&["-p", "smp", "-p", "mm", "-p", "proc", "--test", "loom_*"]);
    explore(&[
        "-p",
        "proc",
        "--lib",
        "--",
        "turn::model",
        "exit::model",
        "pipe::positions::model",
    ]);
}
