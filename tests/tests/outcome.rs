//! One program is run, and its result is the script's.

use tests::Boot;

#[test]
fn hello_greets_from_a_cpu_and_ends_with_0() {
    let run = Boot::program(&["hello"]).run();
    run.assert_status(0)
        .assert_cpus(4)
        .assert_console_has("Hello from process")
        .assert_console_has("on CPU");
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let words = [
        "plain",
        "two words",
        "it's",
        "say \"hi\"",
        "back\\slash",
        "--",
        "$HOME",
        "*",
        "",
        "ende",
    ];
    let run = Boot::program(&[&["hello"][..], &words].concat())
        .cpus(1)
        .run();
    run.assert_status(0);
    for word in words {
        let line = format!("I was given: {word}");
        assert!(
            run.console()
                .lines()
                .any(|shown| shown.trim_end_matches('\r') == line),
            "{line}\n{run}"
        );
    }
}

#[test]
fn a_program_that_does_not_exist_is_a_clear_line_and_a_failure() {
    let run = Boot::program(&["nosuch"]).cpus(1).run();
    run.assert_program_failed().assert_console_has("nosuch");
}

#[test]
fn the_status_of_the_program_is_the_status_of_the_script() {
    Boot::program(&["spawn", "exit", "42"])
        .cpus(1)
        .run()
        .assert_status(42);
}

#[test]
fn the_kernel_log_does_not_mix_with_the_console() {
    let run = Boot::program(&["hello"]).cpus(1).run();
    assert!(!run.console().contains("@@argonaut"), "{run}");
    assert!(!run.log().contains("Hello from process"), "{run}");
}

#[test]
fn alice_goes_on_while_eve_loops_for_ever() {
    for cpus in [1, 2] {
        let run = Boot::program(&["friends"]).cpus(cpus).run();
        run.assert_status(0)
            .assert_console_has("I'm Eve")
            .assert_console_has("I'm Alice! #10");
    }
}

#[test]
fn a_screenshot_is_a_picture_of_the_end() {
    let file = std::env::temp_dir().join(format!("argonaut-screen-{}.png", std::process::id()));
    let boot = Boot::program(&["hello"]).cpus(1).option("--screenshot");
    let run = boot.option(&file.display().to_string()).run();
    let picture = std::fs::read(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    run.assert_status(0);
    assert!(picture.starts_with(b"\x89PNG"), "no picture\n{run}");
}

#[test]
fn with_icount_every_run_is_the_same() {
    let [first, second] = [(); 2].map(|()| Boot::program(&["hello"]).option("--icount").run());
    first.assert_status(0);
    assert_eq!(
        (first.console(), first.log()),
        (second.console(), second.log())
    );
}

#[test]
fn an_added_file_is_in_the_image_in_the_place_of_one_of_the_same_name() {
    let directory = std::env::temp_dir().join(format!("argonaut-added-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory for the file");
    let file = directory.join("hello");
    std::fs::write(&file, "no program").expect("the file");
    let add = |boot: Boot| {
        boot.cpus(1)
            .option("--add")
            .option(&file.display().to_string())
    };
    let run = add(Boot::program(&["hello"])).run();
    let _ = std::fs::remove_dir_all(&directory);
    run.assert_program_failed().assert_console_has("hello");
    assert!(!run.console().contains("Hello from process"), "{run}");
}
