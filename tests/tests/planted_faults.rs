//! Each planted fault is caught, with the message that says what is wrong (docs/reliability.md has the table).

use std::time::Duration;

use tests::{Boot, Run};

/// A fault that nobody has caught by then is not going to be.
const DEADLINE: Duration = Duration::from_secs(60);

/// Plants `name` in a machine that does nothing else, whose watchdog waits for two seconds.
fn plant(name: &str) -> Boot {
    Boot::shell()
        .cpus(3)
        .append("watchdog=2")
        .append(&format!("plant={name}"))
        .deadline(DEADLINE)
}

/// The run ended in a panic with `message`, and shows where each CPU was.
#[track_caller]
fn assert_caught(run: &Run, message: &str) {
    run.assert_status(70)
        .assert_log_has(&["planted fault"])
        .assert_log_has(&["kernel panic on CPU"]);
    assert!(run.log().contains(message), "expected: {message}\n{run}");
    for cpu in 0..3 {
        run.assert_log_has(&[&format!("CPU {cpu}")]);
    }
    run.assert_log_has(&["    0x", "::", "+0x"]);
}

/// The checked kernel finds the mistake itself, not what comes of it.
const BY_CHECKS: &[(&str, &str)] = &[
    (
        "lock-order",
        "LOCK-1: a lock of rank Heap is taken while one of rank FramesPool is held",
    ),
    (
        "lock-twice",
        "LOCK-1: a lock of rank Heap is taken while one of rank Heap is held",
    ),
    (
        "lock-in-handler",
        "LOCK-2: an interrupt handler takes a lock of rank Heap, which does not mask interrupts",
    ),
    (
        "lock-unmasked",
        "LOCK-2: interrupts were turned on while a lock of rank Log was held",
    ),
    (
        "lock-leak",
        "LOCK-3: a thread gives its CPU away with a lock of rank Heap held",
    ),
    (
        "wake-under-lock",
        "LOCK-1: a lock of rank WaitQueue is taken while one of rank RunQueue is held",
    ),
    (
        "sleep-under-lock",
        "LOCK-3: a thread gives its CPU away with a lock of rank Heap held",
    ),
    (
        "wait-under-lock",
        "LOCK-3: a thread may have to wait with a lock of rank Heap held",
    ),
    (
        "sleep-irq-off",
        "a thread gives its CPU away with interrupts off",
    ),
    (
        "switch-in-handler",
        "a thread gives its CPU away inside of an interrupt handler",
    ),
    (
        "irq-on-in-handler",
        "interrupts were turned on inside of a section that keeps them off",
    ),
    (
        "irq-left-on",
        "interrupts were turned on inside of a section that keeps them off",
    ),
    ("irq-left-off", "interrupts are off already"),
    ("pin-leak", "a thread gives its CPU away while pinned"),
    (
        "lock-into-user-mode",
        "LOCK-3: a thread leaves the kernel with a lock of rank Heap held",
    ),
    (
        "pin-into-user-mode",
        "a thread leaves the kernel while pinned",
    ),
    ("frame-dirty", "is not zero"),
    (
        "user-copy-under-lock",
        "LOCK-3: a thread gives its CPU away with a lock of rank File held",
    ),
];

#[test]
fn the_checked_kernel_finds_misused_locks_pins_and_interrupts() {
    for (name, message) in BY_CHECKS {
        // No tick comes in between, at which something else would be noticed first.
        assert_caught(&plant(name).append("hz=1").run(), message);
    }
}

/// Both kernels find these, by what the processor or the watchdog says.
const BY_BOTH: &[(&str, &str)] = &[
    ("stack-overflow", "kernel stack overflow"),
    ("frame-twice", "is freed but was not allocated"),
    (
        "null",
        "page fault in the kernel: page fault (missing page) on read of address 0x0",
    ),
    (
        "text-write",
        "page fault in the kernel: page fault (permission) on write",
    ),
    (
        "loop-irq-off",
        "watchdog: CPU 1 has had interrupts off for ",
    ),
    (
        "loop-irq-on",
        "watchdog: CPU 1 has not come out of the kernel for ",
    ),
    ("lock-held", "watchdog: a lock of rank File stays held"),
    (
        "deaf",
        "watchdog: no answer to the request of CPU 0; not even looked at by {1}",
    ),
];

#[test]
fn the_checked_kernel_finds_stuck_cpus_and_bad_memory_accesses() {
    for (name, message) in BY_BOTH {
        assert_caught(&plant(name).run(), message);
    }
}

#[test]
fn the_usual_kernel_finds_stuck_cpus_and_bad_memory_accesses() {
    for (name, message) in BY_BOTH {
        assert_caught(&plant(name).release().run(), message);
    }
}

#[test]
fn the_usual_kernel_finds_a_lock_that_is_never_given_back_when_somebody_waits_for_it() {
    for name in ["lock-leak", "lock-twice"] {
        let run = plant(name).release().run();
        assert_caught(&run, "watchdog: a lock of rank Heap stays held");
    }
}

/// Whoever needs the stuck CPU first says so, and where that was.
#[test]
fn stuck_cpus_are_found_in_a_machine_that_is_busy() {
    for name in ["loop-irq-off", "loop-irq-on", "lock-held"] {
        let busy = Boot::program(&["threadstorm", "100", "5"]).cpus(3);
        let options = format!("watchdog=2 plant={name}");
        let run = busy.append(&options).deadline(DEADLINE).run();
        assert_caught(&run, "watchdog: ");
        run.assert_log_has(&["plants::stuck::loop"]);
    }
}

/// Nobody else is there to notice; the harness asks by an NMI.
#[test]
fn the_only_cpu_that_is_stuck_is_shown_by_the_harness() {
    for name in ["loop-irq-off", "loop-irq-on"] {
        let run = plant(name).cpus(1).deadline(Duration::from_secs(10)).run();
        assert_eq!(run.status(), None, "{run}");
        run.assert_log_has(&["non-maskable interrupt from outside"])
            .assert_log_has(&["plants::stuck::loop"]);
    }
}

/// A fault that another CPU would have to commit does not hold up the only one.
#[test]
fn the_only_cpu_goes_on_when_a_fault_needs_another() {
    for name in ["lock-in-handler", "switch-in-handler", "irq-on-in-handler"] {
        let busy = Boot::program(&["killdemo", "4"]).cpus(1);
        let run = busy
            .append(&format!("plant={name}"))
            .deadline(DEADLINE)
            .run();
        run.assert_status(0)
            .assert_log_has(&["the planted fault has been committed"]);
    }
}

#[test]
fn a_fault_that_does_not_exist_is_not_passed_over() {
    let run = plant("nosuch").cpus(1).run();
    run.assert_status(70)
        .assert_log_has(&["no planted fault is called nosuch"]);
}
