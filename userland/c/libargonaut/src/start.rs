//! From the argument string to `process_main`, and what a C program is called in messages.

use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int};
use core::ptr;

use abi::arguments;
use abi::layout::ARGUMENT_MAX;

use crate::tls;

// SAFETY: a C program defines the function, and does not link without it. The linker script defines the others, the
// first two aligned to words; only their addresses are used.
unsafe extern "C" {
    fn process_main(argc: c_int, argv: *mut *mut c_char) -> c_int;
    safe static CONSTRUCTORS_START: u8;
    safe static CONSTRUCTORS_END: u8;
    safe static MAIN_RETURNS_NOTHING_START: u8;
    safe static MAIN_RETURNS_NOTHING_END: u8;
}

/// Every word has a blank after it or is the last one.
const WORDS_MAX: usize = ARGUMENT_MAX.div_ceil(2);

/// `argv`, with a null pointer at its end.
struct Words(UnsafeCell<[*mut c_char; WORDS_MAX + 1]>);

// SAFETY: the first thread alone uses it, before the program's own code runs.
unsafe impl Sync for Words {}

static WORDS: Words = Words(UnsafeCell::new([ptr::null_mut(); WORDS_MAX + 1]));

/// The name in messages of `ulib` itself.
#[unsafe(no_mangle)]
static ARGONAUT_PROGRAM_NAME: &str = "C program";

#[unsafe(no_mangle)]
extern "Rust" fn argonaut_program_main(string: &'static mut [u8]) -> i32 {
    let split = arguments::split_in_place(string);
    // SAFETY: nobody else has seen it yet.
    let words = unsafe { &mut *WORDS.0.get() };
    let mut rest = string.get_mut(..split.len).unwrap_or_default();
    let mut argc = 0;
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        let (word, after) = rest.split_at_mut(end + 1);
        let Some(place) = words.get_mut(argc) else {
            break;
        };
        *place = word.as_mut_ptr().cast();
        argc += 1;
        rest = after;
    }
    tls::begin();
    run_constructors();
    // SAFETY: as C calls it: as many words as said and a null pointer, all of which are the program's own from now on.
    let result = unsafe { process_main(argc as c_int, words.as_mut_ptr()) };
    if main_returns_nothing() { 0 } else { result }
}

/// Whether `process_main` is a function without a result, so that what seems to be one is what a register happens to
/// hold.
fn main_returns_nothing() -> bool {
    let start = &raw const MAIN_RETURNS_NOTHING_START;
    let len = (&raw const MAIN_RETURNS_NOTHING_END).addr() - start.addr();
    // SAFETY: between the two the linker has put what the header notes, a `bool` for each declaration of
    // `process_main`.
    let notes = unsafe { core::slice::from_raw_parts(start.cast::<bool>(), len) };
    notes.contains(&true)
}

/// Calls the constructors of C++ objects with static storage.
fn run_constructors() {
    let start = (&raw const CONSTRUCTORS_START).cast::<extern "C" fn()>();
    let len_bytes = (&raw const CONSTRUCTORS_END).addr() - start.addr();
    for index in 0..len_bytes / size_of::<usize>() {
        // SAFETY: between the two the linker has put pointers to functions, which want to be called once.
        unsafe { start.add(index).read()() };
    }
}
