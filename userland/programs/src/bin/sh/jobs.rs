//! Jobs: commands that the shell has started and does not wait for.

use alloc::string::String;
use alloc::vec::Vec;

use ulib::{ExitStatus, Pid, println, process};

use crate::command::Command;

struct Job {
    number: usize,
    text: String,
    /// Its programs that have not ended.
    running: Vec<Pid>,
    last: Pid,
    /// How the last program has ended, once it has.
    status: ExitStatus,
}

/// The jobs that have not been told as ended.
#[derive(Default)]
pub(crate) struct Jobs(Vec<Job>);

impl Jobs {
    /// A new job, and says so. If none of its programs could be started, it is none.
    pub(crate) fn add(&mut self, command: &Command, programs: Vec<Pid>) {
        let Some(&last) = programs.last() else {
            return;
        };
        let number = self.0.last().map_or(1, |job| job.number + 1);
        println!("[{number}] {last}: {}", command.text);
        self.0.push(Job {
            number,
            text: command.text.clone(),
            running: programs,
            last,
            status: ExitStatus::exited(0),
        });
    }

    /// Says which jobs have ended, and how, and forgets them.
    pub(crate) fn tell_ended(&mut self) {
        self.collect();
        self.0.retain(|job| {
            let has_ended = job.running.is_empty();
            if has_ended {
                println!("[{}] ended, {}: {}", job.number, job.status, job.text);
            }
            !has_ended
        });
    }

    /// Lists those that have not ended.
    pub(crate) fn list(&mut self) {
        self.collect();
        for job in self.0.iter().filter(|job| !job.running.is_empty()) {
            println!("[{}] running {:?}: {}", job.number, job.running, job.text);
        }
    }

    /// Takes note of programs that have ended.
    fn collect(&mut self) {
        for job in &mut self.0 {
            job.running
                .retain(|&program| match process::try_wait(program) {
                    Ok(None) => true,
                    Ok(Some((_, status))) => {
                        if program == job.last {
                            job.status = status;
                        }
                        false
                    }
                    Err(errno) => panic!("cannot wait for {program}: {errno}"),
                });
        }
    }
}
