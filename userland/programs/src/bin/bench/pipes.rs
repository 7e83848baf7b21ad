//! Rows about pipes.

extern crate alloc;

use alloc::vec;

use ulib::file::{self, File};
use ulib::process;

use crate::Setting;
use crate::measure::{best, row, start, wait};

/// Ends the partner of a ping-pong.
const QUIT: u8 = b'q';

/// One byte there and one back, between a process on CPU 0 and one on CPU `partner_cpu`.
pub(crate) fn pingpong(name: &str, setting: Setting, partner_cpu: usize) {
    let count = if partner_cpu == 0 { 2000 } else { 1000 };
    let (ping_reader, ping_writer) = pipe();
    let (pong_reader, pong_writer) = pipe();
    let partner = start(|| {
        process::pin(partner_cpu);
        let mut byte = [0];
        while ping_reader.read(&mut byte) == Ok(1)
            && byte != [QUIT]
            && pong_writer.write(&byte) == Ok(1)
        {}
        0
    });
    best(name, count / setting.scale + 1, || {
        let mut byte = [b'x'];
        let turn = (ping_writer.write(&byte), pong_reader.read(&mut byte));
        assert!(turn == (Ok(1), Ok(1)), "the ball is lost: {turn:?}");
    });
    assert_eq!(ping_writer.write(&[QUIT]), Ok(1));
    wait(partner);
}

/// Writes of 64 KiB by one process, read by another, on another CPU if there is one.
pub(crate) fn bandwidth(name: &str, setting: Setting, _: usize) {
    const CHUNK: usize = 64 * 1024;
    let total = 64 * 1024 * 1024 / setting.scale;
    let (reader, writer) = pipe();
    let mut buffer = vec![0; CHUNK];
    let child = start(|| {
        process::pin(usize::from(setting.cpus > 1));
        let mut sent = 0;
        while sent < total && writer.write(&buffer).is_ok() {
            sent += CHUNK;
        }
        0
    });
    drop(writer);
    let start_ns = process::clock_ns();
    let mut received = 0;
    while let Ok(len @ 1..) = reader.read(&mut buffer) {
        received += len;
    }
    let duration_ns = process::clock_ns() - start_ns;
    row(
        name,
        received as f64 / 1_048_576.0 * 1e9 / duration_ns as f64,
        "MiB/s",
    );
    wait(child);
}

fn pipe() -> (File, File) {
    match file::pipe() {
        Ok(ends) => ends,
        Err(errno) => panic!("no pipe: {errno}"),
    }
}
