//! Starts children with arguments, one and two copies at a time, by wrong names and by wrong pointers, and checks how
//! each ends.
#![no_std]
#![no_main]

use core::fmt::Display;

use abi::layout::{ARGUMENT_MAX, PAGE_SIZE, USER_START};
use abi::{OpenFlags, PATH_MAX, decode};
use ulib::file::File;
use ulib::mapping::{MapRequest, map};
use ulib::{Arguments, Errno, ExitStatus, Pid, Signal, println, process, system_call};

ulib::program!(main);

/// Arguments that only arrive whole if both sides keep to the rules of `abi::arguments`.
const WORDS: [&str; 7] = [
    "plain",
    "with blanks",
    "",
    "it's",
    "\"quoted\"",
    r"back\slash",
    "\ttab",
];
const ARGUMENTS_ARRIVED: i32 = 42;

fn main(arguments: Arguments) -> Result<(), Errno> {
    match arguments.get(1) {
        Some("child") => process::exit(child(arguments)),
        Some("exit") => process::exit(
            arguments
                .get(2)
                .and_then(|code| code.parse().ok())
                .unwrap_or(99),
        ),
        Some("sleep") => {
            process::sleep_ms(60_000);
            Ok(())
        }
        _ => parent(),
    }
}

fn child(arguments: Arguments) -> i32 {
    for (position, word) in arguments.iter().enumerate() {
        println!("  argument {position}: <{word}>");
    }
    if arguments.iter().skip(2).eq(WORDS) {
        ARGUMENTS_ARRIVED
    } else {
        1
    }
}

fn parent() -> Result<(), Errno> {
    println!("A child with arguments:");
    let child = process::spawn_words("spawn", core::iter::once("child").chain(WORDS))?;
    assert_eq!(process::wait(child)?, ExitStatus::exited(ARGUMENTS_ARRIVED));

    for (code, expected) in [(0, 0), (7, 7), (255, 255), (256, 0), (-1, 255)] {
        let child = process::spawn_words("spawn", [&"exit" as &dyn Display, &code])?;
        let status = process::wait(child)?;
        println!("A child that calls exit({code}): {status}");
        assert_eq!(status, ExitStatus::exited(expected));
    }

    let child = process::spawn_with("spawn", "sleep")?;
    process::kill(child, Signal::SIGKILL)?;
    let status = process::wait(child)?;
    println!("A child that is killed: {status}");
    assert_eq!(status, ExitStatus::killed(Signal::SIGKILL));

    copies()?;
    wrong_names()?;
    wrong_pointers();
    names_at_the_end_of_a_page()?;
    assert_eq!(
        process::wait_any(),
        Err(Errno::ECHILD),
        "a failed spawn has left a child"
    );
    println!("All as it should be.");
    Ok(())
}

/// One copy of a program, and then two at once.
fn copies() -> Result<(), Errno> {
    let first = process::spawn_with("spawn", "exit 1")?;
    assert_eq!(process::wait(first)?, ExitStatus::exited(1));
    let [first, second] =
        [1, 2].map(|code| process::spawn_words("spawn", [&"exit" as &dyn Display, &code]));
    let (first, second) = (first?, second?);
    assert_ne!(first, second, "two copies with one id");
    assert_eq!(process::wait(second)?, ExitStatus::exited(2));
    assert_eq!(process::wait(first)?, ExitStatus::exited(1));
    println!("One copy, and two copies at once: each ends with its own status.");
    Ok(())
}

/// Behind the page that ends here nothing is mapped.
const END_OF_PAGE: usize = 0xffff_a000_0000_1000;

/// A name may end with its page; a name that goes on in the next, where nothing is, is a bad address, and a name that
/// is too long before it gets there is too long.
fn names_at_the_end_of_a_page() -> Result<(), Errno> {
    map(&MapRequest::anonymous(PAGE_SIZE).at(END_OF_PAGE - PAGE_SIZE))?;
    let cases: [(&str, &[u8], Result<(), Errno>); 3] = [
        ("that ends with its page", b"nop\0", Ok(())),
        ("that crosses into nothing", b"nop", Err(Errno::EFAULT)),
        (
            "that is too long before the end of its page",
            &[b'x'; 2 * PATH_MAX + 2],
            Err(Errno::ENAMETOOLONG),
        ),
    ];
    for (what, name, expected) in cases {
        let place = core::ptr::with_exposed_provenance_mut::<u8>(END_OF_PAGE - name.len());
        // SAFETY: it fits into the page that has just been mapped, which nothing else uses.
        unsafe { place.copy_from_nonoverlapping(name.as_ptr(), name.len()) };
        // SAFETY: the kernel only reads, and refuses what it cannot.
        let result = decode(unsafe { system_call::spawn(place) });
        println!("A name {what}: {result:?}");
        assert_eq!(result.map(|_| ()), expected);
        if let Ok(child) = result {
            assert_eq!(process::wait(child as Pid)?, ExitStatus::exited(0));
        }
    }
    Ok(())
}

fn wrong_names() -> Result<(), Errno> {
    let file = File::open("not-a-program", OpenFlags::WRITE.with(OpenFlags::CREATE))?;
    file.write_all(b"just text\n")?;
    let too_long = [b'x'; PATH_MAX + 1];
    let cases = [
        ("nosuch", Errno::ENOENT),
        ("", Errno::ENOENT),
        ("not-a-program", Errno::ENOEXEC),
        (
            str::from_utf8(&too_long).unwrap_or_default(),
            Errno::ENAMETOOLONG,
        ),
    ];
    for (name, expected) in cases {
        let result = process::spawn(name);
        println!("A program named '{:.20}': {:?}", name, result);
        assert_eq!(result, Err(expected));
    }
    let result = process::spawn_with(
        "nop",
        str::from_utf8(&[b'x'; ARGUMENT_MAX]).unwrap_or_default(),
    );
    println!("An argument string that is too long: {result:?}");
    assert_eq!(result, Err(Errno::E2BIG));
    Ok(())
}

fn wrong_pointers() {
    let cases = [
        ("null", 0),
        ("unmapped", USER_START),
        ("the kernel's memory", 0x20_0000),
        ("the last page", usize::MAX - 10),
        ("not canonical", 0x8000_0000_0000_0000),
    ];
    for (place, address) in cases {
        // SAFETY: the kernel only reads, and refuses what it cannot.
        let result = decode(unsafe { system_call::spawn(address as *const u8) });
        println!("A name at an address that is {place}: {result:?}");
        assert_eq!(result, Err(Errno::EFAULT));
    }
}
