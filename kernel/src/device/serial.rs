//! The two serial lines: the first is the console's, the second carries the kernel log.

use smp::lock::SpinLock;
use smp::rank;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{Config, Uart16550};

type Uart = Uart16550<PioBackend>;

const fn uart(port: u16) -> Uart {
    // SAFETY: the PC's ports for serial lines; the two locks below are the only users, one for each.
    match unsafe { Uart16550::new_port(port) } {
        Ok(uart) => uart,
        Err(_) => panic!("a PC's serial ports are valid ports"),
    }
}

static CONSOLE: SpinLock<Uart, rank::ConsoleOutput> = SpinLock::new(uart(0x3f8));
static LOG: SpinLock<Uart, rank::Log> = SpinLock::new(uart(0x2f8));

/// Sets both lines up. A line that is not there swallows what is written to it.
pub(crate) fn init() {
    // An absent device fails to initialise, and its writes go nowhere: there is nothing better to do with them.
    let _ = CONSOLE.lock().init(Config::default());
    let _ = LOG.lock().init(Config::default());
}

/// Writes text to the console's line, in one piece; a line feed begins a new line.
pub(crate) fn write_console(text: &[u8]) {
    let mut line = CONSOLE.lock();
    for part in text.split_inclusive(|&byte| byte == b'\n') {
        match part {
            [part @ .., b'\n'] => {
                line.send_bytes_exact(part);
                line.send_bytes_exact(b"\r\n");
            }
            part => line.send_bytes_exact(part),
        }
    }
}

/// Writes to the log's line.
pub(crate) fn write_log(bytes: &[u8]) {
    LOG.lock().send_bytes_exact(bytes);
}

/// Lets the console's line interrupt when a byte has arrived.
pub(crate) fn enable_console_interrupts() {
    CONSOLE.lock().enable_interrupts(IER::DATA_READY);
}

/// The next byte that has arrived on the console's line.
pub(crate) fn read_console() -> Option<u8> {
    CONSOLE.lock().try_receive_byte().ok()
}
