//! What to boot, and running it to its end.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::monitor::LAST_WORDS;
use crate::prepare::{BUILT, build, run_smp};
use crate::slots::Slots;
use crate::terminal::Terminal;
use crate::{Run, gdb, monitor};

/// Long for what a test does, so that a busy host is not a failure; a hang is found all the same.
const DEADLINE: Duration = Duration::from_secs(120);

const POLL: Duration = Duration::from_millis(10);

/// A machine to boot and what it shall do.
#[derive(Clone)]
pub struct Boot {
    profile: &'static str,
    cpus: usize,
    options: Vec<String>,
    program: Vec<String>,
    /// Further options of QEMU itself.
    qemu: String,
    /// What is piped into the run.
    typed: String,
    deadline: Duration,
    reader_pause: Duration,
}

impl Boot {
    /// Boots to the kernel shell.
    pub fn shell() -> Boot {
        Boot {
            profile: "checked",
            cpus: 4,
            options: Vec::new(),
            program: Vec::new(),
            qemu: String::new(),
            typed: String::new(),
            deadline: DEADLINE,
            reader_pause: Duration::ZERO,
        }
    }

    /// Boots, runs this program with its arguments and ends.
    pub fn program(words: &[&str]) -> Boot {
        Boot {
            program: words.iter().map(|&word| word.to_owned()).collect(),
            ..Boot::shell()
        }
    }

    /// As `run-smp.sh` with these words, with the kernel that users boot; `None` if they are not for running a program:
    /// they start the kernel shell, or need a file of the reader's own.
    pub fn from_words(words: &[String]) -> Option<Boot> {
        let mut boot = Boot::shell().release();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--smp" => boot.cpus = words.next()?.parse().ok()?,
                // The harness keeps a log itself.
                "--log" => drop(words.next()?),
                "--profile" => {
                    boot.profile = ["release", "checked"]
                        .into_iter()
                        .find(|profile| words.as_slice().first().is_some_and(|it| it == profile))?;
                    words.next();
                }
                "--add" | "--help" | "--screenshot" => return None,
                "--mem" | "--cpu" | "--machine" | "--append" => {
                    boot = boot.option(word).option(words.next()?);
                }
                option if option.starts_with("--") => boot = boot.option(option),
                program => {
                    boot.program.push(program.to_owned());
                    boot.program.extend(words.by_ref().cloned());
                }
            }
        }
        (!boot.program.is_empty()).then_some(boot)
    }

    /// With so many CPUs (4 if not said).
    pub fn cpus(self, cpus: usize) -> Boot {
        Boot { cpus, ..self }
    }

    /// With this memory size.
    pub fn memory(self, size: &str) -> Boot {
        self.option("--mem").option(size)
    }

    /// With this CPU model.
    pub fn cpu_model(self, model: &str) -> Boot {
        self.option("--cpu").option(model)
    }

    /// With these boot options for the kernel.
    pub fn append(self, options: &str) -> Boot {
        self.option("--append").option(options)
    }

    /// With this further option of `run-smp.sh`.
    pub fn option(mut self, option: &str) -> Boot {
        self.options.push(option.to_owned());
        self
    }

    /// With these options of QEMU itself.
    pub fn qemu(self, options: &str) -> Boot {
        Boot {
            qemu: options.to_owned(),
            ..self
        }
    }

    /// With this text piped into it.
    pub fn typed(self, text: &str) -> Boot {
        Boot {
            typed: text.to_owned(),
            ..self
        }
    }

    /// With the kernel that users boot, not that of the tests.
    pub fn release(self) -> Boot {
        Boot {
            profile: "release",
            ..self
        }
    }

    /// A run that is not over then has failed.
    pub fn deadline(self, deadline: Duration) -> Boot {
        Boot { deadline, ..self }
    }

    /// With nobody reading the console for so long, after which all of it is read.
    pub fn reader_pauses(self, reader_pause: Duration) -> Boot {
        Boot {
            reader_pause,
            ..self
        }
    }

    /// Runs to the end, or to the deadline.
    pub fn run(&self) -> Run {
        build(self.profile);
        let _slots = Slots::take(self.host_cpus());
        let files = Files::new();
        let mut command = self.command(&files);
        let console = match self.reader_pause {
            Duration::ZERO => Stdio::from(files.create("console")),
            _ => Stdio::piped(),
        };
        fs::write(files.path("typed"), &self.typed)
            .unwrap_or_else(|error| panic!("typed: {error}"));
        command
            .stdin(files.open("typed"))
            .stdout(console)
            .stderr(files.create("messages"))
            .process_group(0);
        let shown = format!("{command:?}");
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));

        let pause = self.reader_pause;
        let reader = child.stdout.take().map(|mut output| {
            let mut console = files.create("console");
            thread::spawn(move || {
                thread::sleep(pause);
                io::copy(&mut output, &mut console)
            })
        });
        let status = wait(&mut child, self.deadline);
        let mut places = String::new();
        if status.is_none() {
            places = monitor::interrogate(&files.path("monitor"));
            wait(&mut child, LAST_WORDS); // the status that it has now is not the run's
            kill_group(&mut child);
        }
        if let Some(Err(error)) = reader.and_then(|reader| reader.join().ok()) {
            panic!("the console cannot be read: {error}");
        }
        Run {
            command: shown,
            status,
            console: files.read("console"),
            messages: files.read("messages"),
            log: files.read("log"),
            places,
        }
    }

    /// Boots with a terminal at the console, for a test that types.
    pub fn terminal(&self) -> Terminal {
        build(self.profile);
        let slots = Slots::take(self.host_cpus());
        let files = Files::new();
        Terminal::start(self.command(&files), files, slots, self.deadline)
    }

    /// Boots with `--gdb`, has gdb execute these commands, one after the other, and returns what it printed. The
    /// machine ends with them.
    #[track_caller]
    pub fn debug(&self, commands: &[String]) -> String {
        build(self.profile);
        let _slots = Slots::take(self.cpus);
        let files = Files::new();
        let mut machine = self.clone().option("--gdb").command(&files);
        machine
            .stdout(files.create("console"))
            .stderr(files.create("messages"))
            .process_group(0);
        let mut machine = machine
            .spawn()
            .unwrap_or_else(|error| panic!("{machine:?}: {error}"));
        let output = gdb::execute(&files.path("gdb"), commands, self.deadline);
        kill_group(&mut machine);
        output.unwrap_or_else(|error| {
            let (console, messages) = (files.read("console"), files.read("messages"));
            panic!("{error}\n--- console\n{console}\n--- messages\n{messages}")
        })
    }

    /// Boots to the kernel shell, and waits until that shows its prompt.
    #[track_caller]
    pub fn at_prompt(&self) -> Terminal {
        let mut terminal = self.terminal();
        terminal.expect_prompt();
        terminal
    }

    /// How many of the host's CPUs it can use: where instructions are counted, the virtual ones take turns.
    fn host_cpus(&self) -> usize {
        if self.options.iter().any(|option| option == "--icount") {
            1
        } else {
            self.cpus
        }
    }

    fn command(&self, files: &Files) -> Command {
        let mut command = run_smp();
        command
            .args(["--profile", self.profile, "--smp", &self.cpus.to_string()])
            .arg("--log")
            .arg(files.path("log"))
            .args(&self.options)
            .args(&self.program)
            .env(BUILT, "1")
            // A socket of its own: a port is the whole host's.
            .env("ARGONAUT_GDB", files.path("gdb"))
            .env(
                "ARGONAUT_QEMU_EXTRA",
                format!(
                    "{} {}",
                    monitor::qemu_options(&files.path("monitor")),
                    self.qemu
                ),
            );
        command
    }
}

