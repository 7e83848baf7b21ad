//! Futexes: waiting for a word of memory, and waking those who wait.

use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::decode;
use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, map, unmap};
use ulib::sync::Mutex;
use ulib::thread::JoinHandle;
use ulib::{Errno, Protection, futex, process, system_call, thread};

use crate::check::{AREA_START, LONELY_PAGE_END, lonely_page, ok};
use crate::pointers::BAD_ADDRESSES;
use crate::runner::tests;
use crate::thread_tools::{result, spawn, spawn_waiter, yield_until};

tests![
    who_finds_another_value_does_not_wait,
    a_word_has_an_aligned_address,
    words_at_bad_addresses_are_refused,
    the_last_word_of_a_mapping_is_one,
    a_word_that_nobody_has_written_is_0,
    a_word_may_be_read_only,
    wake_says_how_many_it_has_woken,
    a_wake_up_for_none_wakes_none,
    those_who_came_first_are_woken_first,
    a_wake_up_of_another_word_wakes_nobody,
    a_wake_up_without_anybody_is_not_remembered,
    many_wait_for_a_word_and_all_are_woken,
    one_thread_waits_for_one_word_after_the_other,
    no_wake_up_is_lost_between_two_cpus,
    no_wake_up_is_lost_among_many,
    a_thread_may_wait_for_a_word_that_goes,
];

/// `futex_wait` for what may be no word.
fn wait_at(address: usize, value: u32) -> Result<usize, Errno> {
    // SAFETY: the kernel only reads, if it can.
    decode(unsafe { system_call::futex_wait(address as *const u32, value) })
}

/// `futex_wake` for what may be no word.
fn wake_at(address: usize, count: u32) -> Result<usize, Errno> {
    // SAFETY: the call touches no memory.
    decode(unsafe { system_call::futex_wake(address as *const u32, count) })
}

fn who_finds_another_value_does_not_wait() {
    let word = AtomicU32::new(5);
    for value in [0, 4, 6, 5 | 1 << 31, u32::MAX] {
        assert_eq!(futex::wait(&word, value), Err(Errno::EAGAIN), "{value}");
    }
    word.store(u32::MAX, Ordering::Relaxed);
    assert_eq!(futex::wait(&word, 5), Err(Errno::EAGAIN));
}

fn a_word_has_an_aligned_address() {
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    let start = words[0].as_ptr().expose_provenance();
    for address in [start + 1, start + 2, start + 3, 1, usize::MAX] {
        assert_eq!(wait_at(address, 0), Err(Errno::EINVAL), "{address:#x}");
        assert_eq!(wake_at(address, 1), Err(Errno::EINVAL), "{address:#x}");
    }
}

fn words_at_bad_addresses_are_refused() {
    for (what, address) in BAD_ADDRESSES {
        assert_eq!(wait_at(address, 0), Err(Errno::EFAULT), "{what}");
        assert_eq!(wake_at(address, 1), Err(Errno::EFAULT), "{what}");
    }
}

fn the_last_word_of_a_mapping_is_one() {
    let _page = lonely_page();
    assert_eq!(wait_at(LONELY_PAGE_END - 4, 1), Err(Errno::EAGAIN));
    assert_eq!(wake_at(LONELY_PAGE_END - 4, 1), Ok(0));
    for address in [LONELY_PAGE_END, AREA_START - 4] {
        assert_eq!(wait_at(address, 0), Err(Errno::EFAULT));
        assert_eq!(wake_at(address, 1), Err(Errno::EFAULT));
    }
}

fn a_word_that_nobody_has_written_is_0() {
    let page = ok(map(&MapRequest::anonymous(PAGE_SIZE)));
    assert_eq!(wake_at(page + 8, 1), Ok(0));
    assert_eq!(wait_at(page + 8, 1), Err(Errno::EAGAIN));
}

fn a_word_may_be_read_only() {
    let request = MapRequest::anonymous(PAGE_SIZE).protection(Protection::READ);
    let page = ok(map(&request));
    assert_eq!(wait_at(page, 1), Err(Errno::EAGAIN));
    let waiter = spawn_waiter(move || wait_at(page, 0));
    assert_eq!(wake_at(page, 1), Ok(1));
    assert_eq!(result(waiter), Ok(0));
}

static WORD: AtomicU32 = AtomicU32::new(0);

fn spawn_waiter_for(word: &'static AtomicU32) -> JoinHandle<()> {
    spawn_waiter(|| assert_eq!(futex::wait(word, 0), Ok(())))
}

fn wake_says_how_many_it_has_woken() {
    let waiters = [(); 5].map(|()| spawn_waiter_for(&WORD));
    let woken = [2, 10, 10].map(|count| futex::wake(&WORD, count));
    assert_eq!(woken, [2, 3, 0]);
    waiters.into_iter().for_each(result);
}

fn a_wake_up_for_none_wakes_none() {
    let waiter = spawn_waiter_for(&WORD);
    assert_eq!(futex::wake(&WORD, 0), 0);
    process::sleep_ms(1);
    assert_eq!(thread::poll_join(waiter.tid()), Ok(None));
    assert_eq!(futex::wake(&WORD, 1), 1);
    result(waiter);
}

