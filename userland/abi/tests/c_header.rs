//! `userland/c/include/argonaut_calls.h`: the system calls and constants of this crate for C programs.
//!
//! The test compares the file with what follows from the tables; `BLESS=1 cargo test -p abi --test c_header` writes it.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use abi::{
    Argument, Dirent, Errno, FaultKind, FileKind, Flag, MapFlags, MappingInfo, OpenFlags,
    PageState, Protection, Signal, SysInfo, SystemCall, TABLE, ThreadRegisters, WaitFlags, Whence,
    layout,
};

const FILE: &str = "../c/include/argonaut_calls.h";

/// Calls that are functions of the library in C, and have only a number here.
const IN_THE_LIBRARY: [&str; 3] = ["fork", "create_thread", "join_thread"];
/// Calls that do not return.
const NEVER_RETURNING: [&str; 3] = ["exit", "panic", "exit_thread"];
/// Calls that return an address.
const RETURNING_ADDRESSES: [&str; 1] = ["map"];

#[test]
fn the_committed_header_follows_from_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, header()).expect("the header should be writable");
    }
    let committed = fs::read_to_string(&path).expect("the header should be there");
    assert!(
        committed == header(),
        "{FILE} is not up to date: BLESS=1 cargo test -p abi --test c_header writes it"
    );
}

/// The whole file.
fn header() -> String {
    let mut text = String::from(
        "/* System calls and constants: made from userland/abi by its test c_header, which also says whether this is up to\n\
         \x20  date. Programs include argonaut.h. */\n\
         #ifndef ARGONAUT_CALLS_H\n#define ARGONAUT_CALLS_H\n\n",
    );
    for group in [
        errors(),
        signals(),
        flags("PROT_", Protection::TABLE),
        flags("MAP_", MapFlags::TABLE),
        flags("PAGE_", PageState::TABLE),
        flags("", WaitFlags::TABLE),
        files(),
        places(),
        sizes(),
        numbers(),
    ] {
        text.push_str(&group);
        text.push('\n');
    }
    text.push_str("/* Calls that are functions of the library. */\n");
    let (in_library, stubs): (Vec<&SystemCall>, Vec<&SystemCall>) = TABLE
        .iter()
        .partition(|call| IN_THE_LIBRARY.contains(&call.name));
    for call in in_library {
        comment(&mut text, call);
        text.push('\n');
    }
    for call in stubs {
        text.push('\n');
        comment(&mut text, call);
        stub(&mut text, call);
    }
    text.push_str("\n#endif\n");
    text
}

fn define(text: &mut String, name: &str, value: impl std::fmt::Display) {
    writeln!(text, "#define {name} {value}").expect("a string takes everything");
}

fn errors() -> String {
    let mut text = String::from("/* Errors: a call returns one with a minus. */\n");
    for errno in Errno::ALL {
        let name = errno.name().expect("a listed error has a name");
        writeln!(text, "#define {name} {} /* {errno} */", errno.number()).expect("as above");
    }
    text
}

fn signals() -> String {
    let mut text =
        String::from("/* Signals, and what a handler's third argument says about the fault. */\n");
    for signal in Signal::NAMED {
        define(&mut text, signal.name(), signal.number());
    }
    for (name, kind) in [
        ("FAULT_NONE", FaultKind::NotPageFault),
        ("FAULT_MISSING_PAGE", FaultKind::MissingPage),
        ("FAULT_PERMISSION", FaultKind::Permission),
        ("FAULT_PRIVILEGE", FaultKind::Privilege),
        ("FAULT_NO_MEMORY", FaultKind::NoMemory),
        ("FAULT_UNREADABLE", FaultKind::Unreadable),
    ] {
        define(&mut text, name, kind.number());
    }
    text
}

fn flags(prefix: &str, flags: &[Flag]) -> String {
    let mut text = String::new();
    for flag in flags {
        let name = format!("{prefix}{}", flag.name);
        define(&mut text, &name, format!("{:#x}", flag.bits));
    }
    text
}

fn files() -> String {
    let mut text = String::from("/* Files. */\n");
    for (name, flags) in [
        ("O_RDONLY", OpenFlags::READ),
        ("O_WRONLY", OpenFlags::WRITE),
        ("O_RDWR", OpenFlags::READ_WRITE),
        ("O_CREAT", OpenFlags::CREATE),
        ("O_EXCL", OpenFlags::EXCLUSIVE),
        ("O_TRUNC", OpenFlags::TRUNCATE),
        ("O_APPEND", OpenFlags::APPEND),
    ] {
        define(&mut text, name, format!("{:#x}", flags.bits()));
    }
    for (name, value) in [
        ("SEEK_SET", Whence::Start as usize),
        ("SEEK_CUR", Whence::Current as usize),
        ("SEEK_END", Whence::End as usize),
        ("KIND_FILE", FileKind::File as usize),
        ("KIND_DIRECTORY", FileKind::Directory as usize),
        ("KIND_DEVICE", FileKind::Device as usize),
        ("ARGONAUT_NAME_MAX", abi::NAME_MAX),
        ("ARGONAUT_PATH_MAX", abi::PATH_MAX),
        ("ARGONAUT_PIPE_ATOMIC", abi::PIPE_ATOMIC),
    ] {
        define(&mut text, name, value);
    }
    text
}

