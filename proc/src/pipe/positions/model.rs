//! Loom models: `RUSTFLAGS="--cfg loom" cargo test -p proc --release pipe::positions`.
//!
//! Loom reports a deadlock if somebody sleeps for ever.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{CAPACITY_BYTES, Positions, Wake};
use crate::model_queue::{Queue, bounded};

struct Pipe {
    positions: Positions,
    filled: Queue,
    drained: Queue,
    /// What is in the first and the second half.
    halves: [AtomicUsize; 2],
}

const HALF: usize = CAPACITY_BYTES / 2;

impl Pipe {
    fn new() -> Arc<Pipe> {
        Arc::new(Pipe {
            positions: Positions::new(),
            filled: Queue::default(),
            drained: Queue::default(),
            halves: [AtomicUsize::new(0), AtomicUsize::new(0)],
        })
    }

    fn half(&self, position: usize) -> &AtomicUsize {
        &self.halves[position / HALF % 2]
    }

    /// Puts `value` into the next half; false if there is no reader.
    fn write(&self, value: usize) -> bool {
        let free = match self.positions.free() {
            Ok(0) => self
                .drained
                .wait_until(|| self.positions.free_or_wait(HALF)),
            decided => decided,
        };
        match free {
            Err(_) => false,
            Ok(_) => {
                self.half(self.positions.put())
                    .store(value, Ordering::Relaxed);
                if self.positions.add(HALF) == Wake::Needed {
                    self.filled.wake_one();
                }
                true
            }
        }
    }

    fn read(&self) -> Option<usize> {
        let mut available = self.positions.available();
        if available == 0 {
            available = self
                .filled
                .wait_until(|| self.positions.available_or_wait());
        }
        if available == 0 {
            return None;
        }
        let value = self.half(self.positions.taken()).load(Ordering::Relaxed);
        if self.positions.take(HALF) == Wake::Needed {
            self.drained.wake_one();
        }
        Some(value)
    }
}

#[test]
fn a_reader_that_waits_gets_what_is_written_and_then_the_end() {
    bounded(|| {
        let pipe = Pipe::new();
        let writer = {
            let pipe = pipe.clone();
            thread::spawn(move || {
                assert!(pipe.write(1));
                pipe.positions.close_writing();
                pipe.filled.wake_one();
            })
        };
        assert_eq!((pipe.read(), pipe.read()), (Some(1), None));
        writer.join().unwrap();
    });
}

#[test]
fn a_writer_that_waits_for_room_goes_on() {
    bounded(|| {
        let pipe = Pipe::new();
        assert!(pipe.write(1) && pipe.write(2));
        let writer = {
            let pipe = pipe.clone();
            thread::spawn(move || assert!(pipe.write(3) && pipe.write(4)))
        };
        assert_eq!(
            [(); 4].map(|()| pipe.read()),
            [Some(1), Some(2), Some(3), Some(4)]
        );
        writer.join().unwrap();
    });
}

#[test]
fn a_writer_that_waits_for_room_learns_that_the_reader_has_left() {
    bounded(|| {
        let pipe = Pipe::new();
        assert!(pipe.write(1) && pipe.write(2));
        let writer = {
            let pipe = pipe.clone();
            thread::spawn(move || pipe.write(3))
        };
        pipe.positions.close_reading();
        pipe.drained.wake_one();
        assert!(!writer.join().unwrap());
    });
}
