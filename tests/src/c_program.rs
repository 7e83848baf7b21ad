//! C programs built as the guide says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::prepare::{build, run, shell};
use crate::root;

/// Where the guide says how programs are built.
const PAGE: &str = "docs/c-programs.md";
/// How its two lines for a compiler begin.
const BLOCK: &str = "```build\n";
/// The option in them that is C's alone.
const STANDARD: &str = "-std=c11";

/// The guide's page about C programs.
pub fn page() -> String {
    fs::read_to_string(root().join(PAGE)).unwrap_or_else(|error| panic!("{PAGE}: {error}"))
}

/// Builds the program in `source` (below the root) with the guide's two lines for `compiler`, and returns the file,
/// which is in `directory` and called `my.elf`. `options` take the place of the standard in the first line.
///
/// The test fails if the compiler is missing and cannot be installed, or says anything.
pub fn build_as_the_guide_says(
    compiler: Compiler,
    source: &Path,
    options: &str,
    directory: &Path,
) -> PathBuf {
    build("checked"); // the library
    run(&mut shell(&format!(
        ". tools/setup.sh && find_program {} {}",
        compiler.command, compiler.package
    )))
    .unwrap_or_else(|reason| panic!("{reason}"));
    let page = page();
    let lines = page
        .split(BLOCK)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|lines| lines.starts_with(compiler.as_in_the_guide))
        .unwrap_or_else(|| panic!("{PAGE} should have lines for {}", compiler.as_in_the_guide));
    let file = |name: &str| directory.join(name).display().to_string();
    for line in lines.lines() {
        let line = line
            .replacen(compiler.as_in_the_guide, compiler.command, 1)
            .replace(STANDARD, options)
            .replace("my.c ", &format!("{} ", source.display()))
            .replace("my.o", &file("my.o"))
            .replace("my.elf", &file("my.elf"));
        let output = Command::new("bash")
            .args(["-euc", &line])
            .current_dir(root())
            .output()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && errors.is_empty(),
            "{line}\n{errors}"
        );
    }
    directory.join("my.elf")
}

/// A compiler that the guide has lines for, or takes the place of one in them.
#[derive(Copy, Clone, Debug)]
pub struct Compiler {
    command: &'static str,
    package: &'static str,
    as_in_the_guide: &'static str,
}

impl Compiler {
    /// GNU's for C.
    pub const GCC: Compiler = Compiler::new("gcc", "gcc", "gcc");
    /// GNU's for C++.
    pub const GXX: Compiler = Compiler::new("g++", "g++", "gcc");
    /// LLVM's for C.
    pub const CLANG: Compiler = Compiler::new("clang", "clang", "clang");
    /// LLVM's for C++.
    pub const CLANGXX: Compiler = Compiler::new("clang++", "clang", "clang");

    const fn new(
        command: &'static str,
        package: &'static str,
        as_in_the_guide: &'static str,
    ) -> Compiler {
        Compiler {
            command,
            package,
            as_in_the_guide,
        }
    }
}
