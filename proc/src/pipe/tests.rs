use abi::Errno;
use mm::frame::{FrameKind, accounts};
use mm::hw::host::machine;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::positions::CAPACITY_BYTES;
use super::{PipeReader, PipeWriter, new_pipe};
use crate::file::{ReadBuffer, WriteBuffer};

fn write(writer: &PipeWriter, bytes: &[u8]) -> Result<usize, Errno> {
    writer.write(&mut WriteBuffer::Kernel(bytes))
}

fn read(reader: &PipeReader, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0xee; len];
    let len = reader.read(&mut ReadBuffer::Kernel(&mut bytes))?;
    bytes.truncate(len);
    Ok(bytes)
}

fn pattern(start: usize, len: usize) -> Vec<u8> {
    (start..start + len)
        .map(|index| (index * 31 + index / 256) as u8)
        .collect()
}

#[test]
fn bytes_come_out_as_they_went_in_however_they_are_cut() {
    let _machine = machine();
    let (reader, writer) = new_pipe().unwrap();
    assert_eq!(write(&writer, b"hello, "), Ok(7));
    assert_eq!(write(&writer, b"world"), Ok(5));
    assert_eq!(read(&reader, 3).unwrap(), b"hel");
    assert_eq!(read(&reader, 100).unwrap(), b"lo, world");
}

#[test]
fn a_pipe_takes_a_page_for_short_messages_and_gives_all_back() {
    let _machine = machine();
    let before = accounts().in_use(FrameKind::Pipe);
    let (reader, writer) = new_pipe().unwrap();
    assert_eq!(accounts().in_use(FrameKind::Pipe), before);
    for round in 0..50 {
        write(&writer, &pattern(round, 10)).unwrap();
        assert_eq!(read(&reader, 100).unwrap(), pattern(round, 10));
    }
    assert_eq!(accounts().in_use(FrameKind::Pipe), before + 1);
    write(&writer, &pattern(0, CAPACITY_BYTES)).unwrap();
    assert_eq!(accounts().in_use(FrameKind::Pipe), before + 16);
    drop(reader);
    drop(writer);
    assert_eq!(accounts().in_use(FrameKind::Pipe), before);
}

#[test]
fn what_was_written_before_the_last_writer_left_is_read_and_then_the_end() {
    let _machine = machine();
    let (reader, writer) = new_pipe().unwrap();
    write(&writer, b"last words").unwrap();
    drop(writer);
    assert_eq!(read(&reader, 4).unwrap(), b"last");
    assert_eq!(read(&reader, 100).unwrap(), b" words");
    assert_eq!(
        (read(&reader, 100), read(&reader, 1)),
        (Ok(vec![]), Ok(vec![]))
    );
}

#[test]
fn without_a_reader_writing_fails_though_there_is_room() {
    let _machine = machine();
    let (reader, writer) = new_pipe().unwrap();
    write(&writer, b"unread").unwrap();
    drop(reader);
    assert_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    assert_eq!(write(&writer, b""), Ok(0));
}

#[test]
fn reading_no_bytes_does_not_wait() {
    let _machine = machine();
    let (reader, _writer) = new_pipe().unwrap();
    assert_eq!(read(&reader, 0).unwrap(), b"");
}

#[derive(Clone, Debug)]
enum Operation {
    Write(usize),
    Read(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let len = prop_oneof![
        1_usize..10,
        4090_usize..4100,
        1_usize..40_000,
        Just(CAPACITY_BYTES)
    ];
    (any::<bool>(), len).prop_map(|(is_write, len)| {
        if is_write {
            Operation::Write(len)
        } else {
            Operation::Read(len)
        }
    })
}

proptest! {
    #[test]
    fn a_pipe_is_a_queue_of_bytes(operations in vec(operation(), 1..50)) {
        let _machine = machine();
        let (reader, writer) = new_pipe().unwrap();
        let (mut written, mut taken) = (0, 0);
        for operation in operations {
            match operation {
                // Neither may wait here: there is nobody else.
                Operation::Write(len) => {
                    let len = len.min(CAPACITY_BYTES - (written - taken));
                    prop_assert_eq!(write(&writer, &pattern(written, len)), Ok(len));
                    written += len;
                }
                Operation::Read(len) if written > taken => {
                    let expected = len.min(written - taken);
                    prop_assert_eq!(read(&reader, len), Ok(pattern(taken, expected)));
                    taken += expected;
                }
                Operation::Read(_) => {}
            }
        }
    }
}
