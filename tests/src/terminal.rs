//! A machine whose console is a pseudo-terminal that the test types into.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rexpect::session::{StreamSession, spawn_stream};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::Run;
use crate::boot::{Files, kill_group, signal_group, wait};
use crate::monitor::{self, LAST_WORDS};
use crate::slots::Slots;

/// How long it is from one look at the screen to the next.
const SCREEN_POLL: Duration = Duration::from_millis(50);

/// A running machine with a terminal.
pub struct Terminal {
    session: StreamSession<File>,
    child: Child,
    shown: String,
    seen: String,
    deadline: Duration,
    files: Files,
    _slots: Slots,
}

impl Terminal {
    pub(crate) fn start(
        mut command: Command,
        files: Files,
        slots: Slots,
        deadline: Duration,
    ) -> Terminal {
        let shown = format!("{command:?}");
        let fail = |error: io::Error| -> ! { panic!("no terminal for {shown}: {error}") };
        let (master, slave) = open_terminal().unwrap_or_else(|error| fail(error));
        let clone = |fd: &OwnedFd| fd.try_clone().unwrap_or_else(|error| fail(error));
        command
            .stdin(clone(&slave))
            .stdout(clone(&slave))
            .stderr(slave)
            .process_group(0);
        let child = command.spawn().unwrap_or_else(|error| fail(error));
        // The command holds the slave side too; the session must see its end when the machine's processes close it.
        drop(command);
        let reader = File::from(clone(&master));
        let session = spawn_stream(
            reader,
            File::from(master),
            u64::try_from(deadline.as_millis()).ok(),
        );
        Terminal {
            session,
            child,
            shown,
            seen: String::new(),
            deadline,
            files,
            _slots: slots,
        }
    }

    /// Types a line and the return key.
    pub fn type_line(&mut self, line: &str) {
        self.type_keys(&format!("{line}\r"));
    }

    /// Types a command for the kernel shell, and returns what it printed.
    #[track_caller]
    pub fn answer(&mut self, command: &str) -> String {
        self.type_line(command);
        self.expect(command);
        self.expect_prompt()
    }

    /// Waits for the kernel shell's prompt, and returns what the console showed before.
    #[track_caller]
    pub fn expect_prompt(&mut self) -> String {
        self.expect("argonaut> ")
    }

    /// Types these characters.
    pub fn type_keys(&mut self, keys: &str) {
        let sent = self.session.send(keys).and_then(|_| self.session.flush());
        sent.unwrap_or_else(|error| panic!("cannot type {keys:?}: {error}"));
    }

    /// Presses keys of the machine's own keyboard, by QEMU's names for them (`a`, `ret`, `shift-a`).
    pub fn press_keys(&mut self, keys: &[&str]) {
        let pressed = monitor::press(&self.files.path("monitor"), keys);
        pressed.unwrap_or_else(|error| panic!("cannot press {keys:?}: {error}"));
    }

    /// Looks at the machine's screen again and again until `is_seen` holds of its rows, which are returned.
    #[track_caller]
    pub fn expect_screen(
        &mut self,
        what: &str,
        is_seen: impl Fn(&[String]) -> bool,
    ) -> Vec<String> {
        let start = Instant::now();
        let mut last = String::from("nothing yet");
        while start.elapsed() < self.deadline && matches!(self.child.try_wait(), Ok(None)) {
            // QEMU may not have its monitor yet, or have none any more.
            if let Ok(rows) = monitor::read_screen(&self.files.path("monitor")) {
                if is_seen(&rows) {
                    return rows;
                }
                last = rows.join("\n");
            }
            thread::sleep(SCREEN_POLL);
        }
        panic!(
            "the screen should show {what}; it showed\n{last}\n{}",
            self.hung()
        );
    }

    /// Waits until the console shows this text, and returns what it showed before.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        match self.session.exp_string(text) {
            Ok(before) => {
                self.seen.push_str(&before);
                self.seen.push_str(text);
                before
            }
            Err(error) => panic!("the console should show: {text}\n{error}\n{}", self.hung()),
        }
    }

    /// Stops QEMU for so long, with all its CPUs, as a host that has other things to do.
    pub fn stop_for(&mut self, pause: Duration) {
        signal_group(&self.child, "STOP");
        thread::sleep(pause);
        signal_group(&self.child, "CONT");
    }

    /// Waits for the machine's end.
    #[track_caller]
    pub fn end(mut self) -> Run {
        match self.session.exp_eof() {
            Ok(rest) => self.seen.push_str(&rest),
            Err(error) => panic!("the machine should have ended\n{error}\n{}", self.hung()),
        }
        let status = wait(&mut self.child, self.deadline);
        self.run(status, String::new())
    }

    /// The report on a machine that does not do what it should.
    fn hung(&mut self) -> Run {
        let places = monitor::interrogate(&self.files.path("monitor"));
        wait(&mut self.child, LAST_WORDS);
        self.run(None, places)
    }

    fn run(&self, status: Option<i32>, places: String) -> Run {
        Run {
            command: self.shown.clone(),
            status,
            console: self.seen.clone(),
            messages: String::new(),
            log: self.files.read("log"),
            places,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        kill_group(&mut self.child);
    }
}

/// The two sides of a new pseudo-terminal, which is nobody's controlling terminal.
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    Ok((master, slave))
}
