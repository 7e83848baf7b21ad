//! What forks cost is what their steps cost.

use tests::Boot;

fn cost() -> Boot {
    Boot::program(&["cost"])
        .cpus(1)
        .option("--icount")
        .release()
}

#[test]
fn forks_cost_what_their_steps_do_within_ten_percent() {
    let run = cost().run();
    run.assert_status(0)
        .assert_console_has("naive")
        .assert_console_has("eager")
        .assert_console_has(" 192 pages written")
        .assert_console_has("of the pages that it can write (predicted)");
}

#[test]
fn a_fork_that_forgets_to_protect_costs_less_than_predicted() {
    let run = cost().append("break=cow").run();
    run.assert_program_failed();
}
