//! Programs in C and C++: those of the tree, and those of others, built with the guide's lines.

use std::fs;
use std::path::{Path, PathBuf};

use tests::c_program::{Compiler, build_as_the_guide_says, page};
use tests::{Boot, root};

const PLAIN: &str = "-std=c11";
/// Every warning counts.
const C11: &str = "-std=c11 -Wall -Wextra -pedantic -Werror";
const CXX17: &str =
    "-std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics -Wall -Wextra -pedantic -Werror";

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("argonaut-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a directory for the test");
        Scratch(path)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).expect("a file of the test");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn add(boot: Boot, file: &Path) -> Boot {
    boot.option("--add").option(&file.display().to_string())
}

#[test]
fn the_programs_of_the_tree_do_what_they_show() {
    Boot::program(&["hello_c", "two words", "x"])
        .run()
        .assert_status(0)
        .assert_console_has("Hello from C, process ")
        .assert_console_has("I was given: two words\r\nI was given: x\r\n");
    // With the boot option `pipe=`: tests/pipes.rs.
    Boot::program(&["pipewriter_c"])
        .run()
        .assert_status(0)
        .assert_console_has("pipewriter_c: 10 messages in 10 calls, 1 a message\r\n")
        .assert_console_has("pipereader_c: 10 messages in 10 calls, 1 a message\r\n");
    Boot::program(&["threads_c"])
        .run()
        .assert_status(0)
        .assert_console_has("together 500000500000");
    Boot::program(&["allocator_c"])
        .run()
        .assert_status(0)
        .assert_console_has("has 1000 pages from ")
        .assert_console_has("All 4 are done.");
    // There are not 8 times 100,000.
    Boot::program(&["allocator_c", "8", "100000"])
        .memory("64M")
        .run()
        .assert_status(0)
        .assert_console_has("All 8 are done.");
}

