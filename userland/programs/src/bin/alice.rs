//! Alice greets STEPS times (10), and gives others a turn after each greeting.
//!
//! `alice [STEPS [wait]]`: with `wait`, she waits after the first greeting until the end of her standard input. She
//! keeps a note to herself whether to go on. Nobody else can write there, so she goes on to the end.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::sync::atomic::Ordering;

use programs::alice_note::{MARK, NOTE};
use ulib::{Arguments, file, process};

ulib::program!(main);

fn main(arguments: Arguments) {
    let steps = arguments.number(1, 10);
    let waits = arguments.get(2) == Some("wait");
    // Others may look at it, and change it, if the kernel lets them.
    let note = black_box(&NOTE);
    // Relaxed: she has one thread.
    note.mark.store(MARK, Ordering::Relaxed);
    for step in 1..=steps {
        let word = note.stop.load(Ordering::Relaxed);
        assert!(word == 0, "Alice: my note says that I am to stop");
        ulib::println!("Hi, I'm Alice! #{step} (CPU {})", process::getcpu());
        if step == 1 && waits {
            while file::read(0, &mut [0]).is_ok_and(|len| len > 0) {}
        }
        process::yield_now();
    }
}
