//! A meeting point.
//!
//! The guarantee: nobody leaves a round before everybody of that round has come, and what each has done before it came
//! is seen by all who leave. One of them is told that it is the leader. The next round may begin while some have not
//! left yet.

use super::{Condvar, Mutex};

/// A place where a fixed number of threads wait for each other, again and again.
#[derive(Debug)]
pub struct Barrier {
    threads: usize,
    round: Mutex<Round>,
    is_over: Condvar,
}

#[derive(Debug)]
struct Round {
    /// Differs from that of the round before. It wraps, but nobody can be a round behind the others.
    number: usize,
    arrived: usize,
}

impl Barrier {
    /// A barrier for `threads` threads. Where none are to wait for each other, each goes through as a leader.
    pub const fn new(threads: usize) -> Barrier {
        Barrier {
            threads,
            round: Mutex::new(Round {
                number: 0,
                arrived: 0,
            }),
            is_over: Condvar::new(),
        }
    }

    /// Waits until so many threads have called this. True for one of them, the leader.
    pub fn wait(&self) -> bool {
        let mut round = self.round.lock();
        round.arrived += 1;
        if round.arrived >= self.threads {
            round.number = round.number.wrapping_add(1);
            round.arrived = 0;
            drop(round);
            self.is_over.notify_all();
            return true;
        }
        let number = round.number;
        let _round = self
            .is_over
            .wait_while(round, |round| round.number == number);
        false
    }
}
