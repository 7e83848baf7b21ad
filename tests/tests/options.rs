//! What `run-smp.sh` says to wrong options, and how it tells a run's outcome. None of these boots the kernel.

use std::process::Output;

use tests::run_smp;

#[track_caller]
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Output, String) {
    let mut command = run_smp();
    command
        .args(arguments)
        .env("ARGONAUT_BUILT", "1")
        .envs(environment.iter().copied());
    let output = command.output().expect("run-smp.sh should start");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, errors)
}

#[track_caller]
fn assert_refused(arguments: &[&str], environment: &[(&str, &str)], reason: &str) {
    let (output, errors) = run(arguments, environment);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    assert!(
        output.stdout.is_empty(),
        "{arguments:?} should print nothing"
    );
    assert_eq!(
        errors.lines().count(),
        1,
        "{arguments:?} should get one line: {errors}"
    );
    assert!(
        errors.starts_with("run-smp.sh: ") && errors.contains(reason),
        "{arguments:?}: {errors}"
    );
}

#[test]
fn a_wrong_option_is_one_line_and_status_2() {
    for (arguments, reason) in [
        (&["--nosuch"][..], "--nosuch"),
        (&["-x"], "-x"),
        (&["--smp"], "wants an argument"),
        (&["--smp", "0"], "--smp 0"),
        (&["--smp", "-1"], "--smp -1"),
        (&["--smp", "four"], "--smp four"),
        (&["--smp", ""], "--smp"),
        (&["--smp", "4,sockets=3"], "topology"),
        (&["--mem", "much"], "--mem much"),
        (&["--mem", "0"], "--mem 0"),
        (&["--cpu", "nosuch"], "nosuch"),
        (&["--machine", "nosuch"], "machine"),
        (&["--profile", "nosuch"], "nosuch"),
        (&["--add", "/nosuch"], "/nosuch"),
        (&["--log", "/nosuch/log"], "/nosuch/log"),
        (
            &["--screenshot", "/nosuch/screen.png"],
            "/nosuch/screen.png",
        ),
        (&["--append", "a -- b", "hello"], "--append"),
        (&["two words"], "two words"),
        (&[""], "not a program's name"),
    ] {
        assert_refused(arguments, &[], reason);
    }
}

#[test]
fn a_qemu_that_is_absent_is_one_line_and_status_2() {
    assert_refused(
        &["hello"],
        &[("ARGONAUT_QEMU", "/nosuch/qemu")],
        "/nosuch/qemu",
    );
}

#[test]
fn nothing_is_built_for_a_wrong_option() {
    let target = std::env::temp_dir().join(format!("argonaut-options-{}", std::process::id()));
    let mut command = run_smp();
    let status = command
        .args(["--smp", "0"])
        .env("ARGONAUT_TARGET", &target)
        .status();
    assert_eq!(status.ok().and_then(|status| status.code()), Some(2));
    assert!(!target.exists());
}

#[test]
fn help_names_every_option() {
    let (output, _) = run(&["--help"], &[]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    for option in [
        "--smp",
        "--mem",
        "--cpu",
        "--machine",
        "--gdb",
        "--display",
        "--screenshot",
        "--log",
        "--trace-faults",
        "--icount",
        "--add",
        "--append",
        "--profile",
        "--help",
    ] {
        assert!(
            help.contains(&format!("\n  {option} ")),
            "{option} is missing in\n{help}"
        );
    }
}

/// Runs with a QEMU that does this instead of booting anything.
#[track_caller]
fn run_with_fake_qemu(script: &str) -> (Option<i32>, String) {
    let qemu = tests::root()
        .join("tests/tests/fake-qemu.sh")
        .display()
        .to_string();
    let (output, errors) = run(
        &["hello"],
        &[("ARGONAUT_QEMU", &qemu), ("FAKE_QEMU", script)],
    );
    (output.status.code(), errors)
}

#[test]
fn a_display_has_the_memory_view_unless_that_is_switched_off() {
    let qemu = tests::root().join("tests/tests/fake-qemu.sh");
    let script = r#"echo "$*" >&2; echo '@@argonaut exit 0' >"$log""#;
    let qemu = qemu.display().to_string();
    let environment = [("ARGONAUT_QEMU", qemu.as_str()), ("FAKE_QEMU", script)];
    for (options, boot_line) in [
        (&["--display"][..], "-append memview=on run=hello "),
        (
            &["--display", "--append", "memview=off"],
            "-append memview=on memview=off run=hello ",
        ),
        (&[], "-append run=hello "),
    ] {
        let (_, errors) = run(&[options, &["hello"]].concat(), &environment);
        assert!(errors.contains(boot_line), "{options:?}: {errors}");
    }
}

#[test]
fn the_status_is_that_of_the_protocol_line() {
    for (line, status, message) in [
        ("exit 0", 0, ""),
        ("exit 7", 7, ""),
        ("exit 255", 255, ""),
        ("killed 9", 137, ""),
        (
            "panic no frames",
            70,
            "run-smp.sh: the kernel panicked: no frames\n",
        ),
        (
            "refused 8 MiB only",
            69,
            "run-smp.sh: the kernel refused this machine: 8 MiB only\n",
        ),
    ] {
        let script = format!(
            "printf 'before\\n@@argonaut booted 1 1\\n@@argonaut {line}\\r\\n' >\"$log\"; exit 33"
        );
        assert_eq!(
            run_with_fake_qemu(&script),
            (Some(status), message.to_owned()),
            "{line}"
        );
    }
}

#[test]
fn a_machine_that_was_asked_to_reboot_is_started_again() {
    let script = "if grep -q reboot \"$log\"; then echo '@@argonaut exit 7' >\"$log\"; exit 33; fi
                  echo '@@argonaut reboot' >\"$log\"";
    assert_eq!(run_with_fake_qemu(script), (Some(7), String::new()));
    let (status, errors) = run_with_fake_qemu("echo '@@argonaut reboot' >\"$log\"; kill -KILL $$");
    assert_eq!(status, Some(3), "{errors}");
}

#[test]
fn a_qemu_that_dies_is_status_3_and_the_end_of_the_log() {
    let (status, errors) = run_with_fake_qemu("echo last words >\"$log\"; kill -KILL $$");
    assert_eq!(status, Some(3), "{errors}");
    assert!(
        errors.contains("signal 9") && errors.ends_with("last words\n"),
        "{errors}"
    );
}

#[test]
fn a_qemu_that_ends_without_an_outcome_is_status_3() {
    let (status, errors) = run_with_fake_qemu("echo '@@argonaut booted 4 100' >\"$log\"");
    assert_eq!(status, Some(3), "{errors}");
}

#[test]
fn a_qemu_that_does_not_start_is_status_2() {
    let (status, errors) = run_with_fake_qemu("echo 'qemu: no memory' >&2; exit 1");
    assert_eq!((status, errors.as_str()), (Some(2), "qemu: no memory\n"));
}
