//! Loom models: `RUSTFLAGS="--cfg loom" cargo test -p proc --release pipe::positions`.
//!
//! Each side sleeps as in a [`crate::wait::WaitQueue`]: it looks, gets into the queue, looks once more, and sleeps until it has
//! been taken out. Loom reports a deadlock if somebody sleeps for ever.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::{CAPACITY_BYTES, Positions, Wake};

#[derive(Default)]
struct Queue {
    is_queued: Mutex<bool>,
    woken: Condvar,
}

impl Queue {
    fn wait_until<T>(&self, mut condition: impl FnMut() -> Option<T>) -> T {
        if let Some(value) = condition() {
            return value;
        }
        loop {
            *self.is_queued.lock().unwrap() = true;
            if let Some(value) = condition() {
                *self.is_queued.lock().unwrap() = false;
                return value;
            }
            let mut is_queued = self.is_queued.lock().unwrap();
            while *is_queued {
                is_queued = self.woken.wait(is_queued).unwrap();
            }
        }
    }

    fn wake_one(&self) {
        *self.is_queued.lock().unwrap() = false;
        self.woken.notify_one();
    }
}

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

fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
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
