//! The memory view, as the screen and the terminal show it.

use std::time::Duration;

use tests::c_program::{Compiler, build_as_the_guide_says};
use tests::{Boot, Screenshot, root};

const LONG: Duration = Duration::from_secs(300);

/// The rows of the screen that have the blocks of physical memory.
const PHYSICAL_ROWS: std::ops::Range<usize> = 1..9;
const PHYSICAL_LEGEND_ROW: usize = 9;
const VIRTUAL_ROW: usize = 10;
const CPU_ROWS: std::ops::Range<usize> = 16..20;
const CONSOLE_ROWS: std::ops::Range<usize> = 20..25;
const BLOCKS_COLUMN: usize = 15;

/// What the blocks of physical memory are shown as.
fn blocks(rows: &[String]) -> String {
    let rows = rows.get(PHYSICAL_ROWS).unwrap_or_default();
    rows.iter()
        .filter_map(|row| row.get(BLOCKS_COLUMN..))
        .collect()
}

/// How many blocks are shown as those of processes.
fn blocks_of_processes(rows: &[String]) -> usize {
    let is_process =
        |character: &char| character.is_ascii_digit() || character.is_ascii_lowercase();
    blocks(rows).chars().filter(is_process).count()
}

fn with_view(program: &[&str]) -> Boot {
    Boot::program(program).append("memview=on").deadline(LONG)
}

#[test]
fn physical_memory_is_shown_by_its_use_and_each_cpu_with_what_it_runs() {
    let mut terminal = with_view(&["shootdown"]).memory("64M").terminal();
    let rows = terminal.expect_screen("shootdown on each CPU", |rows| {
        let cpus = rows.get(CPU_ROWS).unwrap_or_default().join(" ");
        (0..4).all(|cpu| cpus.contains(&format!("CPU   {cpu}")))
            && cpus.matches("shootdown").count() == 4
            && blocks_of_processes(rows) > 1
    });
    let shown = rows.join("\n");
    assert_eq!(
        rows[0], "PHYSICAL MEMORY: 64 MiB, a character is 128 KiB",
        "{shown}"
    );
    for (row, address) in rows[PHYSICAL_ROWS]
        .iter()
        .zip((0..).step_by((64 * 128) << 10))
    {
        assert!(row.starts_with(&format!("  {address:012x} ")), "{shown}");
    }
    for usage in ['R', 'K', 'F', '.'] {
        assert!(blocks(&rows).contains(usage), "no {usage} in\n{shown}");
        assert!(
            rows[PHYSICAL_LEGEND_ROW].contains(&format!("{usage} ")),
            "{shown}"
        );
    }
    assert!(
        rows[VIRTUAL_ROW].starts_with("VIRTUAL MEMORY of "),
        "{shown}"
    );
    terminal.end().assert_status(0);
}

