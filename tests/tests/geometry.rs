//! What the program `geometry` says of its machines.

use tests::{Boot, Terminal};

/// Runs the program with these arguments, and checks that its output has all of these lines.
#[track_caller]
fn assert_lines(terminal: &mut Terminal, arguments: &str, lines: &[&str]) {
    let command = format!("run geometry {arguments}");
    let output = terminal.answer(&command);
    for line in lines {
        assert!(
            output.lines().any(|shown| shown.trim_end() == *line),
            "{command} should show: {line}\n{output}"
        );
    }
}

#[test]
fn each_machine_is_described_and_translates_and_mistakes_are_said() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    for (arguments, lines) in [
        (
            "",
            &[
                "x86-64   pages of 4 KiB, 4 levels",
                "tag      pages of 256 bytes, 2 levels",
            ][..],
        ),
        (
            "x86-64",
            &[
                "virtual address   48 bits: 9 + 9 + 9 + 9 + 12, sign-extended",
                "  level 3         512 entries, a table of 4 KiB; an entry covers 1 GiB and may map it",
                "  always          tables: 4, bytes: 16384",
                "  always          tables: 134480385, bytes: 550831656960",
                "  virtual bits    log2 P + L log2(P/X) = 12 + 4 * 9 = 48",
                "  0x800000000002a007 page 0x2a000 rw- user         0x1      0x3     0x11        -        -     0x15",
            ],
        ),
        (
            "la57",
            &["  levels needed   (57 - log2 P) / log2(P/X) = 45 / 9, rounded up: 5"],
        ),
        (
            "pae",
            &[
                "virtual address   32 bits: 2 + 9 + 9 + 12, zero-extended",
                "  level 3         4 entries, a table of 32 bytes; an entry covers 1 GiB",
                "  always          tables: 2053, bytes: 8405024",
            ],
        ),
        (
            "x86-32",
            &["  always          tables: 1025, bytes: 4198400"],
        ),
        (
            "teensy",
            &[
                "  level 1         16 entries, a table of 32 bytes; an entry covers 4 KiB and may map it",
                "  0x2a90 page 0x2a000 rwx kernel                     -        -      0x5      0x7",
            ],
        ),
        (
            "tag pages 129 0x4000",
            &[
                "a page table for 129 of 16384 pages",
                "  least           tables: 3, bytes: 768",
                "  greatest        tables: 129, bytes: 33024",
                "  always          tables: 129, bytes: 33024",
            ],
        ),
        (
            "tag translate 0x1ab 4194304",
            &[
                "  level 2 table 0x100 entry 0: 0x0207 table 0x200 rwx user",
                "  level 1 table 0x200 entry 1: 0x2a05 page 0x2a00 r-x user",
                "  physical address 0x2aab, r-x user",
                "  is no address of 22 bits",
            ],
        ),
        (
            "x86-64 translate 0xc0123456 16384",
            &[
                "  level 3 table 0x2000 entry 3: 0x8000000140000087 page 0x140000000 rw- user",
                "  physical address 0x140123456, rw- user",
                "  level 1 table 0x4000 entry 4: 0x0000000000000000 empty",
                "  not mapped",
            ],
        ),
        (
            "la57 translate 0xfffffffffffff00d",
            &["  level 5 table 0x1000 entry 511: 0x0000000000006007 table 0x6000 rwx user"],
        ),
        (
            "pae translate 0x601234",
            &["  physical address 0xa01234, rw- user"],
        ),
        (
            "x86-32 translate 0xc01234",
            &["  physical address 0x1401234, rwx user"],
        ),
        (
            "teensy translate 0xf00d",
            &["  physical address 0x2c00d, rwx kernel"],
        ),
        (
            "teensy pages 17",
            &[
                "geometry: the address space has 16 pages",
                "geometry: exit code 1",
            ],
        ),
        (
            "vax",
            &["geometry: there is no machine 'vax', but x86-64 la57 pae x86-32 teensy tag"],
        ),
        (
            "tag walk",
            &["geometry: 'walk' is neither pages nor translate"],
        ),
        (
            "tag translate 0xfade 0xg",
            &["geometry: '0xg' is not a number of 64 bits, such as 4096 or 0x1000"],
        ),
    ] {
        assert_lines(&mut terminal, arguments, lines);
    }
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn an_unknown_machine_is_status_1() {
    let run = Boot::program(&["geometry", "vax"]).cpus(1).run();
    run.assert_status(1).assert_console_has("no machine 'vax'");
}
