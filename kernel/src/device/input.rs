//! What is typed: to the kernel shell byte by byte, to programs line by line.
//!
//! While the kernel shell waits for a key, it gets every byte and does its own editing. Otherwise the line discipline
//! collects a line, with echo, backspace, Ctrl-U (starts the line again), Ctrl-D (end of file) and Ctrl-C (SIGINT
//! for the program in the foreground), and hands it to whoever reads from the console.

use abi::{Pid, Signal};
use proc::file::LineQueue;
use proc::signal::send;
use proc::wait::{Interrupted, WaitQueue};
use smp::lock::SpinLock;
use smp::rank;

use super::{console, keyboard, serial};

const LINE_MAX: usize = 256;
const KEYS_MAX: usize = 256;

const CONTROL_C: u8 = 0x03;
const CONTROL_D: u8 = 0x04;
const CONTROL_U: u8 = 0x15;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// Who gets what is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreground {
    /// The kernel shell, key by key.
    KernelShell,
    /// A program, line by line; Ctrl-C ends it.
    Program(Pid),
    /// The program that the boot line names, line by line; Ctrl-C ends it, and whatever else `init` has for children.
    ChildrenOfInit,
}

struct Input {
    /// Keys for the kernel shell.
    keys: [u8; KEYS_MAX],
    keys_len: usize,
    /// The line that is being typed for a program.
    line: [u8; LINE_MAX],
    line_len: usize,
    foreground: Foreground,
}

static INPUT: SpinLock<Input, rank::Terminal> = SpinLock::new(Input {
    keys: [0; KEYS_MAX],
    keys_len: 0,
    line: [0; LINE_MAX],
    line_len: 0,
    foreground: Foreground::KernelShell,
});
static KEY_ARRIVED: WaitQueue = WaitQueue::new();
/// Lines for programs.
pub(crate) static LINES: LineQueue = LineQueue::new();

/// Takes in what has arrived on the serial line and from the keyboard. Runs on a thread or in the idle loop, whenever a
/// device has interrupted.
pub(crate) fn serve_devices() {
    while let Some(byte) = serial::read_console() {
        receive(byte);
    }
    keyboard::drain(receive);
}

/// Says who gets what is typed from now on.
pub(crate) fn set_foreground(foreground: Foreground) {
    INPUT.lock().foreground = foreground;
}

/// Waits for the next key.
///
/// # Errors
/// [`Interrupted`] if the thread is being killed.
pub(crate) fn read_key() -> Result<u8, Interrupted> {
    KEY_ARRIVED.wait_until(|| INPUT.lock().take_key())
}

/// The next key, if one has been pressed.
pub(crate) fn take_key() -> Option<u8> {
    INPUT.lock().take_key()
}

impl Input {
    fn take_key(&mut self) -> Option<u8> {
        let key = *self.keys[..self.keys_len].first()?;
        self.keys.copy_within(1..self.keys_len, 0);
        self.keys_len -= 1;
        Some(key)
    }

    /// Keys that nobody reads are lost when there are too many.
    fn add_key(&mut self, key: u8) {
        if let Some(place) = self.keys.get_mut(self.keys_len) {
            *place = key;
            self.keys_len += 1;
        }
    }
}

fn receive(byte: u8) {
    let mut input = INPUT.lock();
    let foreground = input.foreground;
    if foreground == Foreground::KernelShell {
        input.add_key(byte);
        drop(input);
        KEY_ARRIVED.wake_one();
        return;
    }
    match byte {
        CONTROL_C => {
            input.line_len = 0;
            drop(input);
            console::write(b"^C\n");
            interrupt(foreground);
        }
        CONTROL_D => finish_line(input),
        CONTROL_U => {
            let len = core::mem::take(&mut input.line_len);
            drop(input);
            (0..len).for_each(|_| console::write(b"\x08 \x08"));
        }
        BACKSPACE | DELETE => {
            if input.line_len > 0 {
                input.line_len -= 1;
                drop(input);
                console::write(b"\x08 \x08");
            }
        }
        b'\r' | b'\n' => {
            let len = input.line_len;
            input.line[len] = b'\n';
            input.line_len += 1;
            finish_line(input);
            console::write(b"\n");
        }
        // One place is kept for the line feed.
        _ if input.line_len + 1 < LINE_MAX => {
            let len = input.line_len;
            input.line[len] = byte;
            input.line_len += 1;
            drop(input);
            console::write(&[byte]);
        }
        _ => drop(input),
    }
}

/// Sends SIGINT to the programs in the foreground.
fn interrupt(foreground: Foreground) {
    match foreground {
        Foreground::KernelShell => {}
        // It may have ended just now: then there is nobody to end.
        Foreground::Program(program) => drop(send::kill(program, Signal::SIGINT)),
        Foreground::ChildrenOfInit => send::kill_children(abi::INIT_PID, Signal::SIGINT),
    }
}

/// Hands the line over. One that finds no room is lost, as on any terminal.
fn finish_line(mut input: smp::lock::SpinGuard<'_, Input, rank::Terminal>) {
    let (line, len) = (input.line, core::mem::take(&mut input.line_len));
    drop(input);
    let _ = LINES.push(&line[..len]);
}
