//! Address spaces on several CPUs: what the kernel takes away is gone everywhere.

use tests::Boot;

#[test]
fn a_stack_grows_and_ends_at_its_limit_and_at_a_guard_gap() {
    for cpus in [1, 4] {
        let run = Boot::program(&["recurse"]).cpus(cpus).run();
        run.assert_status(0)
            .assert_console_has("its limit")
            .assert_console_has("the guard gap");
    }
}
