//! The newcomer's first minute. Slow, since everything is fetched and built anew:
//! `cargo test --test fresh_clone -- --ignored`.

use std::fs;
use std::process::Command;

use tests::root;

#[test]
#[ignore = "fetches and builds everything anew: cargo test --test fresh_clone -- --ignored"]
fn a_fresh_clone_with_an_empty_cargo_home_says_hello() {
    let place = std::env::temp_dir().join(format!("argonaut-fresh-{}", std::process::id()));
    let clone = Command::new("git")
        .arg("clone")
        .arg("--quiet")
        .arg(root())
        .arg(&place)
        .status();
    assert!(
        clone.is_ok_and(|status| status.success()),
        "git clone should succeed"
    );
    let mut command = Command::new(place.join("run-smp.sh"));
    command
        .arg("hello")
        .current_dir(&place)
        .env("CARGO_HOME", place.join("target/cargo-home"));
    // Those are of the cargo that runs this test.
    for name in [
        "CARGO",
        "RUSTC",
        "CARGO_TARGET_DIR",
        "ARGONAUT_BUILT",
        "ARGONAUT_TARGET",
    ] {
        command.env_remove(name);
    }
    let output = command.output().expect("run-smp.sh should start");
    let _ = fs::remove_dir_all(&place);
    let (printed, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{printed}\n{errors}");
    assert!(
        printed.contains("Hello from process"),
        "{printed}\n{errors}"
    );
}
