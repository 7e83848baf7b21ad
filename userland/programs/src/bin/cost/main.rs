//! What a fork costs, predicted from what its steps cost, and measured: naive, eager and copy-on-write.
//!
//! `cost`, under `run-smp.sh --icount --smp 1`, where a nanosecond is an instruction. The units are measured one by
//! one: in the kernel by the program `unitcosts`, here by calls and faults that do nothing else. Then [`Model`] says
//! what each kind of fork must cost for a process with some pages, and how many of them the parent must write for
//! copy-on-write to lose to copying at once. Exits with 1 if something costs 10 percent more or less than that.
#![no_std]
#![no_main]

mod experiment;
mod kernel_programs;
mod model;
mod units;

use ulib::{Arguments, Errno, eprintln, println, process};

use experiment::{Pages, fork_alone};
use model::{Model, Policy};
use units::Units;

ulib::program!(main);

/// How many pages the process has besides its own few: such that it can write, and such that it only reads.
const WRITABLE: usize = 192;
const READ_ONLY: usize = 64;

/// By how much a prediction may be wrong.
const TOLERANCE_PERCENT: f64 = 10.0;

fn main(_arguments: Arguments) -> i32 {
    match run() {
        Ok(is_well) => i32::from(!is_well),
        Err(errno) => {
            eprintln!("cost: {errno}");
            1
        }
    }
}

/// Whether all is as predicted.
fn run() -> Result<bool, Errno> {
    // The child stays on this CPU, and so does not run before its parent waits for it.
    process::pin(0);
    ulib::touch_image();
    let units = Units::measure()?;
    units.print();
    let mut report = Report { is_well: true };
    let mut bases = [0.0; 3];
    for (policy, base) in Policy::ALL.into_iter().zip(&mut bases) {
        kernel_programs::choose(policy.name())?;
        *base = fork_alone()?;
        println!(
            "base  a fork without such pages, {:<13} {base:>8.1}",
            policy.label()
        );
    }

    let mut pages = Pages::new(WRITABLE, READ_ONLY)?;
    println!(
        "\nfork with {WRITABLE} pages to write and {READ_ONLY} to read   predicted   measured"
    );
    let model = Model {
        units,
        writable: WRITABLE as f64,
        read_only: READ_ONLY as f64,
    };
    for (policy, base) in Policy::ALL.into_iter().zip(bases) {
        kernel_programs::choose(policy.name())?;
        let writes: &[usize] = match policy {
            Policy::CopyOnWrite => &[0, WRITABLE / 2, WRITABLE],
            Policy::Naive | Policy::Eager => &[0],
        };
        for &written in writes {
            let predicted = base + model.fork_and_write(policy, written as f64);
            let measured = pages.fork_and_write(written)?;
            report.compare(policy.label(), written, predicted, measured);
        }
    }

    kernel_programs::choose(Policy::Eager.name())?;
    let eager = pages.fork_and_write(WRITABLE)?;
    kernel_programs::choose(Policy::CopyOnWrite.name())?;
    let measured = pages.writes_that_cost(eager)?;
    let [_, base_eager, base_cow] = bases;
    let predicted = model.crossover(base_eager - base_cow);
    kernel_programs::choose("boot")?;
    println!("\nCopying at once wins when the parent writes more than");
    report.compare_shares(predicted / WRITABLE as f64, measured / WRITABLE as f64);
    Ok(report.is_well)
}

/// What has been compared.
struct Report {
    is_well: bool,
}

impl Report {
    fn compare(&mut self, label: &str, written: usize, predicted: f64, measured: f64) {
        let off = self.judge(predicted, measured);
        println!(
            "{label:<14} {written:>4} pages written      {predicted:>20.0} {measured:>10.0} {off:>+7.1} %"
        );
    }

    fn compare_shares(&mut self, predicted: f64, measured: f64) {
        let off = self.judge(predicted, measured);
        let (predicted, measured) = (100.0 * predicted, 100.0 * measured);
        println!(
            "  {predicted:.1} % of the pages that it can write (predicted), {measured:.1} % (measured), {off:+.1} %"
        );
    }

    /// By how many percent what was measured is more than predicted.
    fn judge(&mut self, predicted: f64, measured: f64) -> f64 {
        let off = 100.0 * (measured / predicted - 1.0);
        // Not a number is not well either.
        self.is_well &= (-TOLERANCE_PERCENT..=TOLERANCE_PERCENT).contains(&off);
        off
    }
}
