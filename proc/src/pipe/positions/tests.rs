use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;

use abi::Errno;

use super::{CAPACITY_BYTES, Positions, Wake};

#[test]
fn nobody_is_woken_who_does_not_wait() {
    let positions = Positions::new();
    assert_eq!(positions.add(100), Wake::NotNeeded);
    assert_eq!(positions.take(100), Wake::NotNeeded);
    assert_eq!(positions.available_or_wait(), None);
    assert_eq!(positions.add(1), Wake::Needed);
    // Once is enough.
    assert_eq!(positions.add(1), Wake::NotNeeded);
    assert_eq!(positions.available_or_wait(), Some(2));
    assert_eq!(positions.add(1), Wake::NotNeeded);
}

#[test]
fn a_writer_is_woken_when_half_the_pipe_is_free_or_as_much_as_it_needs() {
    let positions = Positions::new();
    assert_eq!(positions.add(CAPACITY_BYTES), Wake::NotNeeded);
    assert_eq!(positions.free_or_wait(CAPACITY_BYTES), None);
    assert_eq!(positions.take(CAPACITY_BYTES / 2 - 1), Wake::NotNeeded);
    assert_eq!(positions.take(1), Wake::Needed);
    assert_eq!(
        positions.free_or_wait(CAPACITY_BYTES),
        Some(Ok(CAPACITY_BYTES / 2))
    );
    assert_eq!(positions.add(CAPACITY_BYTES / 2), Wake::NotNeeded);
    assert_eq!(positions.free_or_wait(3), None);
    assert_eq!(
        (positions.take(2), positions.take(1)),
        (Wake::NotNeeded, Wake::Needed)
    );
}

#[test]
fn an_end_that_is_closed_ends_the_wait_of_the_other() {
    let positions = Positions::new();
    assert_eq!(positions.add(CAPACITY_BYTES), Wake::NotNeeded);
    assert_eq!(positions.free_or_wait(1), None);
    positions.close_reading();
    assert_eq!(
        (positions.free_or_wait(1), positions.free()),
        (Some(Err(Errno::EPIPE)), Err(Errno::EPIPE))
    );
    let positions = Positions::new();
    assert_eq!(positions.available_or_wait(), None);
    positions.close_writing();
    assert_eq!(positions.available_or_wait(), Some(0));
    assert_eq!(positions.add(5), Wake::NotNeeded);
    assert_eq!(positions.available_or_wait(), Some(5));
}

#[test]
fn positions_that_wrap_count_on() {
    let positions = Positions::new();
    positions
        .put
        .store(usize::MAX - 2, std::sync::atomic::Ordering::Relaxed);
    positions
        .taken
        .store(usize::MAX - 2, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(positions.add(10), Wake::NotNeeded);
    assert_eq!(
        (positions.available(), positions.free()),
        (10, Ok(CAPACITY_BYTES - 10))
    );
    assert_eq!(positions.take(7), Wake::NotNeeded);
    assert_eq!(
        (positions.available(), positions.free()),
        (3, Ok(CAPACITY_BYTES - 3))
    );
}

/// Two threads, which sleep as the positions say; the bytes go through a queue that counts what is in it.
#[test]
fn a_reader_and_a_writer_in_two_threads_finish_and_the_bytes_are_in_order() {
    const TOTAL: usize = 20 * CAPACITY_BYTES + 12_345;
    let shared = Arc::new((Positions::new(), Mutex::new(VecDeque::new())));
    let me = thread::current();
    let writer = {
        let shared = shared.clone();
        thread::spawn(move || {
            let (positions, bytes) = &*shared;
            let mut next = 0;
            while next < TOTAL {
                let wanted = (TOTAL - next).min(next % 70_001 + 1);
                let Some(free) = positions.free_or_wait(wanted) else {
                    thread::park();
                    continue;
                };
                let len = free.unwrap().min(wanted);
                bytes
                    .lock()
                    .unwrap()
                    .extend((next..next + len).map(|index| index as u8));
                next += len;
                if positions.add(len) == Wake::Needed {
                    me.unpark();
                }
            }
            positions.close_writing();
            me.unpark();
        })
    };
    let (positions, bytes) = &*shared;
    let mut next = 0;
    loop {
        let len = match positions.available_or_wait() {
            None => {
                thread::park();
                continue;
            }
            Some(0) => break,
            Some(available) => available.min(next % 50_021 + 1),
        };
        let mut bytes = bytes.lock().unwrap();
        assert!(
            bytes.len() <= CAPACITY_BYTES
                && bytes
                    .drain(..len)
                    .eq((next..next + len).map(|index| index as u8))
        );
        drop(bytes);
        next += len;
        if positions.take(len) == Wake::Needed {
            writer.thread().unpark();
        }
    }
    writer.join().unwrap();
    assert_eq!(next, TOTAL);
}
