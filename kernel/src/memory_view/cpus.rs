//! What the CPUs do: how much of the time since the last drawing, and for whom.

use ::memview::Picture;
use ::memview::layout::{self, CPUS, CpuLoad};
use proc::sched::load;
use smp::cpu::{self, CpuId};
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

    /// Draws the CPUs. `running` says what they ran when their threads were looked at; on this CPU that was the thread which
    /// looked, and whoever waits for it counts.
    pub(super) fn draw(&mut self, picture: &mut Picture, running: &[Option<Seen>; CPUS]) {
        let here = cpu::id_racy();
        let next_here = load::next_here_racy().and_then(Seen::find);
        let now_ns = smp::time::now_ns();
        let passed_ns = now_ns.saturating_sub(self.at_ns).max(1);
        self.at_ns = now_ns;
        let cpus = CpuSet::all();
        let ids = cpus.iter().zip(running).zip(&mut self.halted_ns);
        let loads = ids.map(|((cpu, running), before_ns)| {
            let halted_ns = load::halted_ns(cpu, now_ns);
            let halted_lately_ns = halted_ns.saturating_sub(*before_ns).min(passed_ns);
            *before_ns = halted_ns;
            let thread = if cpu == here { &next_here } else { running };
            CpuLoad {
                number: CpuId::index(cpu),
                busy_percent: 100 - (100 * halted_lately_ns / passed_ns) as u32,
                thread: thread.as_ref().map(Seen::named),
            }
        });
        layout::draw_cpus(picture, cpu::count(), loads);
    }
}
