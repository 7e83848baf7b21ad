//! The models of the libraries, which take builds of their own (`--cfg loom`, `--cfg shuttle`), in target directories
//! of their own.

use std::process::Command;

use tests::root;

/// Builds with `--cfg tool` and runs the tests that `what` names, all of them to the end.
#[track_caller]
fn explore(tool: &str, what: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--release", "--no-fail-fast"])
        .args(what)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", root().join("target").join(tool))
        .env("RUSTFLAGS", format!("--cfg {tool}"))
        // With what the kernel is built with, building would take longer than running.
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
fn the_loom_models_hold() {
    let crates = ["-p", "smp", "-p", "mm", "-p", "proc", "--test", "loom_*"];
    explore("loom", &crates);
    let inside_proc = [
        "turn::model",
        "exit::model",
        "join::model",
        "futex::model",
        "signal::send::model",
        "pipe::positions::model",
    ];
    explore(
        "loom",
        &[&["-p", "proc", "--lib", "--"][..], &inside_proc].concat(),
    );
}

#[test]
fn the_flush_protocol_holds_in_random_schedules() {
    explore("shuttle", &["-p", "mm", "--test", "shuttle_flush"]);
}