#[test]
fn the_guides_program_runs_with_its_arguments_whichever_compiler_has_built_it() {
    let page = page();
    let source = page
        .split_once("```c\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(source, _)| source)
        .expect("the page should have a program");
    for compiler in [Compiler::GCC, Compiler::CLANG] {
        let scratch = Scratch::new("guide");
        let source = scratch.write("my.c", source);
        let program = build_as_the_guide_says(compiler, &source, PLAIN, &scratch.0);
        add(Boot::program(&["my", "first", "second word"]), &program)
            .cpus(1)
            .run()
            .assert_status(0)
            .assert_console_has(", first, second word\r\n");
    }
}

#[test]
fn programs_of_the_exercises_compile_as_they_are_and_run() {
    for (compiler, source, options) in [
        (Compiler::GCC, "exercises.c", C11),
        (Compiler::CLANG, "exercises.c", C11),
        (Compiler::GXX, "exercises.cc", CXX17),
        (Compiler::CLANGXX, "exercises.cc", CXX17),
    ] {
        let scratch = Scratch::new("exercises");
        let path = root().join("tests/c").join(source);
        let program = build_as_the_guide_says(compiler, &path, options, &scratch.0);
        let run = add(Boot::program(&["my"]), &program).cpus(2).run();
        run.assert_status(0);
        if source == "exercises.c" {
            // Rows and columns count from 1 there; yellow on black; a row ends within the text.
            run.assert_console_has("\x1b[11;71H\x1b[93;40mten charac\x1b[0m")
                .assert_console_has("\x1b[12;1H\x1b[93;40mters\x1b[0m")
                .assert_log_has(&["(my): process", "logs 16"]);
        } else {
            run.assert_console_has("the constructor has run: 42")
                .assert_console_has("\x1b[93;40m");
        }
    }
}

#[test]
fn the_header_compiles_as_cxx17_and_c11_alone_and_first() {
    for (compiler, name, options) in [
        (Compiler::GCC, "alone.c", C11),
        (Compiler::GXX, "alone.cc", CXX17),
        (Compiler::CLANG, "alone.c", C11),
        (Compiler::CLANGXX, "alone.cc", CXX17),
    ] {
        let scratch = Scratch::new("alone");
        let source = "#include \"argonaut.h\"\n#include \"argonaut.h\"\n\
                      void process_main(void);\nvoid process_main(void) { sys_exit(7); }\n";
        let source = scratch.write(name, source);
        build_as_the_guide_says(compiler, &source, options, &scratch.0);
    }
}

#[test]
fn each_thread_has_thread_local_variables_of_its_own() {
    for compiler in [Compiler::GCC, Compiler::CLANG] {
        let scratch = Scratch::new("thread_local");
        let source = root().join("tests/c/thread_local.c");
        let program = build_as_the_guide_says(compiler, &source, C11, &scratch.0);
        add(Boot::program(&["my"]), &program)
            .run()
            .assert_status(0)
            .assert_console_has("4 threads, 1000 rounds each: nobody has seen another's");
    }
}

/// The last thing that they do puts something else than 0 into the register that a result is in.
#[test]
fn the_status_is_what_the_main_function_returns_and_0_if_it_returns_nothing() {
    let body = "{ volatile int value = printf(\"done\\n\"); (void) value; ";
    for (compiler, name, options, head, status) in [
        (Compiler::GCC, "my.c", C11, "void process_main(void)", 0),
        (
            Compiler::CLANG,
            "my.c",
            C11,
            "extern void process_main(int argc, char** argv)",
            0,
        ),
        (Compiler::GCC, "my.c", C11, "int process_main(void)", 5),
        (
            Compiler::CLANG,
            "my.c",
            C11,
            "int process_main(int argc, char** argv)",
            5,
        ),
        (Compiler::GXX, "my.cc", CXX17, "void process_main()", 0),
        (
            Compiler::CLANGXX,
            "my.cc",
            CXX17,
            "extern \"C\" void process_main()",
            0,
        ),
        (
            Compiler::GXX,
            "my.cc",
            CXX17,
            "int process_main(int, char**)",
            5,
        ),
        (Compiler::CLANGXX, "my.cc", CXX17, "int process_main()", 5),
    ] {
        let scratch = Scratch::new("status");
        let uses = if head.contains("argc") {
            "(void) argc; (void) argv; "
        } else {
            ""
        };
        let end = if status == 0 { "}" } else { "return 5; }" };
        let source = format!("#include \"argonaut.h\"\n{head} {body}{uses}{end}\n");
        let source = scratch.write(name, source);
        let program = build_as_the_guide_says(compiler, &source, options, &scratch.0);
        let run = add(Boot::program(&["my"]), &program).cpus(1).run();
        run.assert_status(status).assert_console_has("done");
    }
}

#[test]
fn a_failed_assertion_and_a_panic_end_the_program_and_are_logged() {
    let scratch = Scratch::new("assert");
    let source = scratch.write(
        "fails.c",
        "#include \"argonaut.h\"\n\
         int process_main(int argc, char** argv) {\n\
         \x20   if (argc > 1) panic(\"on purpose: %s\", argv[1]);\n\
         \x20   assert(argc == 2);\n\
         \x20   return 0;\n\
         }\n",
    );
    let program = build_as_the_guide_says(Compiler::GCC, &source, PLAIN, &scratch.0);
    const KILLED_BY_ABORT: i32 = 128 + 6;
    add(Boot::program(&["my"]), &program)
        .cpus(1)
        .run()
        .assert_status(KILLED_BY_ABORT)
        .assert_console_has("assertion 'argc == 2' failed")
        .assert_log_has(&["gives up", "argc == 2"]);
    add(Boot::program(&["my", "word"]), &program)
        .cpus(1)
        .run()
        .assert_status(KILLED_BY_ABORT)
        .assert_log_has(&["gives up: on purpose: word"]);
}

const PROGRAM_HEADERS: usize = 64;
const PROGRAM_HEADER_LEN: usize = 56;
/// Places in a program header.
const ADDRESS: usize = 16;
const LEN_IN_MEMORY: usize = 40;

/// `program` with a word of one of its program headers replaced.
fn with_word(program: &[u8], header: usize, place: usize, word: u64) -> Vec<u8> {
    let mut bytes = program.to_vec();
    let place = PROGRAM_HEADERS + header * PROGRAM_HEADER_LEN + place;
    bytes[place..place + 8].copy_from_slice(&word.to_le_bytes());
    bytes
}

#[test]
fn broken_programs_are_refused_and_the_log_says_why() {
    let scratch = Scratch::new("broken");
    let spawner = root().join("tests/c/spawner.c");
    let spawner = build_as_the_guide_says(Compiler::GCC, &spawner, PLAIN, &scratch.0);
    let good = fs::read(&spawner).expect("what has just been built");
    let base = 0xffff_8000_0020_0000;
    let broken: [(&str, Vec<u8>, &str); 11] = [
        ("empty", vec![], "ends within its headers"),
        ("header", good[..100].to_vec(), "ends within its headers"),
        ("half", good[..0x1800].to_vec(), "ends within the segment"),
        (
            "script",
            [b"#!/bin/sh\n".as_slice(), &[b'#'; 100]].concat(),
            "not an ELF file",
        ),
        (
            "overlap",
            with_word(&good, 1, ADDRESS, base),
            "shares a page with another",
        ),
        (
            "kernel",
            with_word(&good, 1, ADDRESS, 0x20_0000),
            "outside user space",
        ),
        (
            "kernel_high",
            with_word(&good, 1, ADDRESS, 0x7fff_ffff_f000),
            "outside user space",
        ),
        (
            "wrapping",
            with_word(&good, 1, ADDRESS, 0xffff_ffff_ffff_f000),
            "outside user space",
        ),
        (
            "stack",
            with_word(&good, 1, ADDRESS, base - 0x1_0000),
            "where the stack has to be",
        ),
        (
            "huge",
            with_word(&good, 2, LEN_IN_MEMORY, 1 << 60),
            "too large",
        ),
        (
            "endless",
            with_word(&good, 2, LEN_IN_MEMORY, u64::MAX),
            "too large",
        ),
    ];
    let mut words = vec!["my"];
    words.extend(broken.iter().map(|(name, ..)| *name));
    let mut boot = add(Boot::program(&words), &spawner).cpus(2);
    for (name, bytes, _) in &broken {
        boot = add(boot, &scratch.write(name, bytes));
    }
    let run = boot.run();
    run.assert_status(0)
        .assert_console_has("All 11 have been tried.");
    for (name, _, reason) in &broken {
        run.assert_console_has(&format!("{name}: error 8\r\n"))
            .assert_log_has(&[&format!(" {name}: not a program: "), reason]);
    }
}

/// Damage that comes from a generator with a fixed start. What the kernel lets through may end as it likes.
#[test]
fn programs_damaged_at_random_are_refused_or_run_and_harm_nobody() {
    let scratch = Scratch::new("damaged");
    let spawner = root().join("tests/c/spawner.c");
    let spawner = build_as_the_guide_says(Compiler::GCC, &spawner, PLAIN, &scratch.0);
    let good = fs::read(&spawner).expect("what has just been built");
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    let names: Vec<String> = (0..40).map(|number| format!("damaged{number}")).collect();
    let mut words = vec!["my"];
    words.extend(names.iter().map(String::as_str));
    let mut boot = add(Boot::program(&words), &spawner).cpus(2);
    for name in &names {
        let mut bytes = good.clone();
        for _ in 0..1 + next() % 3 {
            // Within the file header behind its first bytes, and the program headers.
            let place = 16 + next() as usize % (PROGRAM_HEADERS + 4 * PROGRAM_HEADER_LEN - 16);
            bytes[place] = next() as u8;
        }
        boot = add(boot, &scratch.write(name, bytes));
    }
    let run = boot.run();
    run.assert_status(0)
        .assert_console_has("All 40 have been tried.")
        .assert_console_has(": error 8\r\n")
        .assert_console_has(": ended with ");
}