fn those_who_came_first_are_woken_first() {
    static WOKEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let waiters = core::array::from_fn::<_, 5, _>(|number| {
        spawn_waiter(move || {
            assert_eq!(futex::wait(&WORD, 0), Ok(()));
            WOKEN.lock().push(number);
        })
    });
    for count in 1..=waiters.len() {
        assert_eq!(futex::wake(&WORD, 1), 1);
        yield_until(|| WOKEN.lock().len() == count);
    }
    waiters.into_iter().for_each(result);
    assert_eq!(*WOKEN.lock(), [0, 1, 2, 3, 4]);
}

/// Among the other words are some for which the kernel keeps its waiters in the same list.
fn a_wake_up_of_another_word_wakes_nobody() {
    static WORDS: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];
    let waiters = [0, 1, 512].map(|index| spawn_waiter_for(&WORDS[index]));
    let woken = WORDS.iter().map(|word| futex::wake(word, 2));
    assert!(
        woken
            .enumerate()
            .all(|(index, woken)| woken == usize::from([0, 1, 512].contains(&index)))
    );
    waiters.into_iter().for_each(result);
}

fn a_wake_up_without_anybody_is_not_remembered() {
    for _ in 0..3 {
        assert_eq!(futex::wake(&WORD, 1), 0);
    }
    let waiter = spawn_waiter_for(&WORD);
    process::sleep_ms(5);
    assert_eq!(thread::poll_join(waiter.tid()), Ok(None));
    assert_eq!(futex::wake(&WORD, 1), 1);
    result(waiter);
}

fn many_wait_for_a_word_and_all_are_woken() {
    let waiters: Vec<JoinHandle<()>> = (0..60).map(|_| spawn_waiter_for(&WORD)).collect();
    assert_eq!(futex::wake(&WORD, u32::MAX), 60);
    waiters.into_iter().for_each(result);
    assert_eq!(futex::wake(&WORD, u32::MAX), 0);
}

/// Waits until `word` is `value`; false if it is [`OVER`]. It looks for a while before it sleeps, so that the wake-up
/// comes at another moment each time: before the sleep, within it, or on the way.
pub(crate) fn wait_until_is(word: &AtomicU32, value: u32) -> bool {
    let mut looks = value % 32;
    loop {
        // Acquire pairs with the Release in `set_and_wake`.
        match word.load(Ordering::Acquire) {
            current if current == value => return true,
            OVER => return false,
            _ if looks > 0 => {
                looks -= 1;
                spin_loop();
            }
            current => {
                let waited = futex::wait(word, current);
                assert!(matches!(waited, Ok(()) | Err(Errno::EAGAIN)), "{waited:?}");
            }
        }
    }
}

pub(crate) fn set_and_wake(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
    futex::wake(word, u32::MAX);
}

fn one_thread_waits_for_one_word_after_the_other() {
    static WORDS: [AtomicU32; 8] = [const { AtomicU32::new(0) }; 8];
    let answer = |turn: u32| {
        for word in &WORDS {
            assert!(wait_until_is(word, turn));
            set_and_wake(word, turn + 1);
        }
    };
    let answering = spawn(move || (1..40).step_by(2).for_each(answer));
    for turn in (0..40).step_by(2) {
        answer(turn);
    }
    result(answering);
}

/// How long a word is passed round at most. It goes by itself how often that is: from some hundred times, where each
/// wake-up waits for the host, to tens of thousands.
const DURATION_NS: u64 = 300_000_000;
/// No turn.
const OVER: u32 = u32::MAX;

/// Threads on all CPUs pass a word round, each waiting for its number. A wake-up that was lost would be the last.
fn pass_round(threads: u32, rounds: u32) {
    let cpus = process::cpu_count();
    let deadline_ns = process::clock_ns() + DURATION_NS;
    let take_turns = move |number: usize| {
        process::pin((cpus - 1) * number % cpus);
        for round in 0..rounds {
            let turn = round * threads + number as u32;
            if !wait_until_is(&WORD, turn) {
                return;
            }
            let is_over = number == 0 && process::clock_ns() > deadline_ns;
            set_and_wake(&WORD, if is_over { OVER } else { turn + 1 });
        }
    };
    let members = (0..threads as usize).map(|number| spawn(move || take_turns(number)));
    let members: Vec<JoinHandle<()>> = members.collect();
    members.into_iter().for_each(result);
}

fn no_wake_up_is_lost_between_two_cpus() {
    pass_round(2, 10_000);
}

fn no_wake_up_is_lost_among_many() {
    pass_round(8, 1000);
}

/// It waits for ever, until the process ends.
fn a_thread_may_wait_for_a_word_that_goes() {
    let page = ok(map(&MapRequest::anonymous(PAGE_SIZE)));
    let waiter = spawn_waiter(move || wait_at(page, 0));
    // SAFETY: only the kernel uses it.
    ok(unsafe { unmap(page, PAGE_SIZE) });
    assert_eq!(wake_at(page, 1), Err(Errno::EFAULT));
    process::sleep_ms(1);
    assert_eq!(thread::poll_join(waiter.tid()), Ok(None));
}
