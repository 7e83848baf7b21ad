//! Shows page tables of several machines: their sizes, which accesses fault, and translations step by step.
//!
//! - `geometry` lists the machines.
//! - `geometry NAME` describes one.
//! - `geometry NAME pages COUNT...` says how small and how large a page table is that maps so many pages.
//! - `geometry NAME translate ADDRESS...` builds a page table in its own memory and walks it; without an address it
//!   only says what is mapped.
//!
//! Numbers are decimal, or hexadecimal with `0x`. The walker is that of the kernel. What is shown is checked against
//! what was put in, and the status is 1 if they differ, as it is for a wrong name or number.
#![no_std]
#![no_main]

extern crate alloc;

mod describe;
mod example;
mod failure;
mod show;
mod translate;

use alloc::vec::Vec;

use geometry::{Ia32, Pae, Protection, Tag, Teensy, X86};
use ulib::{Arguments, println};

use failure::Failure;

ulib::program!(main);

/// What is to be said of a machine.
enum Request {
    Describe,
    Pages(Vec<u64>),
    Translate(Vec<u64>),
}

struct Machine {
    name: &'static str,
    summary: &'static str,
    answer: fn(&Request) -> Result<(), Failure>,
}

const MACHINES: &[Machine] = &[
    Machine {
        name: "x86-64",
        summary: "pages of 4 KiB, 4 levels",
        answer: |request| answer(X86::FOUR_LEVELS, request),
    },
    Machine {
        name: "la57",
        summary: "x86-64 with 5 levels",
        answer: |request| answer(X86::FIVE_LEVELS, request),
    },
    Machine {
        name: "pae",
        summary: "32-bit x86 with entries of 8 bytes, 3 levels",
        answer: |request| answer(Pae, request),
    },
    Machine {
        name: "x86-32",
        summary: "32-bit x86 as it was first, 2 levels",
        answer: |request| answer(Ia32, request),
    },
    Machine {
        name: "teensy",
        summary: "16 bits, 1 level",
        answer: |request| answer(Teensy, request),
    },
    Machine {
        name: "tag",
        summary: "pages of 256 bytes, 2 levels",
        answer: |request| answer(Tag, request),
    },
];

fn main(arguments: Arguments) -> Result<(), Failure> {
    let mut words = arguments.operands();
    let Some(name) = words.next() else {
        for machine in MACHINES {
            println!("{:<8} {}", machine.name, machine.summary);
        }
        return Ok(());
    };
    let mut machines = MACHINES.iter();
    let machine = machines
        .find(|machine| machine.name == name)
        .ok_or(Failure::NoSuchMachine(name))?;
    let request = match words.next() {
        None => Request::Describe,
        Some("pages") => Request::Pages(words.map(number).collect::<Result<_, _>>()?),
        Some("translate") => Request::Translate(words.map(number).collect::<Result<_, _>>()?),
        Some(word) => return Err(Failure::NoSuchCommand(word)),
    };
    println!("{}: {}", machine.name, machine.summary);
    (machine.answer)(&request)
}

fn answer<M: Protection>(machine: M, request: &Request) -> Result<(), Failure> {
    match request {
        Request::Describe => describe::everything(machine),
        Request::Pages(counts) => describe::sizes(machine, counts),
        Request::Translate(addresses) => translate::all(machine, addresses),
    }
}

/// Reads a number of 64 bits, decimal or with `0x`, without a sign.
fn number(word: &'static str) -> Result<u64, Failure> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| !digits.starts_with('+'))
        .ok_or(Failure::NotANumber(word))
}
