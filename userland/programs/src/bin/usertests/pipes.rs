//! Pipes.

use abi::{PIPE_ATOMIC, decode};
use ulib::file::{self, File};
use ulib::{Errno, Pid, process, system_call};

use crate::check::{KERNEL_TEXT, UNMAPPED, join, ok, start};
use crate::runner::tests;

tests![
    bytes_come_out_in_their_order,
    reading_waits_for_a_writer,
    reading_returns_what_there_is,
    the_end_comes_when_the_last_writer_has_gone,
    a_writer_without_reader_gets_epipe,
    a_waiting_writer_gets_epipe_when_the_reader_goes,
    a_waiting_reader_gets_the_end_when_the_writer_is_killed,
    small_writes_of_many_are_not_mixed,
    many_readers_get_each_byte_once,
    a_pipe_has_two_ends_with_one_direction_each,
    empty_reads_and_writes_do_not_wait,
    a_pipe_with_a_bad_pointer_leaves_no_descriptor,
    what_is_in_a_pipe_survives_its_writer,
    pipes_go_on_across_all_cpus,
];

fn pattern(position: usize) -> u8 {
    (position ^ (position >> 8) ^ (position >> 16)) as u8
}

fn bytes_come_out_in_their_order() {
    const TOTAL: usize = 1 << 20;
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        let mut position = 0;
        let mut buffer = alloc::vec![0; 70_000];
        // Lengths from 1 to 70,000.
        for len in (0..).map(|round| 1 + round * 7919 % 70_000) {
            let len = usize::min(len, TOTAL - position);
            (0..len).for_each(|index| buffer[index] = pattern(position + index));
            assert_eq!(writer.write(&buffer[..len]), Ok(len));
            position += len;
            if position == TOTAL {
                break;
            }
        }
    });
    drop(writer);
    let mut position = 0;
    let mut buffer = alloc::vec![0; 10_000];
    for wanted in (0..).map(|round| 1 + round * 3571 % 10_000) {
        let len = ok(reader.read(&mut buffer[..wanted]));
        for (index, &byte) in buffer[..len].iter().enumerate() {
            assert_eq!(byte, pattern(position + index), "byte {}", position + index);
        }
        position += len;
        if len == 0 {
            break;
        }
    }
    assert_eq!(position, TOTAL);
    join(child);
}

fn reading_waits_for_a_writer() {
    let (reader, writer) = ok(file::pipe());
    let start_ns = process::clock_ns();
    let child = start(|| {
        process::sleep_ms(20);
        ok(writer.write_all(b"x"));
    });
    assert_eq!(reader.read(&mut [0; 8]), Ok(1));
    assert!(process::clock_ns() - start_ns >= 20_000_000);
    join(child);
}

fn reading_returns_what_there_is() {
    let (reader, writer) = ok(file::pipe());
    ok(writer.write_all(b"12345"));
    let mut buffer = [0; 3];
    assert_eq!(reader.read(&mut buffer), Ok(3));
    assert_eq!(&buffer, b"123");
    assert_eq!(reader.read(&mut buffer), Ok(2));
}

fn the_end_comes_when_the_last_writer_has_gone() {
    let (reader, writer) = ok(file::pipe());
    let duplicate = ok(writer.duplicate());
    let children = [1, 2, 3].map(|delay_ms| {
        start(|| {
            process::sleep_ms(delay_ms);
            ok(duplicate.write_all(b"x"));
        })
    });
    drop((writer, duplicate));
    let mut buffer = [0; 8];
    assert_eq!(reader.read_full(&mut buffer), Ok(3));
    assert_eq!(reader.read(&mut buffer), Ok(0));
    assert_eq!(reader.read(&mut buffer), Ok(0), "the end stays");
    children.into_iter().for_each(join);
}

fn a_writer_without_reader_gets_epipe() {
    let (reader, writer) = ok(file::pipe());
    ok(writer.write_all(b"lost"));
    drop(reader);
    assert_eq!(writer.write(b"x"), Err(Errno::EPIPE));
}

fn a_waiting_writer_gets_epipe_when_the_reader_goes() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        process::sleep_ms(20);
        assert_eq!(reader.read(&mut [0; 10]), Ok(10));
        // Its end closes the last reader.
    });
    drop(reader);
    assert_eq!(
        file::write_all(writer.descriptor(), &alloc::vec![0; 1 << 20]),
        Err(Errno::EPIPE)
    );
    join(child);
}

fn a_waiting_reader_gets_the_end_when_the_writer_is_killed() {
    let (reader, writer) = ok(file::pipe());
    let holder = start(|| process::sleep_ms(1_000_000));
    let killer = start(|| {
        ok(file::close(writer.descriptor()));
        process::sleep_ms(20);
        ok(process::kill(holder, ulib::Signal::SIGKILL));
    });
    drop(writer);
    assert_eq!(reader.read(&mut [0]), Ok(0));
    join(killer);
    assert!(process::wait(holder).is_ok());
}

