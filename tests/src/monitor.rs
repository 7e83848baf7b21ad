//! QEMU's monitor, on a socket beside the console: how the harness looks into a machine that hangs, presses keys on its
//! keyboard, and sees its screen.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

const PROMPT: &str = "(qemu) ";
const PATIENCE: Duration = Duration::from_secs(5);

/// `sendkey` holds a key for 100 ms.
const KEY_PRESSED: Duration = Duration::from_millis(120);

/// How long a kernel that got an NMI may take for its backtraces.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

/// The words for `ARGONAUT_QEMU_EXTRA` that give QEMU a monitor at `socket`.
pub(crate) fn qemu_options(socket: &Path) -> String {
    let socket = socket.display();
    format!(
        "-chardev socket,id=harness,path={socket},server=on,wait=off -mon chardev=harness,mode=readline"
    )
}

/// Where each CPU is; and an NMI, on which the kernel panics and prints each CPU's backtrace to its log.
pub(crate) fn interrogate(socket: &Path) -> String {
    ask(socket).unwrap_or_else(|error| format!("QEMU's monitor did not answer: {error}\n"))
}

/// Presses and releases these keys of the machine's keyboard, by QEMU's names for them.
pub(crate) fn press(socket: &Path, keys: &[&str]) -> io::Result<()> {
    let mut stream = connect(socket)?;
    for key in keys {
        stream.write_all(format!("sendkey {key}\n").as_bytes())?;
        read_to_prompt(&mut stream)?;
        thread::sleep(KEY_PRESSED);
    }
    Ok(())
}

/// The text mode's memory: 25 rows of 80 characters, each with its colour.
const SCREEN_COMMAND: &str = "xp /2000hx 0xb8000\n";
const COLUMNS: usize = 80;

/// The characters on the screen, row by row, without blanks at the end of a row.
pub(crate) fn read_screen(socket: &Path) -> io::Result<Vec<String>> {
    let mut stream = connect(socket)?;
    stream.write_all(SCREEN_COMMAND.as_bytes())?;
    let dump = read_to_prompt(&mut stream)?;
    let words = dump.lines().filter_map(|line| line.split_once(": "));
    let cells: Vec<u8> = words
        .flat_map(|(_, words)| words.split_whitespace())
        .filter_map(|word| u16::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .map(|cell| cell as u8)
        .collect();
    let rows = cells.chunks(COLUMNS);
    Ok(rows
        .map(|row| String::from_utf8_lossy(row).trim_end().to_owned())
        .collect())
}

fn ask(socket: &Path) -> io::Result<String> {
    let mut stream = connect(socket)?;
    stream.write_all(b"info registers -a\n")?;
    let registers = read_to_prompt(&mut stream)?;
    stream.write_all(b"nmi\n")?;
    // An older QEMU forgets what it has not read when the socket closes. The machine may well end before it answers.
    let _ = read_to_prompt(&mut stream);
    let places = registers
        .lines()
        .filter(|line| line.starts_with("CPU#") || line.contains("RIP="));
    Ok(places
        .map(|line| format!("{}\n", line.trim_end()))
        .collect())
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    read_to_prompt(&mut stream)?;
    Ok(stream)
}

fn read_to_prompt(stream: &mut UnixStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.ends_with(PROMPT.as_bytes()) {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..count]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
