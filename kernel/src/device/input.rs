//! What is typed: to the kernel shell byte by byte, to programs line by line.
//!
//! While the kernel shell waits for a key, it gets every byte and does its own editing. Otherwise the line discipline
//! collects a line and hands it to whoever reads from the console, so that every program has what a shell needs: echo,
//! the arrow keys, earlier lines and backspace ([`LineEditor`]), Ctrl-U (takes back what is before the cursor), Ctrl-D
//! (hands over what there is: of an empty line that is an end of file) and Ctrl-C (SIGINT for the program in the
//! foreground).

use alloc::boxed::Box;

use abi::{Pid, Signal};
use mm::NoMemory;
use proc::file::LineQueue;
use proc::signal::send;
use proc::wait::{Interrupted, WaitQueue};
use smp::lock::{SpinGuard, SpinLock};
use smp::rank;

use super::line_editor::{self, LineEditor};
use super::{console, keyboard, serial};

/// A line and its end.
const LINE_BYTES: usize = line_editor::LINE_MAX + 1;
const KEYS_MAX: usize = 4096;

const CONTROL_C: u8 = 0x03;
const CONTROL_D: u8 = 0x04;
const CONTROL_U: u8 = 0x15;
const BACKSPACE: u8 = 0x08;
const BELL: u8 = 0x07;

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
    /// Keys for the kernel shell. Those that nobody reads are lost when there are too many.
    keys: heapless::Deque<u8, KEYS_MAX>,
    /// Has the line that is being typed for a program.
    editor: Option<Box<LineEditor>>,
    foreground: Foreground,
}

static INPUT: SpinLock<Input, rank::Terminal> = SpinLock::new(Input {
    keys: heapless::Deque::new(),
    editor: None,
    foreground: Foreground::KernelShell,
});
static KEY_ARRIVED: WaitQueue = WaitQueue::new();
/// Lines for programs.
pub(crate) static LINES: LineQueue = LineQueue::new();

/// Lets lines be typed.
///
/// Needs: the heap.
///
/// # Errors
/// [`NoMemory`].
pub(super) fn init() -> Result<(), NoMemory> {
    let editor = mm::heap::try_box(LineEditor::new())?;
    INPUT.lock().editor = Some(editor);
    Ok(())
}

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
    let mut input = INPUT.lock();
    input.foreground = foreground;
    if foreground == Foreground::KernelShell {
        input.hand_to_kernel_shell();
    }
}

/// Waits for the next key.
///
/// # Errors
/// [`Interrupted`] if the thread is being killed.
pub(crate) fn read_key() -> Result<u8, Interrupted> {
    KEY_ARRIVED.wait_until(|| INPUT.lock().keys.pop_front())
}

/// The next key, if one has been pressed.
pub(crate) fn take_key() -> Option<u8> {
    INPUT.lock().keys.pop_front()
}

impl Input {
    /// What was typed ahead, to a program that has not read it, is the kernel shell's.
    fn hand_to_kernel_shell(&mut self) {
        let Input { keys, editor, .. } = self;
        let mut add_key = |key| {
            let _ = keys.push_back(key);
        };
        LINES.take_unread(&mut add_key);
        if let Some(editor) = editor {
            editor.finish().bytes().for_each(add_key);
        }
    }
}

fn receive(byte: u8) {
    let mut input = INPUT.lock();
    let foreground = input.foreground;
    if foreground == Foreground::KernelShell {
        let _ = input.keys.push_back(byte);
        drop(input);
        KEY_ARRIVED.wake_one();
        return;
    }
    let Some(editor) = input.editor.as_mut() else {
        return;
    };
    match byte {
        CONTROL_C => {
            editor.clear();
            // What was typed ahead was for the program that ends now.
            LINES.take_unread(|_| ());
            drop(input);
            console::write(b"^C\n");
            interrupt(foreground);
        }
        CONTROL_D => finish_line(input, b""),
        CONTROL_U => {
            drop(input);
            take_back();
        }
        b'\r' | b'\n' => {
            finish_line(input, b"\n");
            console::write(b"\n");
        }
        key => {
            let echo = editor.edit(key);
            drop(input);
            console::write(&echo);
        }
    }
}

/// Takes back what is before the cursor, until the editor complains that there is nothing.
fn take_back() {
    for _ in 0..line_editor::LINE_MAX {
        let mut input = INPUT.lock();
        let echo = input.editor.as_mut().map(|editor| editor.edit(BACKSPACE));
        drop(input);
        match echo {
            Some(echo) if *echo != [BELL] => console::write(&echo),
            _ => return,
        }
    }
}

/// Sends SIGINT to the programs in the foreground.
fn interrupt(foreground: Foreground) {
    match foreground {
        Foreground::KernelShell => {}
        // It may have ended just now: then there is nobody to end, unless its id has come round already, which takes as
        // many processes as the table has entries.
        Foreground::Program(program) => drop(send::kill(program, Signal::SIGINT)),
        Foreground::ChildrenOfInit => send::kill_children(abi::INIT_PID, Signal::SIGINT),
    }
}

/// Hands the line over, with `end` behind it. One that finds no room is lost, as on any terminal.
fn finish_line(mut input: SpinGuard<'_, Input, rank::Terminal>, end: &[u8]) {
    let Some(line) = input.editor.as_mut().map(|editor| editor.finish()) else {
        return;
    };
    let mut bytes = heapless::Vec::<u8, LINE_BYTES>::new();
    // There is room for both.
    let whole = [line.as_bytes(), end].map(|part| bytes.extend_from_slice(part));
    if whole == [Ok(()); 2] {
        // Before `input` is given back: whoever takes the foreground meanwhile finds the line here or there.
        let _ = LINES.push(&bytes);
    }
}
