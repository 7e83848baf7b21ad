//! Prints a text that is in the wrong order, page by page. The program is not to be changed.
//!
//! With the boot option `warp=on` the same file prints it in the right order: the kernel has exchanged two pages when
//! it set the process up.
#![no_std]
#![no_main]

use core::hint::black_box;

use abi::layout::PAGE_SIZE;
use ulib::{Arguments, print};

ulib::program!(main);

/// Pages of text, at the start of the program's data, each padded with zeros.
#[repr(C, align(4096))]
struct Text([[u8; PAGE_SIZE]; 2]);

#[unsafe(link_section = ".bigdata")]
static mut TEXT: Text = Text([
    page(b"in the right order.\n"),
    page(b"These words have been put "),
]);

const fn page(words: &[u8]) -> [u8; PAGE_SIZE] {
    let mut bytes = [0; PAGE_SIZE];
    let (start, _) = bytes.split_at_mut(words.len());
    start.copy_from_slice(words);
    bytes
}

fn main(_arguments: Arguments) {
    // SAFETY: nobody writes it; it is `mut` only to be data that can be written.
    let Text(pages) = unsafe { &*black_box(&raw const TEXT) };
    for page in pages {
        let len = page.iter().position(|&byte| byte == 0).unwrap_or(PAGE_SIZE);
        print!("{}", str::from_utf8(&page[..len]).unwrap_or("?"));
    }
}
