//! What came of a run, and the assertions that tests make about it.

use std::fmt;

use protocol::Line;

/// A run that has ended or was ended at its deadline. Prints as a report of all that is known about it.
pub struct Run {
    pub(crate) command: String,
    pub(crate) status: Option<i32>,
    pub(crate) console: String,
    pub(crate) messages: String,
    pub(crate) log: String,
    pub(crate) places: String,
}

impl Run {
    /// The exit status of `run-smp.sh`; `None` if the run was not over at its deadline.
    pub fn status(&self) -> Option<i32> {
        self.status
    }

    /// What the machine wrote to its console.
    pub fn console(&self) -> &str {
        &self.console
    }

    /// What `run-smp.sh` and QEMU wrote to standard error.
    pub fn messages(&self) -> &str {
        &self.messages
    }

    /// The kernel log.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The protocol lines of the log.
    pub fn lines(&self) -> impl Iterator<Item = Line<&str>> {
        self.log.lines().filter_map(Line::parse)
    }

    /// How long the kernel took from its first instruction to the first user instruction, and with how many CPUs.
    pub fn booted(&self) -> Option<(u32, u64)> {
        self.lines().find_map(|line| match line {
            Line::Booted { cpus, microseconds } => Some((cpus, microseconds)),
            _ => None,
        })
    }

    /// The run ended with this exit status.
    #[track_caller]
    pub fn assert_status(&self, expected: i32) -> &Run {
        assert_eq!(
            self.status,
            Some(expected),
            "the run should have ended with status {expected}\n{self}"
        );
        self
    }

    /// The program ran to its end and found something wrong: the status is its own, and not 0.
    #[track_caller]
    pub fn assert_program_failed(&self) -> &Run {
        let own = self.lines().any(|line| matches!(line, Line::Exit(1..)));
        assert!(
            own,
            "the program should have ended with a status other than 0\n{self}"
        );
        self
    }

    /// The machine wrote this to its console.
    #[track_caller]
    pub fn assert_console_has(&self, text: &str) -> &Run {
        assert!(
            self.console.contains(text),
            "the console should show: {text}\n{self}"
        );
        self
    }

    /// The kernel log has a line with all of these words, in small or capital letters.
    #[track_caller]
    pub fn assert_log_has(&self, words: &[&str]) -> &Run {
        let log = self.log.to_lowercase();
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let found = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "the log should have a line with {words:?}\n{self}");
        self
    }

    /// So many CPUs came up.
    #[track_caller]
    pub fn assert_cpus(&self, expected: usize) -> &Run {
        let cpus = self
            .booted()
            .and_then(|(cpus, _)| usize::try_from(cpus).ok());
        assert_eq!(
            cpus,
            Some(expected),
            "{expected} CPUs should have come up\n{self}"
        );
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.command)?;
        match self.status {
            Some(status) => writeln!(f, "ended with status {status}")?,
            None => writeln!(
                f,
                "was NOT OVER at its deadline; the CPUs were at\n{}",
                self.places
            )?,
        }
        for (name, text) in [
            ("console", &self.console),
            ("standard error", &self.messages),
            ("kernel log", &self.log),
        ] {
            writeln!(f, "---- {name}\n{}", text.trim_end())?;
        }
        Ok(())
    }
}