#[test]
fn one_process_after_the_other_is_shown_and_the_console_goes_on_below() {
    let mut terminal = Boot::shell().cpus(1).append("memview=on").at_prompt();
    for name in ["init", "shell", "init"] {
        let rows = terminal.expect_screen(name, |rows| {
            let title = rows.get(VIRTUAL_ROW);
            title.is_some_and(|title| title.contains(&format!(" {name}: ")))
        });
        let addresses = rows[VIRTUAL_ROW + 1].starts_with("..8000");
        assert!(addresses || name == "shell", "{}", rows.join("\n"));
    }
    let rows = terminal.expect_screen("an idle CPU", |rows| {
        rows.get(CPU_ROWS)
            .is_some_and(|cpus| cpus[0].ends_with("idle"))
    });
    assert!(
        rows[CONSOLE_ROWS].iter().any(|row| row == "argonaut>"),
        "{}",
        rows.join("\n")
    );
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn memview_shows_it_in_the_terminal_until_a_key_and_gives_everything_back() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let heap = |mem: String| {
        let line = mem
            .lines()
            .find(|line| line.starts_with("heap"))
            .map(str::to_owned);
        line.unwrap_or_else(|| panic!("no heap in\n{mem}"))
    };
    // What the allocator keeps for its next user is there after the first time.
    let mut heaps = Vec::new();
    for _ in 0..2 {
        terminal.type_line("memview");
        terminal.expect("PHYSICAL MEMORY");
        terminal.expect("VIRTUAL MEMORY");
        terminal.expect_screen("the picture", |rows| rows[0].starts_with("PHYSICAL"));
        terminal.type_keys("x");
        terminal.expect_prompt();
        terminal.expect_screen("what was written", |rows| {
            rows[0].starts_with("Argonaut on")
        });
        heaps.push(heap(terminal.answer("mem")));
    }
    assert_eq!(heaps[0], heaps[1]);
    terminal.type_line("memview hello");
    terminal.expect("Hello from process");
    terminal.type_keys("x");
    terminal.expect_prompt();
    terminal.type_line("memview nosuch");
    terminal.expect("VIRTUAL");
    terminal.type_keys("x");
    let answer = terminal.expect_prompt();
    assert!(answer.contains("nosuch: "), "{answer}");
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn a_screenshot_shows_the_view() {
    let file = std::env::temp_dir().join(format!("argonaut-view-{}.png", std::process::id()));
    let run = with_view(&["killdemo"])
        .memory("128M")
        .option("--screenshot")
        .option(&file.display().to_string())
        .run();
    run.assert_status(0);
    let mut picture = Screenshot::read(&file);
    let _ = std::fs::remove_file(&file);
    let heading = "PHYSICAL MEMORY: 128 MiB, a character is 256 KiB";
    let legend = ". free  R reserved  K kernel  T page tables  F files  S shared";
    picture.learn(0, heading);
    picture.learn(PHYSICAL_LEGEND_ROW, legend);
    // The same shape never stands for two characters, so the rows are those that were expected.
    assert!(picture.text(0, 0).starts_with(heading), "{run}");
    assert!(
        picture.text(PHYSICAL_LEGEND_ROW, 0).starts_with(legend),
        "{run}"
    );
    let rows: Vec<String> = PHYSICAL_ROWS
        .map(|row| picture.text(row, BLOCKS_COLUMN))
        .collect();
    let shown = rows.join("\n");
    for usage in [".", "R", "K", "F"] {
        assert!(shown.contains(usage), "no {usage} in\n{shown}");
    }
    let colour_of = |character: char| {
        let place = |(row, text): (usize, &String)| Some((row, text.find(character)?));
        let (row, column) = PHYSICAL_ROWS.zip(&rows).find_map(place)?;
        Some(picture.colour(row, BLOCKS_COLUMN + column))
    };
    let reserved = legend
        .find('R')
        .map(|column| picture.colour(PHYSICAL_LEGEND_ROW, column));
    assert_eq!(colour_of('R'), reserved);
    assert_ne!(colour_of('F'), reserved);
}

/// The program waits before and after, so that there is time to look, however slow the host is.
#[test]
fn the_picture_changes_while_a_program_takes_memory_and_gives_it_back() {
    const TAKEN_MIB: usize = 16;
    // 64 MiB are 512 blocks.
    const TAKEN_BLOCKS: usize = TAKEN_MIB * 8;
    /// The program itself, `init`, and blocks at the ends of what is taken.
    const FEW_BLOCKS: usize = 12;

    let folder = std::env::temp_dir().join(format!("argonaut-take-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a directory for the test");
    let source = root().join("tests/c/take_memory.c");
    let program = build_as_the_guide_says(Compiler::GCC, &source, "-std=c11", &folder);
    let mut terminal = with_view(&["my", &TAKEN_MIB.to_string()])
        .memory("64M")
        .option("--add")
        .option(&program.display().to_string())
        .terminal();
    let free = |rows: &[String]| blocks(rows).matches('.').count();

    terminal.expect("Nothing is taken.");
    let before = terminal.expect_screen("little taken", |rows| {
        (1..=FEW_BLOCKS).contains(&blocks_of_processes(rows))
    });
    terminal.type_line("");
    terminal.expect("All is taken.");
    let all = TAKEN_BLOCKS..=TAKEN_BLOCKS + 2 * FEW_BLOCKS;
    let taken = terminal.expect_screen("what is taken", |rows| {
        all.contains(&blocks_of_processes(rows))
    });
    // What is the process's has been free before, and nothing else has become less.
    let free_before = free(&before);
    assert!(
        free_before.abs_diff(free(&taken) + TAKEN_BLOCKS) <= FEW_BLOCKS,
        "{}\n{}",
        before.join("\n"),
        taken.join("\n")
    );
    terminal.type_line("");
    terminal.expect("All is given back.");
    terminal.expect_screen("little taken again", |rows| {
        (1..=FEW_BLOCKS).contains(&blocks_of_processes(rows))
            && free(rows).abs_diff(free_before) <= FEW_BLOCKS
    });
    terminal.type_line("");
    terminal.end().assert_status(0);
    let _ = std::fs::remove_dir_all(&folder);
}

/// `usertests` looks at the kernel's accounts after each test, and `forkstorm` at its end; and this kernel notices if
/// somebody who ends has to wait for whoever looks.
#[test]
fn looking_disturbs_neither_accounts_nor_ends() {
    with_view(&["usertests"]).run().assert_status(0);
    with_view(&["forkstorm"]).run().assert_status(0);
}
