//! The pipe that all processes have in common. Each test leaves it empty.

use abi::layout::PAGE_SIZE;
use abi::{COMMON_PIPE_LEN, decode};
use ulib::{Errno, ExitStatus, Signal, common_pipe, process, system_call};

use crate::check::{LONELY_PAGE_END, join, kill, lonely_page, ok, start};
use crate::pointers::BAD_ADDRESSES;
use crate::runner::tests;

tests![
    piperead_waits_for_a_pipewrite,
    a_long_pipewrite_comes_out_whole_and_in_order,
    empty_pipereads_and_pipewrites_do_not_wait,
    what_many_put_into_the_common_pipe_is_not_mixed,
    a_bad_piperead_takes_nothing_out,
    a_bad_pipewrite_puts_nothing_in,
    a_pipewrite_that_crosses_into_nothing_is_refused,
    a_reader_and_a_writer_that_wait_can_be_killed,
];

fn pattern(position: usize) -> u8 {
    (position ^ (position >> 8)) as u8
}

fn piperead_waits_for_a_pipewrite() {
    let start_ns = process::clock_ns();
    let child = start(|| {
        process::sleep_ms(20);
        assert_eq!(common_pipe::write(b"12345"), Ok(5));
    });
    let mut buffer = [0; 3];
    assert_eq!(common_pipe::read(&mut buffer), Ok(3));
    assert_eq!(&buffer, b"123");
    assert!(process::clock_ns() - start_ns >= 20_000_000);
    assert_eq!(common_pipe::read(&mut buffer), Ok(2));
    assert_eq!(&buffer[..2], b"45");
    join(child);
}

fn a_long_pipewrite_comes_out_whole_and_in_order() {
    const TOTAL: usize = 20_000;
    const BUFFER_LEN: usize = 2 * COMMON_PIPE_LEN;
    let child = start(|| {
        let bytes: alloc::vec::Vec<u8> = (0..TOTAL).map(pattern).collect();
        assert_eq!(common_pipe::write(&bytes), Ok(TOTAL));
    });
    let mut buffer = [0; BUFFER_LEN];
    let mut position = 0;
    for wanted in (0..).map(|round| 1 + round * 131 % BUFFER_LEN) {
        let wanted = wanted.min(TOTAL - position);
        let len = ok(common_pipe::read(&mut buffer[..wanted]));
        for (index, &byte) in buffer[..len].iter().enumerate() {
            assert_eq!(byte, pattern(position + index), "byte {}", position + index);
        }
        position += len;
        if position == TOTAL {
            break;
        }
    }
    join(child);
}

fn empty_pipereads_and_pipewrites_do_not_wait() {
    assert_eq!(common_pipe::read(&mut []), Ok(0));
    assert_eq!(common_pipe::write(&[]), Ok(0));
}

fn what_many_put_into_the_common_pipe_is_not_mixed() {
    const WRITERS: usize = 6;
    const RECORDS: usize = 50;
    const LEN: usize = 100;
    let children = core::array::from_fn::<_, WRITERS, _>(|number| {
        let record = [number as u8; LEN];
        start(|| (0..RECORDS).for_each(|_| assert_eq!(common_pipe::write(&record), Ok(LEN))))
    });
    let mut counts = [0; WRITERS];
    for _ in 0..WRITERS * RECORDS {
        let (mut record, mut len) = ([0; LEN], 0);
        while len < LEN {
            len += ok(common_pipe::read(&mut record[len..]));
        }
        let first = record[0];
        assert!(
            record.iter().all(|&byte| byte == first),
            "a record is mixed"
        );
        counts[usize::from(first)] += 1;
    }
    assert_eq!(counts, [RECORDS; WRITERS]);
    children.into_iter().for_each(join);
}

fn a_bad_piperead_takes_nothing_out() {
    ok(common_pipe::write(b"12345678"));
    for (what, address) in BAD_ADDRESSES {
        // SAFETY: the kernel cannot write there.
        let result = unsafe { system_call::piperead(address as *mut u8, 8) };
        assert_eq!(decode(result), Err(Errno::EFAULT), "{what}");
    }
    let _page = lonely_page();
    // SAFETY: the kernel writes into the page of this test at most.
    let result = unsafe { system_call::piperead((LONELY_PAGE_END - 4) as *mut u8, 8) };
    assert_eq!(decode(result), Err(Errno::EFAULT));
    let mut buffer = [0; 16];
    assert_eq!(common_pipe::read(&mut buffer), Ok(8), "bytes are lost");
    assert_eq!(&buffer[..8], b"12345678");
}

fn a_bad_pipewrite_puts_nothing_in() {
    for (what, address) in BAD_ADDRESSES {
        for len in [1, 8, PAGE_SIZE + 1] {
            // SAFETY: the kernel only reads.
            let result = unsafe { system_call::pipewrite(address as *const u8, len) };
            assert_eq!(decode(result), Err(Errno::EFAULT), "{what}");
        }
    }
    expect_empty();
}

fn a_pipewrite_that_crosses_into_nothing_is_refused() {
    let _page = lonely_page();
    // SAFETY: the kernel only reads.
    let result = unsafe { system_call::pipewrite((LONELY_PAGE_END - 4) as *const u8, 8) };
    assert_eq!(decode(result), Err(Errno::EFAULT));
    expect_empty();
}

/// A reader finds nothing until this has put something in.
#[track_caller]
fn expect_empty() {
    ok(common_pipe::write(b"x"));
    let mut buffer = [0; 16];
    assert_eq!(common_pipe::read(&mut buffer), Ok(1));
    assert_eq!(buffer[0], b'x');
}

fn a_reader_and_a_writer_that_wait_can_be_killed() {
    let reader = start(|| {
        ok(common_pipe::read(&mut [0]));
    });
    process::sleep_ms(20);
    kill(reader);
    ok(common_pipe::write(&[7; COMMON_PIPE_LEN]));
    let writer = start(|| {
        ok(common_pipe::write(b"more"));
    });
    process::sleep_ms(20);
    ok(process::kill(writer, Signal::SIGTERM));
    assert_eq!(
        process::wait(writer),
        Ok(ExitStatus::killed(Signal::SIGTERM))
    );
    let mut buffer = [0; COMMON_PIPE_LEN];
    assert_eq!(common_pipe::read(&mut buffer), Ok(COMMON_PIPE_LEN));
    expect_empty();
}