fn places() -> String {
    let mut text = String::from("/* Memory, screen and log. */\n");
    define(&mut text, "PAGESIZE", layout::PAGE_SIZE);
    for (name, address) in [
        ("USER_START", layout::USER_START),
        ("USER_START_5_LEVEL", layout::USER_START_5_LEVEL),
        ("USER_END", layout::USER_END),
        ("PROGRAM_BASE", layout::PROGRAM_BASE),
        ("STACK_TOP", layout::STACK_TOP),
        ("STACK_BOTTOM", layout::STACK_BOTTOM),
        ("HEAP_BASE", layout::HEAP_BASE),
    ] {
        define(&mut text, name, format!("{address:#x}UL"));
    }
    for (name, value) in [
        ("ARGUMENT_MAX", layout::ARGUMENT_MAX),
        ("GUARD_GAP_LEN", abi::GUARD_GAP_LEN),
        ("CONSOLE_ROWS", abi::SCREEN_ROWS),
        ("CONSOLE_COLUMNS", abi::SCREEN_COLUMNS),
        ("LOG_MAX", abi::LOG_MAX),
    ] {
        define(&mut text, name, value);
    }
    define(&mut text, "INIT_PID", abi::INIT_PID);
    define(&mut text, "WAIT_ANY", format!("({})", abi::WAIT_ANY));
    define(&mut text, "NO_FILE", format!("({})", abi::NO_FILE));
    text
}

/// What argonaut.h compares its structures with.
fn sizes() -> String {
    let mut text =
        String::from("/* The structures' lengths, with which argonaut.h compares its own. */\n");
    for (name, len) in [
        ("DIRENT", size_of::<Dirent>()),
        ("SYSINFO", size_of::<SysInfo>()),
        ("MAPPING", size_of::<MappingInfo>()),
        ("REGISTERS", size_of::<ThreadRegisters>()),
    ] {
        define(&mut text, &format!("ARGONAUT_{name}_LEN"), len);
    }
    text
}

fn numbers() -> String {
    let mut text = String::from("/* The calls' numbers. */\n");
    for call in &TABLE {
        let name = format!("SYSCALL_{}", call.name.to_uppercase());
        define(&mut text, &name, call.number.number());
    }
    text
}

fn comment(text: &mut String, call: &SystemCall) {
    let lines: Vec<&str> = call.documentation.iter().map(|line| line.trim()).collect();
    let name = call.name;
    // Nothing in the documentation ends a comment of C.
    let body = lines.join("\n   ").replace('`', "");
    writeln!(text, "/* {name}: {} */", body.replace("\n   \n", "\n\n")).expect("as above");
}

fn stub(text: &mut String, call: &SystemCall) {
    let name = call.name;
    let result = result_type(call);
    let parameters: Vec<String> = call
        .arguments
        .iter()
        .map(|argument| parameter(call, argument))
        .collect();
    let parameters = if parameters.is_empty() {
        "void".to_owned()
    } else {
        parameters.join(", ")
    };
    let values: String = call
        .arguments
        .iter()
        .map(|argument| format!(", (long) {}", argument.name))
        .collect();
    let count = call.arguments.len();
    let enter = format!(
        "argonaut_enter{count}(SYSCALL_{}{values})",
        name.to_uppercase()
    );
    let (noreturn, body) = match result {
        "void" => (
            "__attribute__((noreturn)) ",
            format!("(void) {enter};\n    __builtin_unreachable();"),
        ),
        _ => ("", format!("return ({result}) {enter};")),
    };
    writeln!(
        text,
        "{noreturn}static inline {result} sys_{name}({parameters}) {{\n    {body}\n}}"
    )
    .expect("as above");
}

/// The type of a call's result: `int` for one that is 0.
fn result_type(call: &SystemCall) -> &'static str {
    let is_zero = call
        .documentation
        .iter()
        .any(|line| line.contains("Returns 0."));
    match call.result {
        _ if NEVER_RETURNING.contains(&call.name) => "void",
        _ if RETURNING_ADDRESSES.contains(&call.name) => "void*",
        "usize" if is_zero => "int",
        "usize" => "ssize_t",
        // An offset, or an error.
        "u64" if call.name == "seek" => "int64_t",
        result => scalar(result),
    }
}

/// An argument as C declares it.
fn parameter(call: &SystemCall, argument: &Argument) -> String {
    let name = argument.name;
    let kind = match (name, argument.kind) {
        ("address" | "stack_top" | "remote" | "local", "usize") => "void*".to_owned(),
        ("value", "usize") if NEVER_RETURNING.contains(&call.name) => "void*".to_owned(),
        ("value", "*mut usize") => "void**".to_owned(),
        ("handler", "usize") => "sighandler_t".to_owned(),
        ("bytes" | "buffer", "*const u8") => "const void*".to_owned(),
        ("buffer" | "mask", "*mut u8") => "void*".to_owned(),
        ("mask", "*const u8") => "const void*".to_owned(),
        (_, "*const u8") => "const char*".to_owned(),
        (_, kind) => match (kind.strip_prefix("*const "), kind.strip_prefix("*mut ")) {
            (Some(target), _) => format!("const {}*", scalar(target)),
            (_, Some(target)) => format!("{}*", scalar(target)),
            _ => scalar(kind).to_owned(),
        },
    };
    format!("{kind} {name}")
}

fn scalar(kind: &str) -> &'static str {
    match kind {
        "i32" => "int",
        "u32" => "uint32_t",
        "i64" => "int64_t",
        "u64" => "uint64_t",
        "usize" => "size_t",
        "Pid" => "pid_t",
        "Dirent" => "struct argonaut_dirent",
        "SysInfo" => "struct argonaut_sysinfo",
        "MappingInfo" => "struct argonaut_mapping",
        "ThreadRegisters" => "struct argonaut_registers",
        other => panic!("{other} has no type in C yet"),
    }
}
