//! The two serial lines: the first is the console's, the second carries the kernel log.

use core::sync::atomic::{AtomicBool, Ordering};

use smp::lock::SpinLock;
use smp::rank::{self, Rank};
use smp::{mailbox, watchdog};
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{Config, Uart16550};

const CONSOLE_PORT: u16 = 0x3f8;
const LOG_PORT: u16 = 0x2f8;

type Uart = Uart16550<PioBackend>;

const fn uart(port: u16) -> Uart {
    // SAFETY: the PC's ports for serial lines; the two locks below are the only users, one for each, until one CPU is
    // left.
    match unsafe { Uart16550::new_port(port) } {
        Ok(uart) => uart,
        Err(_) => panic!("a PC's serial ports are valid ports"),
    }
}

static CONSOLE: SpinLock<Uart, rank::ConsoleOutput> = SpinLock::new(uart(CONSOLE_PORT));
static LOG: SpinLock<Uart, rank::Log> = SpinLock::new(uart(LOG_PORT));

/// Sets both lines up. A line that is not there swallows what is written to it.
pub(crate) fn init() {
    // An absent device fails to initialise, and its writes go nowhere: there is nothing better to do with them.
    let _ = CONSOLE.lock().init(Config::default());
    let _ = LOG.lock().init(Config::default());
}

/// Set when one CPU is left, which reports a panic.
static ALONE: AtomicBool = AtomicBool::new(false);

/// Lets this CPU write without the lines' locks, which CPUs that have been stopped may hold.
///
/// Only for a panic, when no other CPU runs any more.
pub(crate) fn break_locks() {
    // Relaxed: only this CPU looks from now on.
    ALONE.store(true, Ordering::Relaxed);
}

/// Whether this CPU is the only one left.
pub(crate) fn is_alone() -> bool {
    // Relaxed: see `break_locks`.
    ALONE.load(Ordering::Relaxed)
}

/// Uses the line of `lock`, which is at `port`.
fn with_line<R: Rank>(lock: &SpinLock<Uart, R>, port: u16, use_it: impl FnOnce(&mut Uart)) {
    if is_alone() {
        // The device is set up; this just has not seen it.
        use_it(&mut uart(port));
    } else {
        use_it(&mut lock.lock());
    }
}

/// Writes text to the console's line, in one piece; a line feed begins a new line.
pub(crate) fn write_console(text: &[u8]) {
    with_line(&CONSOLE, CONSOLE_PORT, |line| send_text(line, text));
}

fn send_text(line: &mut Uart, text: &[u8]) {
    for part in text.split_inclusive(|&byte| byte == b'\n') {
        match part {
            [part @ .., b'\n'] => {
                send_all(line, part);
                send_all(line, b"\r\n");
            }
            part => send_all(line, part),
        }
    }
}

/// Sends all of `bytes`, however long whoever reads the line pauses. Meanwhile this CPU answers other CPUs (TLB-4), and
/// is no case for the watchdog.
fn send_all(line: &mut Uart, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match line.send_bytes(bytes) {
            0 => {
                mailbox::serve_requests();
                watchdog::excuse();
                core::hint::spin_loop();
            }
            sent => bytes = &bytes[sent..],
        }
    }
}

/// Writes to the log's line.
pub(crate) fn write_log(bytes: &[u8]) {
    with_line(&LOG, LOG_PORT, |line| send_all(line, bytes));
}

/// Lets the console's line interrupt when a byte has arrived.
pub(crate) fn enable_console_interrupts() {
    CONSOLE.lock().enable_interrupts(IER::DATA_READY);
}

/// The next byte that has arrived on the console's line.
pub(crate) fn read_console() -> Option<u8> {
    CONSOLE.lock().try_receive_byte().ok()
}