fn small_writes_of_many_are_not_mixed() {
    const WRITERS: usize = 8;
    const RECORDS: usize = 50;
    let (reader, writer) = ok(file::pipe());
    let children = core::array::from_fn::<Pid, WRITERS, _>(|number| {
        let record = [number as u8; PIPE_ATOMIC];
        start(|| (0..RECORDS).for_each(|_| assert_eq!(writer.write(&record), Ok(PIPE_ATOMIC))))
    });
    drop(writer);
    let (mut record, mut counts) = ([0; PIPE_ATOMIC], [0; WRITERS]);
    while ok(reader.read_full(&mut record)) == PIPE_ATOMIC {
        assert!(
            record.iter().all(|&byte| byte == record[0]),
            "a record is mixed"
        );
        counts[usize::from(record[0])] += 1;
    }
    assert_eq!(counts, [RECORDS; WRITERS]);
    children.into_iter().for_each(join);
}

fn many_readers_get_each_byte_once() {
    const READERS: usize = 4;
    const TOTAL: usize = 40_000;
    let (reader, writer) = ok(file::pipe());
    let (sums_reader, sums_writer) = ok(file::pipe());
    let children = [(); READERS].map(|()| {
        start(|| {
            ok(file::close(writer.descriptor()));
            let (mut sum, mut buffer) = (0_u64, [0; 97]);
            loop {
                match ok(reader.read(&mut buffer)) {
                    0 => break,
                    len => {
                        sum += buffer[..len]
                            .iter()
                            .map(|&byte| u64::from(byte))
                            .sum::<u64>()
                    }
                }
            }
            ok(sums_writer.write_all(&sum.to_ne_bytes()));
        })
    });
    let mut expected = 0;
    for position in (0..TOTAL).step_by(100) {
        let bytes = core::array::from_fn::<u8, 100, _>(|index| pattern(position + index));
        expected += bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        ok(writer.write_all(&bytes));
    }
    drop(writer);
    let mut total = 0;
    for _ in 0..READERS {
        let mut sum = [0; 8];
        assert_eq!(sums_reader.read_full(&mut sum), Ok(8));
        total += u64::from_ne_bytes(sum);
    }
    assert_eq!(total, expected);
    children.into_iter().for_each(join);
}

fn a_pipe_has_two_ends_with_one_direction_each() {
    let (reader, writer) = ok(file::pipe());
    assert_eq!(reader.write(b"x"), Err(Errno::EBADF));
    assert_eq!(writer.read(&mut [0]), Err(Errno::EBADF));
}

fn empty_reads_and_writes_do_not_wait() {
    let (reader, writer) = ok(file::pipe());
    assert_eq!(reader.read(&mut []), Ok(0));
    assert_eq!(writer.write(&[]), Ok(0));
}

fn a_pipe_with_a_bad_pointer_leaves_no_descriptor() {
    for address in [0, UNMAPPED, KERNEL_TEXT, usize::MAX - 3] {
        // SAFETY: the kernel cannot write there.
        let result = unsafe { system_call::pipe(address as *mut i32) };
        assert_eq!(decode(result), Err(Errno::EFAULT), "{address:#x}");
    }
    assert_eq!(ok(file::duplicate(0)).descriptor(), 3);
}

fn what_is_in_a_pipe_survives_its_writer() {
    let (reader, writer) = ok(file::pipe());
    join(start(|| ok(writer.write_all(b"testament"))));
    drop(writer);
    let mut buffer = [0; 16];
    assert_eq!(reader.read_full(&mut buffer), Ok(9));
    assert_eq!(&buffer[..9], b"testament");
}

/// A byte goes round a ring of processes, one on each CPU.
fn pipes_go_on_across_all_cpus() {
    const ROUNDS: usize = 20;
    let cpus = process::cpu_count().min(16);
    let (first_reader, first_writer) = ok(file::pipe());
    let mut children = alloc::vec::Vec::new();
    let mut input = first_reader;
    for cpu in 0..cpus {
        let (reader, writer) = ok(file::pipe());
        children.push(start(|| pass_on(cpu, ROUNDS, &input, &writer)));
        input = reader;
    }
    for round in 0..ROUNDS {
        let mut byte = [round as u8];
        ok(first_writer.write_all(&byte));
        assert_eq!(input.read(&mut byte), Ok(1));
        assert_eq!(usize::from(byte[0]), round + cpus);
    }
    children.into_iter().for_each(join);
}

fn pass_on(cpu: usize, rounds: usize, input: &File, output: &File) {
    process::pin(cpu);
    for _ in 0..rounds {
        let mut byte = [0];
        assert_eq!(input.read(&mut byte), Ok(1));
        ok(output.write_all(&[byte[0] + 1]));
    }
}
