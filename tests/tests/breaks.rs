//! Each break switch makes the demo of its protection fail; without it the demo passes.

use std::time::Duration;

use tests::Boot;

/// `program` passes, and fails with `break=name`, which the boot says loudly. A program that is broken so may also
/// hang; the kernel must not.
#[track_caller]
fn assert_breaks(name: &str, program: &[&str]) {
    Boot::program(program).cpus(2).run().assert_status(0);
    let option = format!("break={name}");
    let run = Boot::program(program)
        .cpus(2)
        .append(&option)
        .deadline(A_HANG)
        .run();
    run.assert_console_has(&option);
    if run.status().is_some() {
        run.assert_program_failed();
    }
}

/// A program that is not over then will never be.
const A_HANG: Duration = Duration::from_secs(30);

#[test]
fn without_copy_on_write_parent_and_child_see_each_others_stores() {
    assert_breaks("cow", &["fork"]);
}

#[test]
fn with_copied_mappings_only_parent_and_child_share_their_memory() {
    assert_breaks("mappings", &["fork"]);
}

#[test]
fn without_zeroing_a_page_shows_what_its_last_owner_wrote() {
    assert_breaks("zero", &["allocator"]);
}

#[test]
fn a_page_that_was_not_offered_shows_its_secret_to_whoever_asks() {
    assert_breaks("share", &["share"]);
}

#[test]
fn a_kernel_that_copies_where_users_say_stops_alice_for_eve() {
    let attack = ["friends", "attack"];
    let run = Boot::program(&attack).memory("128M").cpus(2).run();
    run.assert_status(0)
        .assert_console_has("and changed 0 words for me");
    let run = Boot::program(&attack)
        .memory("128M")
        .cpus(2)
        .append("break=usercopy")
        .run();
    run.assert_program_failed()
        .assert_console_has("break=usercopy")
        .assert_console_has("Alice: my note says that I am to stop");
}

#[test]
fn an_unchecked_page_alloc_gives_the_kernel_away() {
    assert_breaks("pagealloc", &["takekernel"]);
}

/// It breaks `page_alloc` and nothing else: the kernel still copies to pages that nobody has touched yet.
#[test]
fn with_an_unchecked_page_alloc_other_programs_run_as_ever() {
    let tests = [
        "arguments_arrive_as_they_were_given",
        "what_was_written_is_read_back",
    ];
    for test in tests {
        Boot::program(&["usertests", test])
            .cpus(2)
            .append("break=pagealloc")
            .run()
            .assert_status(0);
    }
}

#[test]
fn without_write_xor_execute_a_program_executes_what_it_has_stored() {
    assert_breaks("wx", &["wx"]);
}

#[test]
fn without_a_guard_gap_a_stack_runs_into_its_neighbour() {
    assert_breaks("guard", &["recurse"]);
}

/// The machine resets: QEMU ends then, and no program has run.
#[test]
fn with_an_empty_page_table_the_machine_resets() {
    let run = Boot::program(&["hello"])
        .cpus(1)
        .append("break=tables")
        .run();
    run.assert_console_has("break=tables");
    assert_ne!(run.status(), Some(0), "{run}");
    assert!(run.booted().is_none(), "it should not come so far\n{run}");
}

#[test]
fn without_the_timer_eve_keeps_the_only_cpu() {
    let friends = Boot::program(&["friends"]).cpus(1);
    friends.run().assert_status(0);
    let run = friends
        .append("break=timer")
        .deadline(Duration::from_secs(10))
        .run();
    assert_eq!(run.status(), None, "the run should hang\n{run}");
    run.assert_console_has("I'm Eve")
        .assert_console_has("break=timer");
    assert!(
        !run.console().contains("#10"),
        "Alice should not get to her last greeting\n{run}"
    );
}

#[test]
fn ten_thousand_forks_leave_nothing_behind_and_a_leaked_frame_is_noticed() {
    let forkexit =
        Boot::program(&["forkexit", "--rounds", "10000"]).deadline(Duration::from_secs(300));
    forkexit.run().assert_status(0);
    forkexit.append("break=leak").run().assert_program_failed();
}

#[test]
fn without_shootdowns_a_cpu_writes_where_it_must_not() {
    Boot::program(&["shootdown"]).cpus(4).run().assert_status(0);
    for cpus in [2, 4] {
        let run = Boot::program(&["shootdown"])
            .cpus(cpus)
            .append("break=shootdown")
            .run();
        run.assert_program_failed()
            .assert_console_has("break=shootdown")
            .assert_console_has("has written to the page after it was");
    }
}

#[test]
fn without_shootdowns_a_cpu_reads_memory_of_others() {
    let run = Boot::program(&["hunt", "100000"])
        .cpus(4)
        .append("break=shootdown")
        .run();
    run.assert_program_failed()
        .assert_console_has("break=shootdown")
        .assert_console_has("as a reader, found in");
}

#[test]
fn a_switch_that_does_not_exist_is_not_passed_over() {
    let run = Boot::program(&["hello"])
        .cpus(1)
        .append("break=nosuch")
        .run();
    assert_ne!(run.status(), Some(0), "{run}");
    assert!(run.console().contains("nosuch"), "{run}");
}
