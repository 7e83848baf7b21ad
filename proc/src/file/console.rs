//! The console as a file: what programs write goes to the kernel's console, what they read are lines typed there.

mod lines;

pub use self::lines::{LineQueue, QueueFull};

use abi::Errno;
use spin::Once;

use super::buffer::{ReadBuffer, WriteBuffer};
use super::pause_point;

/// What the kernel provides. Its line discipline puts finished lines into the queue.
pub trait Console: Sync {
    /// Shows `bytes`.
    fn write(&self, bytes: &[u8]);
    /// The lines that were typed and not yet read.
    fn lines(&self) -> &LineQueue;
}

/// How much is taken from the writer at a time: what is shown in one piece, even if several CPUs write.
const PIECE_BYTES: usize = 256;

static CONSOLE: Once<&'static dyn Console> = Once::new();

/// Makes `console` the one that programs see. At boot, once.
pub fn install_console(console: &'static dyn Console) {
    CONSOLE.call_once(|| console);
}

/// Reads a line, or as much of it as `buffer` takes; waits for one if there is none.
pub(super) fn read(buffer: &mut ReadBuffer<'_>) -> Result<usize, Errno> {
    CONSOLE.get().ok_or(Errno::ENODEV)?.lines().read(buffer)
}

/// Shows all of `buffer`. If some of it cannot be read, what comes before is shown, and the result says how much it
/// was.
pub(super) fn write(buffer: &mut WriteBuffer<'_>) -> Result<usize, Errno> {
    let console = CONSOLE.get().ok_or(Errno::ENODEV)?;
    let mut piece = [0; PIECE_BYTES];
    let mut total = 0;
    while !buffer.is_empty() {
        let taken = buffer.take_bytes(&mut piece);
        console.write(piece.get(..taken).unwrap_or_default());
        total += taken;
        if taken < PIECE_BYTES && !buffer.is_empty() || pause_point().is_err() {
            break;
        }
    }
    if total == 0 && !buffer.is_empty() {
        Err(Errno::EFAULT)
    } else {
        Ok(total)
    }
}
