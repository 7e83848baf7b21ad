//! temporary
#![no_std]
#![no_main]
use ulib::process;
ulib::program!(main);
fn main(arguments: ulib::Arguments) -> Result<(), ulib::Errno> {
    let n = arguments.option("--rounds", 100);
    process::pin(0);
    if let Ok(child) = process::start(|| {
        loop {
            process::yield_now();
        }
    }) {
        for _ in 0..n {
            process::yield_now();
        }
        let _ = process::kill(child, ulib::Signal::SIGKILL);
        let _ = process::wait(child);
    }
    Ok(())
}