/// Waits for the end and returns the status; `None` if `patience` ran out first.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < patience {
        match child.try_wait() {
            // -1: somebody else ended the script by a signal, which no test expects.
            Ok(Some(status)) => return Some(status.code().unwrap_or(-1)),
            Ok(None) => thread::sleep(POLL),
            Err(error) => panic!("cannot wait for run-smp.sh: {error}"),
        }
    }
    None
}

/// Ends run-smp.sh and the QEMU that it started.
pub(crate) fn kill_group(child: &mut Child) {
    signal_group(child, "KILL");
    let _ = child.wait();
}

/// Sends a signal to run-smp.sh and the QEMU that it started.
pub(crate) fn signal_group(child: &Child, name: &str) {
    // That there is nobody left to get it is fine.
    let group = format!("-{}", child.id());
    let _ = Command::new("kill")
        .args([&format!("-{name}"), "--", &group])
        .stderr(Stdio::null())
        .status();
}

/// The files of one run, in a directory of their own that goes with them.
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    fn new() -> Files {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        loop {
            // Relaxed: only that the numbers differ matters.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            // Not below the source tree: a socket's path must be short.
            let directory =
                std::env::temp_dir().join(format!("argonaut-{}-{number}", std::process::id()));
            match fs::create_dir(&directory) {
                Ok(()) => return Files { directory },
                // Of a run that was killed, by a process that had this id.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", directory.display()),
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn create(&self, name: &str) -> File {
        File::create(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn open(&self, name: &str) -> File {
        File::open(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What the file holds now; nothing if it was never made.
    pub(crate) fn read(&self, name: &str) -> String {
        read_lossy(&self.path(name))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn read_lossy(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Files;

    #[test]
    fn the_directory_of_a_run_that_was_killed_is_passed_over() {
        let first = Files::new();
        let name = first.directory.display().to_string();
        let (stem, number) = name.rsplit_once('-').unwrap();
        let number: usize = number.parse().unwrap();
        let left_behind = format!("{stem}-{}", number + 1);
        fs::create_dir(&left_behind).unwrap();
        let second = Files::new();
        fs::remove_dir(&left_behind).unwrap();
        assert_eq!(
            second.directory.display().to_string(),
            format!("{stem}-{}", number + 2)
        );
    }
}
