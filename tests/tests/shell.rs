//! The kernel shell, driven through a terminal.

use tests::{Boot, Terminal};

const PROMPT: &str = "argonaut> ";

fn start(cpus: usize) -> Terminal {
    let mut terminal = Boot::shell().cpus(cpus).terminal();
    terminal.expect(PROMPT);
    terminal
}

/// Types a command and returns what it printed.
fn answer(terminal: &mut Terminal, command: &str) -> String {
    terminal.type_line(command);
    terminal.expect(command);
    terminal.expect(PROMPT)
}

#[test]
fn poweroff_ends_the_machine_with_0() {
    let mut terminal = start(1);
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn help_names_every_command() {
    let mut terminal = start(1);
    let help = answer(&mut terminal, "help");
    for command in [
        "help", "ls", "cat", "run", "shell", "ps", "cpus", "mem", "poweroff",
    ] {
        assert!(help.contains(command), "{command} is missing in\n{help}");
    }
}

#[test]
fn cpus_lists_each_cpu_with_its_apic() {
    let mut terminal = start(3);
    let cpus = answer(&mut terminal, "cpus");
    for cpu in ["0", "1", "2"] {
        assert!(
            cpus.lines()
                .any(|line| line.split_whitespace().next() == Some(cpu)),
            "CPU {cpu} is missing in\n{cpus}"
        );
    }
    assert!(
        cpus.contains("APIC"),
        "the APICs' mode is missing in\n{cpus}"
    );
}

#[test]
fn a_program_runs_with_its_arguments_and_the_prompt_comes_back() {
    let mut terminal = start(2);
    let hello = answer(&mut terminal, "run hello 'two words' three");
    assert!(hello.contains("Hello from process"), "{hello}");
    assert!(
        hello.contains("I was given: two words") && hello.contains("I was given: three"),
        "{hello}"
    );
}

#[test]
fn files_are_listed_and_shown() {
    let mut terminal = start(1);
    let list = answer(&mut terminal, "ls");
    assert!(list.contains("hello") && list.contains("init"), "{list}");
    let symbols = answer(&mut terminal, "cat kernel.symbols");
    assert!(symbols.contains("pvh_entry"), "{symbols}");
}

#[test]
fn what_does_not_exist_is_said() {
    let mut terminal = start(1);
    for command in ["nosuch", "run nosuch", "cat nosuch"] {
        let text = answer(&mut terminal, command);
        assert!(
            text.contains("nosuch") || text.contains("no such"),
            "{command}: {text}"
        );
    }
}

#[test]
fn the_accounts_and_the_processes_are_shown() {
    let mut terminal = start(2);
    let processes = answer(&mut terminal, "ps");
    assert!(processes.contains("init"), "{processes}");
    let memory = answer(&mut terminal, "mem");
    assert!(memory.contains("free"), "{memory}");
}

#[test]
fn a_line_can_be_edited_and_called_back() {
    let mut terminal = start(1);
    // Backspace takes back a character; left and right move.
    terminal.type_keys("run helxx\x7f\x7flo 1\x1b[D\x1b[D\x1b[C2 \r");
    terminal.expect("I was given: 2");
    terminal.expect("I was given: 1");
    terminal.expect(PROMPT);
    // Up shows the last line again.
    terminal.type_keys("\x1b[A\r");
    terminal.expect("I was given: 2");
    terminal.expect("I was given: 1");
    terminal.expect(PROMPT);
}

#[test]
fn the_keyboard_types_into_the_same_shell() {
    let mut terminal = start(1);
    terminal.press_keys(&["l", "s", "ret"]);
    assert!(terminal.expect(PROMPT).contains("kernel.symbols"));
    terminal.press_keys(&["p", "o", "w", "e", "r", "o", "f", "f", "ret"]);
    terminal.end().assert_status(0);
}

#[test]
fn control_c_goes_to_the_guest_and_control_a_x_ends_qemu() {
    let mut terminal = start(1);
    terminal.type_keys("nonsense\x03");
    terminal.expect(PROMPT);
    terminal.type_keys("\x01x");
    terminal.end().assert_status(3);
}

#[test]
fn control_c_ends_a_program_that_the_boot_line_names() {
    let mut terminal = Boot::program(&["eve"]).cpus(2).terminal();
    terminal.expect("I'm Eve");
    terminal.type_keys("\x03");
    terminal.expect("^C");
    // As a shell tells it: 128 + SIGINT.
    terminal.end().assert_status(130);
}
