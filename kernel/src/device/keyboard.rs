//! The keyboard: from scan codes to the bytes that a serial terminal would send for the same keys.
//!
//! Source: the keyboard controller (8042) of the IBM PC AT, "Technical Reference".

use pc_keyboard::layouts::Us104Key;
use pc_keyboard::{DecodedKey, HandleControl, KeyCode, PS2Keyboard, ScancodeSet1};
use smp::lock::SpinLock;
use smp::rank;
use x86_64::instructions::port::Port;

const DATA_PORT: u16 = 0x60;
const STATUS_PORT: u16 = 0x64;
/// In the status: a byte is waiting.
const OUTPUT_FULL: u8 = 1;
/// In the status: that byte is the mouse's.
const FROM_MOUSE: u8 = 1 << 5;

static KEYBOARD: SpinLock<PS2Keyboard<Us104Key, ScancodeSet1>, rank::ConsoleInput> =
    SpinLock::new(PS2Keyboard::new(
        ScancodeSet1::new(),
        Us104Key,
        HandleControl::MapLettersToUnicode,
    ));

/// Hands the bytes of all keys that have been pressed to `receive`.
pub(crate) fn drain(mut receive: impl FnMut(u8)) {
    while let Some(scan_code) = read() {
        let mut keyboard = KEYBOARD.lock();
        let key = keyboard
            .add_byte(scan_code)
            .ok()
            .flatten()
            .and_then(|event| keyboard.process_keyevent(event));
        drop(keyboard);
        match key {
            Some(DecodedKey::Unicode('\n')) => receive(b'\r'),
            Some(DecodedKey::Unicode(character)) => {
                let mut buffer = [0; 4];
                character
                    .encode_utf8(&mut buffer)
                    .bytes()
                    .for_each(&mut receive);
            }
            Some(DecodedKey::RawKey(code)) => {
                escape_sequence(code).iter().copied().for_each(&mut receive)
            }
            None => {}
        }
    }
}

fn escape_sequence(code: KeyCode) -> &'static [u8] {
    match code {
        KeyCode::ArrowUp => b"\x1b[A",
        KeyCode::ArrowDown => b"\x1b[B",
        KeyCode::ArrowRight => b"\x1b[C",
        KeyCode::ArrowLeft => b"\x1b[D",
        _ => b"",
    }
}

fn read() -> Option<u8> {
    // SAFETY: the keyboard controller's ports; reading a byte that is there takes it away, and a machine without the
    // controller reads ones, which look like a byte of the mouse.
    unsafe {
        let status = Port::<u8>::new(STATUS_PORT).read();
        let waits = status & (OUTPUT_FULL | FROM_MOUSE) == OUTPUT_FULL;
        waits.then(|| Port::<u8>::new(DATA_PORT).read())
    }
}
