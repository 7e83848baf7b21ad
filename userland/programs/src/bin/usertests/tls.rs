//! The base of FS, by which each thread finds what is its own.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use ulib::thread::set_tls_base;
use ulib::{Errno, process};

use crate::check::{KERNEL_TEXT, NOT_CANONICAL, expect_fatal, join, ok, start};
use crate::helper;
use crate::runner::tests;
use crate::thread_tools::{result, spawn, spawn_pinned};

tests![
    each_thread_has_a_tls_base_of_its_own,
    a_tls_base_survives_being_preempted,
    a_tls_base_goes_with_its_thread_to_other_cpus,
    a_new_thread_has_no_tls_base,
    a_child_of_fork_keeps_the_tls_base_and_a_program_does_not,
    a_tls_base_can_be_taken_back,
    a_base_that_is_not_canonical_is_refused,
    a_base_in_the_kernel_reaches_nothing,
    emptying_the_segment_register_harms_nobody_else,
];

static WORDS: [AtomicU64; 9] = [const { AtomicU64::new(0) }; 9];

/// The word at `offset` from the base of FS.
fn word_at(offset: usize) -> u64 {
    let word;
    // SAFETY: the tests read words of [`WORDS`], or what is no memory and ends the process.
    unsafe {
        asm!("mov {}, fs:[{}]", out(reg) word, in(reg) offset, options(nostack, preserves_flags))
    };
    word
}

/// Makes word `number` of [`WORDS`] the base, and stores the number there.
fn take_word(number: usize) {
    // Relaxed: only this thread uses the word.
    WORDS[number].store(number as u64, Ordering::Relaxed);
    ok(set_tls_base(address_of(number)));
}

fn address_of(number: usize) -> usize {
    WORDS[number].as_ptr().expose_provenance()
}

#[track_caller]
fn expect_base(number: usize) {
    assert_eq!(word_at(0), number as u64, "the base is not this thread's");
}

fn each_thread_has_a_tls_base_of_its_own() {
    process::pin(0);
    take_word(8);
    let threads = core::array::from_fn::<_, 8, _>(|number| {
        spawn(move || {
            take_word(number);
            for _ in 0..100 {
                process::yield_now();
                expect_base(number);
            }
        })
    });
    threads.into_iter().for_each(result);
    expect_base(8);
}

fn a_tls_base_survives_being_preempted() {
    process::pin(0);
    let threads = core::array::from_fn::<_, 3, _>(|number| {
        spawn(move || {
            take_word(number);
            let deadline_ns = process::clock_ns() + 50_000_000;
            while process::clock_ns() < deadline_ns {
                for _ in 0..1000 {
                    expect_base(number);
                }
            }
        })
    });
    threads.into_iter().for_each(result);
}

fn a_tls_base_goes_with_its_thread_to_other_cpus() {
    let cpus = process::cpu_count();
    let threads = spawn_pinned(4, move |number| {
        take_word(number);
        for round in 0..4 * cpus {
            process::pin((number + round) % cpus);
            expect_base(number);
        }
    });
    threads.into_iter().for_each(result);
}

fn a_new_thread_has_no_tls_base() {
    take_word(7);
    // With a base of 0 an offset is an address.
    let seen = result(spawn(|| word_at(address_of(7))));
    assert_eq!(seen, 7);
    expect_base(7);
}

fn a_child_of_fork_keeps_the_tls_base_and_a_program_does_not() {
    take_word(6);
    join(start(|| {
        expect_base(6);
        take_word(5);
        process::yield_now();
        expect_base(5);
    }));
    expect_base(6);
    // Also if not the first thread forks.
    let thread = spawn(|| {
        take_word(4);
        join(start(|| expect_base(4)));
    });
    result(thread);
    expect_base(6);
    let words = [helper::OPTION, "tls"];
    let status = process::spawn_words("usertests", words).and_then(process::wait);
    assert_eq!(status, Ok(ulib::ExitStatus::exited(helper::FINE)));
}

/// Whether the base of FS is 0, in a program that has just started.
pub(crate) fn is_tls_base_0() -> bool {
    // Relaxed: only this thread uses the word.
    WORDS[3].store(0x77, Ordering::Relaxed);
    word_at(address_of(3)) == 0x77
}

fn a_tls_base_can_be_taken_back() {
    take_word(2);
    ok(set_tls_base(0));
    process::yield_now();
    assert_eq!(word_at(address_of(2)), 2);
}

fn a_base_that_is_not_canonical_is_refused() {
    take_word(1);
    for address in [NOT_CANONICAL, 1 << 62, 1 << 58, !(1 << 60)] {
        assert_eq!(set_tls_base(address), Err(Errno::EINVAL), "{address:#x}");
        expect_base(1);
    }
    // Any other address may be one, for it gives no right.
    for address in [1, KERNEL_TEXT, usize::MAX] {
        assert_eq!(set_tls_base(address), Ok(()), "{address:#x}");
        process::yield_now();
    }
}

fn a_base_in_the_kernel_reaches_nothing() {
    for address in [KERNEL_TEXT, 0x1000] {
        expect_fatal("memory of the kernel", || {
            ok(set_tls_base(address));
            word_at(0);
        });
    }
}

/// On many machines that makes the base 0, of which the kernel hears nothing.
fn emptying_the_segment_register_harms_nobody_else() {
    process::pin(0);
    let threads = core::array::from_fn::<_, 4, _>(|number| {
        spawn(move || {
            take_word(number);
            for _ in 0..100 {
                if number % 2 == 0 {
                    // SAFETY: nothing goes by FS but `word_at`.
                    unsafe {
                        asm!("mov fs, {:e}", in(reg) 0, options(nomem, nostack, preserves_flags))
                    };
                }
                process::yield_now();
                if number % 2 == 1 {
                    expect_base(number);
                }
            }
        })
    });
    threads.into_iter().for_each(result);
}
