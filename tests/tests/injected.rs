//! What seldom fails is made to (`fail=` on the boot line, or by QEMU): a clear refusal, or everything goes on.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tests::Boot;

/// Each operation is done some dozens of times, each time in a process of its own.
const MANY_ATTEMPTS: Duration = Duration::from_secs(400);

#[test]
fn each_allocation_of_each_operation_can_fail_and_nothing_is_lost() {
    Boot::program(&["failalloc"])
        .cpus(3)
        .append("fail=alloc:driver")
        .deadline(MANY_ATTEMPTS)
        .run()
        .assert_status(0)
        .assert_console_has("0 operations went wrong");
}

#[test]
fn an_ordinary_kernel_has_no_call_that_makes_allocations_fail() {
    Boot::program(&["failalloc"])
        .cpus(1)
        .run()
        .assert_status(2)
        .assert_console_has("no such system call");
}

/// Which allocation is for what changes with the kernel: the numbers here lie all over the boot.
#[test]
fn a_boot_without_memory_says_for_what_or_does_without() {
    let mut refusals = 0;
    for number in [2, 4, 8, 16, 24, 64, 128] {
        let run = Boot::program(&["nop"])
            .cpus(2)
            .append(&format!("fail=alloc:{number}"))
            .run();
        match run.status() {
            Some(0) => {}
            _ => {
                run.assert_status(70);
                let panic = run.log().contains("@@argonaut panic no memory for ")
                    || run
                        .log()
                        .contains("@@argonaut panic no kernel map: NoMemory")
                    || run.log().contains("not enough memory for the file tree");
                assert!(panic, "{run}");
                refusals += 1;
            }
        }
    }
    assert!(refusals > 0, "no allocation was needed");
}

/// One of these allocations is for the second CPU's block or stack.
#[test]
fn a_cpu_for_which_there_is_no_memory_is_named_and_left_out() {
    let is_left_out = |number: u32| {
        let run = Boot::program(&["nop"])
            .cpus(2)
            .append(&format!("fail=alloc:{number}"))
            .run();
        run.status() == Some(0)
            && run
                .log()
                .contains("no memory for 1 CPUs: they are left out")
    };
    assert!((30..50).any(is_left_out), "the second CPU needs no memory");
}

/// One of these allocations is for its segments, and is tried twice. It cannot interrupt anybody yet, and the others run on while it says
/// so.
#[test]
fn a_cpu_that_has_no_memory_before_its_local_apic_is_on_ends_the_boot() {
    let says_so = |number: u32| {
        let run = Boot::program(&["nop"])
            .cpus(2)
            .append(&format!("fail=alloc:{number}:2"))
            .run();
        let is_it = run.status() == Some(70);
        is_it
            && run
                .log()
                .contains("panic no memory for the segments of CPU 1")
    };
    assert!((30..60).any(says_so), "the second CPU has no segments");
}

#[test]
fn a_cpu_that_does_not_answer_is_named_and_left_out() {
    Boot::program(&["forkstorm", "4"])
        .cpus(4)
        .append("fail=ap:2")
        .run()
        .assert_status(0)
        .assert_log_has(&["the CPU with APIC id 2 does not answer and is left out"])
        .assert_cpus(3);
}

#[test]
fn a_cpu_that_answers_once_and_does_not_start_ends_the_boot() {
    Boot::program(&["nop"])
        .cpus(4)
        .append("fail=ap:2:second")
        .run()
        .assert_status(70)
        .assert_log_has(&["the CPU with APIC id 2 answered once, but does not start"]);
}

#[test]
fn a_shootdown_whose_interrupt_is_lost_is_asked_for_again() {
    Boot::program(&["shootdown", "20"])
        .cpus(3)
        .append("fail=lost:mailbox:2")
        .run()
        .assert_status(0)
        .assert_console_has("none by an old translation");
}

#[test]
fn a_shootdown_whose_interrupts_are_all_lost_ends_in_a_panic_that_names_the_cpus() {
    Boot::program(&["shootdown", "20"])
        .cpus(2)
        .append("fail=lost:mailbox:1")
        .run()
        .assert_status(70)
        .assert_log_has(&["no answer to the request of CPU 0; not even looked at by {1}"])
        .assert_log_has(&["CPU 1 was at"]);
}

#[test]
fn an_idle_cpu_finds_a_thread_whose_wake_up_is_lost() {
    Boot::program(&["handover"])
        .cpus(2)
        .append("fail=lost:reschedule:1")
        .run()
        .assert_status(0)
        .assert_console_has("handover: 10 rounds");
}

/// Some of those who are killed spin in user mode, and are not told by an interrupt.
#[test]
fn who_spins_is_killed_although_the_interrupt_is_lost() {
    Boot::program(&["killdemo", "2"])
        .cpus(3)
        .append("fail=lost:reschedule:1")
        .run()
        .assert_status(0)
        .assert_console_has("all have gone");
}

#[test]
fn interrupts_that_come_late_cost_time_only() {
    Boot::program(&["forkstorm", "10"])
        .cpus(3)
        .append("fail=late:mailbox:3:2000000,late:reschedule:2:3000000")
        .run()
        .assert_status(0);
}

#[test]
fn an_unknown_failure_is_refused() {
    for value in [
        "alloc",
        "alloc:x",
        "ap:0",
        "ap:9",
        "lost:letter:1",
        "late:mailbox:1",
        "lost:mailbox:0",
    ] {
        Boot::program(&["nop"])
            .cpus(2)
            .append(&format!("fail={value}"))
            .run()
            .assert_status(70)
            .assert_log_has(&[&format!("fail={value} is not known")]);
    }
}

/// A file of its own for a test, gone with this.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, contents: &[u8]) -> TemporaryFile {
        let path = std::env::temp_dir().join(format!("argonaut-{}-{name}", std::process::id()));
        fs::write(&path, contents).expect("a temporary file");
        TemporaryFile(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn an_initial_file_tree_that_is_cut_off_or_garbage_is_refused() {
    let garbage: Vec<u8> = (0..4096_u32)
        .map(|byte| (byte * byte % 251) as u8)
        .collect();
    for (name, contents) in [("cut-off", &garbage[..1000]), ("garbage", &garbage)] {
        let file = TemporaryFile::new(name, contents);
        Boot::program(&["nop"])
            .cpus(2)
            .qemu(&format!("-initrd {}", file.0.display()))
            .run()
            .assert_status(70)
            .assert_log_has(&["the initial file tree: "]);
    }
}

/// The fixed part of a table of interrupt controllers.
const MADT_FIXED: [u8; 8] = [0, 0, 0xe0, 0xfe, 1, 0, 0, 0];

#[test]
fn an_acpi_table_with_an_entry_of_length_zero_leaves_the_boot_cpu() {
    let contents = [&MADT_FIXED[..], &[0, 0]].concat();
    let file = TemporaryFile::new("madt", &contents);
    Boot::program(&["nop"])
        .cpus(3)
        .qemu(&format!("-acpitable sig=APIC,data={}", file.0.display()))
        .run()
        .assert_status(0)
        .assert_log_has(&["only the boot CPU is used: ACPI table APIC has a bad length"])
        .assert_cpus(1);
}

#[test]
fn cpus_that_are_not_plugged_in_are_not_waited_for() {
    Boot::program(&["nop"])
        .cpus(2)
        .option("--smp")
        .option("2,maxcpus=4")
        .run()
        .assert_status(0)
        .assert_cpus(2);
}
