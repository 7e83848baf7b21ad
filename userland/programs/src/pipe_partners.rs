//! What `pipewriter` and `pipereader` have in common: the messages, how to find each other, and what they tell.

use core::fmt::Write;

use ulib::{Arguments, Errno, ExitStatus, FixedString, Pid, println, process};

/// The bytes of a message.
pub const MESSAGE_LEN: usize = 32;

/// The second argument of a program whose partner is there already.
const ALONE: &str = "--alone";

/// How many messages, and the partner, if it was started here.
pub struct Meeting {
    /// Messages to be sent.
    pub messages: usize,
    partner: Option<Pid>,
}

/// Starts `partner`, unless the arguments (`[MESSAGES [--alone]]`) say that it is there.
///
/// # Errors
/// Those of the system call `spawn_with`.
pub fn meet(arguments: Arguments, partner: &str) -> Result<Meeting, Errno> {
    let messages = arguments.number(1, 10);
    let partner = if arguments.get(2) == Some(ALONE) {
        None
    } else {
        let mut argument = FixedString::<64>::new();
        write!(argument, "{messages} {ALONE}").map_err(|_| Errno::E2BIG)?;
        Some(process::spawn_with(partner, argument.as_str())?)
    };
    Ok(Meeting { messages, partner })
}

/// The text of message `number`.
pub fn message(number: usize) -> [u8; MESSAGE_LEN] {
    let mut text = FixedString::<MESSAGE_LEN>::new();
    writeln!(text, "{number:06} from writer to reader...").expect("a message has a fixed length");
    let mut bytes = [0; MESSAGE_LEN];
    bytes.copy_from_slice(text.as_str().as_bytes());
    bytes
}

/// Moves all of a message by calls of `call`, which is told what is left from which byte on, and asked again when it
/// fails with `EAGAIN`. Returns how many calls it took.
///
/// # Errors
/// Any other one of `call`.
pub fn move_message(mut call: impl FnMut(usize) -> Result<usize, Errno>) -> Result<usize, Errno> {
    let (mut moved, mut calls) = (0, 0);
    while moved < MESSAGE_LEN {
        calls += 1;
        match call(moved) {
            Ok(len) => moved += len,
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(calls)
}

impl Meeting {
    /// Tells how many calls it took, and waits for the partner, which must have fared well.
    ///
    /// # Errors
    /// Those of the system call `waitpid`.
    pub fn end(self, calls: usize) -> Result<(), Errno> {
        println!(
            "{}: {} messages in {calls} calls, {} a message",
            ulib::program_name(),
            self.messages,
            calls.div_ceil(self.messages.max(1))
        );
        if let Some(partner) = self.partner {
            let status = process::wait(partner)?;
            assert!(
                status == ExitStatus::exited(0),
                "the partner ended with {status}"
            );
        }
        Ok(())
    }
}
