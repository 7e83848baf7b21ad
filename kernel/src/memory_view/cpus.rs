//! What the CPUs do: how much of the time since the last drawing, and for whom.

use ::memview::Picture;
use ::memview::layout::{self, CPUS, CpuLoad};
use proc::sched::load;
use smp::cpu;
use smp::cpu_set::CpuSet;

use super::survey::Seen;

/// When the CPUs were last looked at, and how long each had halted then.
pub(super) struct CpuTimes {
    at_ns: u64,
    halted_ns: [u64; CPUS],
}

impl CpuTimes {
    pub(super) fn new() -> CpuTimes {
        CpuTimes {
            at_ns: smp::time::now_ns(),
            halted_ns: [0; CPUS],
        }
    }

    /// Draws the CPUs.
    pub(super) fn draw(&mut self, picture: &mut Picture) {
        let now_ns = smp::time::now_ns();
        let (since_ns, passed_ns) = (self.at_ns, now_ns.saturating_sub(self.at_ns).max(1));
        self.at_ns = now_ns;
        let cpus = CpuSet::all();
        let mut seen = [None; CPUS];
        for (place, cpu) in seen.iter_mut().zip(cpus.iter()) {
            *place = load::ticked_thread_since(cpu, since_ns).and_then(Seen::find);
        }
        let places = cpus.iter().zip(&seen).zip(&mut self.halted_ns);
        let loads = places.map(|((cpu, seen), before_ns)| {
            let halted_ns = load::halted_ns(cpu, now_ns);
            let halted_lately_ns = halted_ns.saturating_sub(*before_ns).min(passed_ns);
            *before_ns = halted_ns;
            CpuLoad {
                number: cpu.index(),
                busy_percent: 100 - (100 * halted_lately_ns / passed_ns) as u32,
                thread: seen.as_ref().map(Seen::named),
            }
        });
        layout::draw_cpus(picture, cpu::count(), loads);
    }
}
