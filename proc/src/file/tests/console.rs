use abi::Errno;

use super::super::{LineQueue, QueueFull, ReadBuffer};

fn read(lines: &LineQueue, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let len = lines.read(&mut ReadBuffer::Kernel(&mut bytes))?;
    bytes.truncate(len);
    Ok(bytes)
}

#[test]
fn a_read_ends_with_the_line() {
    let lines = LineQueue::new();
    lines.push(b"first\n").unwrap();
    lines.push(b"second\n").unwrap();
    assert_eq!(read(&lines, 100).unwrap(), b"first\n");
    assert_eq!(read(&lines, 100).unwrap(), b"second\n");
}

#[test]
fn a_line_longer_than_the_buffer_comes_in_parts() {
    let lines = LineQueue::new();
    let line = super::pattern(300, 0);
    lines.push(&line).unwrap();
    lines.push(b"next\n").unwrap();
    let parts = [7, 200, 200].map(|len| read(&lines, len).unwrap());
    assert_eq!(parts.concat(), line);
    assert_eq!(read(&lines, 200).unwrap(), b"next\n");
}

#[test]
fn an_end_of_file_is_seen_once_and_only_by_a_read_that_wants_bytes() {
    let lines = LineQueue::new();
    lines.push(b"").unwrap();
    lines.push(b"more\n").unwrap();
    assert_eq!(read(&lines, 0).unwrap(), b"");
    assert_eq!(read(&lines, 10).unwrap(), b"");
    assert_eq!(read(&lines, 10).unwrap(), b"more\n");
}

#[test]
fn lines_that_find_no_room_are_dropped_whole() {
    let lines = LineQueue::new();
    let line = super::pattern(998, 0);
    assert_eq!(
        [(); 5].map(|()| lines.push(&line).is_ok()),
        [true, true, true, true, false]
    );
    assert_eq!(lines.push(&[0; 5000]), Err(QueueFull));
    assert_eq!(lines.push(&[0; 70_000]), Err(QueueFull));
    for round in 0..20 {
        assert_eq!(read(&lines, 1000).unwrap(), line, "{round}");
        lines.push(&line).unwrap();
    }
}

#[test]
fn lines_that_nobody_has_begun_to_read_can_be_taken_back() {
    let lines = LineQueue::new();
    let taken_back = || {
        let mut bytes = Vec::new();
        lines.take_unread(|byte| bytes.push(byte));
        bytes
    };
    for line in [&b"begun\n"[..], b"one\n", b"", b"two\n"] {
        lines.push(line).unwrap();
    }
    assert_eq!(read(&lines, 2).unwrap(), b"be");
    assert_eq!(taken_back(), b"one\ntwo\n");
    assert_eq!(taken_back(), b"");
    lines.push(b"later\n").unwrap();
    assert_eq!(read(&lines, 100).unwrap(), b"gun\n");
    assert_eq!(read(&lines, 100).unwrap(), b"later\n");
    // Round the end of the ring.
    for round in 0..300 {
        let line = super::pattern(50, round);
        lines.push(&line).unwrap();
        assert_eq!(taken_back(), line, "{round}");
    }
}
