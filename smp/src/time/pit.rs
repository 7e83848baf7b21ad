//! Channel 2 of the PC's interval timer as a clock of known speed: it counts down, touches no interrupt, and every PC
//! and emulator has it.
//!
//! It counts 16 bits once round in 55 ms; that it has not gone round shows in its output, which the same command reads.

use x86_64::instructions::port::Port;

/// Ticks per second.
pub(super) const HZ: u64 = 1_193_182;

const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
const GATE: u16 = 0x61;

/// Channel 2 (bits 6 and 7), both bytes (4 and 5), mode 0: the output rises when the count has run out.
const COUNT_DOWN_ONCE: u8 = 0b1011_0000;
/// Read back (bits 6 and 7) count and status of channel 2 (bit 3).
const LATCH_COUNT_AND_STATUS: u8 = 0b1100_1000;
const STATUS_OUTPUT: u8 = 1 << 7;
const STATUS_NOT_LOADED: u8 = 1 << 6;

const GATE_OPEN: u8 = 1 << 0;
const SPEAKER_ON: u8 = 1 << 1;

const START_COUNT: u16 = u16::MAX;

/// Starts the count.
pub(super) fn start() {
    let [low, high] = START_COUNT.to_le_bytes();
    // SAFETY: these ports belong to the interval timer and to the gate of its channel 2, which nobody else uses; they
    // touch no memory.
    unsafe {
        let gate = Port::<u8>::new(GATE).read();
        Port::<u8>::new(GATE).write(gate & !SPEAKER_ON | GATE_OPEN);
        Port::<u8>::new(COMMAND).write(COUNT_DOWN_ONCE);
        Port::<u8>::new(CHANNEL_2).write(low);
        Port::<u8>::new(CHANNEL_2).write(high);
    }
}

/// Ticks since [`start`]; `None` once the count has gone round.
pub(super) fn ticks() -> Option<u16> {
    // SAFETY: as in `start`.
    let (status, count) = unsafe {
        Port::<u8>::new(COMMAND).write(LATCH_COUNT_AND_STATUS);
        let mut channel = Port::<u8>::new(CHANNEL_2);
        (
            channel.read(),
            u16::from_le_bytes([channel.read(), channel.read()]),
        )
    };
    match status & (STATUS_OUTPUT | STATUS_NOT_LOADED) {
        0 => Some(START_COUNT - count),
        STATUS_NOT_LOADED => Some(0),
        _ => None,
    }
}
