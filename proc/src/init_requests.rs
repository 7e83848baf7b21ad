//! What the kernel asks of `init`: to start a program and to say how it ends, over two pipes. `abi::init` is the
//! contract.
//!
//! The program is then a child of `init`, like every program of a machine without a kernel shell.

use alloc::sync::Arc;

use abi::{Errno, ExitStatus, decode, init};
use spin::Once;

use crate::file::{Descriptors, OpenFile, ReadBuffer, WriteBuffer};
use crate::thread::Id;

/// The kernel's ends of the pipes.
struct Channel {
    requests: Arc<OpenFile>,
    answers: Arc<OpenFile>,
}

static CHANNEL: Once<Channel> = Once::new();

/// Gives `descriptors`, those of `init`, which have nothing but the console yet, their ends of the pipes.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn connect(descriptors: &Descriptors) -> Result<(), Errno> {
    let take = |number| -> Result<Arc<OpenFile>, Errno> {
        let file = descriptors.file(number)?;
        descriptors.close(number)?;
        Ok(file)
    };
    // Each pipe takes the lowest free numbers, 3 and up: the end that the kernel takes out of the first leaves a hole.
    let (mut answers, mut requests) = (None, None);
    descriptors.pipe(|[reader, writer]| {
        debug_assert_eq!(writer, init::ANSWERS);
        answers = Some(take(reader)?);
        Ok(())
    })?;
    descriptors.pipe(|[reader, writer]| {
        debug_assert_eq!(reader, init::REQUESTS);
        requests = Some(take(writer)?);
        Ok(())
    })?;
    if let (Some(requests), Some(answers)) = (requests, answers) {
        CHANNEL.call_once(|| Channel { requests, answers });
    }
    Ok(())
}

/// Waits until `init` waits for requests, and does nothing else any more. Once, before the first request.
///
/// # Errors
/// `EIO` if it says something else; `EINTR` if the caller is to end.
pub fn wait_until_ready() -> Result<(), Errno> {
    let channel = CHANNEL.get().ok_or(Errno::ENODEV)?;
    match channel.read_answer()? {
        init::READY => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// Has `init` start the program `name`, hands its id to `started`, and waits for its end. One thread at a time may ask:
/// that of the kernel shell that reads commands.
///
/// # Errors
/// Those of [`spawn`](crate::spawn::spawn), `E2BIG` if the request is too long, and `EINTR` if the caller is to end.
pub fn run(name: &str, argument: &str, started: impl FnOnce(Id)) -> Result<ExitStatus, Errno> {
    let channel = CHANNEL.get().ok_or(Errno::ENODEV)?;
    let mut request = [0; init::REQUEST_MAX];
    let blank = if argument.is_empty() { "" } else { " " };
    let len = name.len() + blank.len() + argument.len();
    let bytes = name.bytes().chain(blank.bytes()).chain(argument.bytes());
    let request = request.get_mut(..len).ok_or(Errno::E2BIG)?;
    for (place, byte) in request.iter_mut().zip(bytes) {
        *place = byte;
    }
    channel.requests.write(WriteBuffer::Kernel(request))?;
    let child = decode(channel.read_answer()? as isize)?;
    started(child as Id);
    ExitStatus::from_raw(channel.read_answer()?).ok_or(Errno::EIO)
}

impl Channel {
    /// The next number, which `init` writes in one piece.
    fn read_answer(&self) -> Result<i32, Errno> {
        let mut bytes = [0; size_of::<i32>()];
        match self.answers.read(ReadBuffer::Kernel(&mut bytes))? {
            size if size == size_of::<i32>() => Ok(i32::from_ne_bytes(bytes)),
            _ => Err(Errno::EIO),
        }
    }
}
