//! Alice and Eve: one program that loops for ever does not stop the others, not even on one CPU.
//!
//! `friends [STEPS]` starts Eve, who never gives up her CPU, then Alice, who greets STEPS times (10). Once Alice is done
//! Eve must still be running, and is killed. What lets Alice run is the timer: with `break=timer` and one CPU Eve keeps
//! the machine, and nothing more happens.
#![no_std]
#![no_main]

use ulib::{Arguments, Errno, ExitStatus, Signal, process};

ulib::program!(main);

fn main(arguments: Arguments) -> Result<(), Errno> {
    let steps = arguments.number(1, 10);
    let eve = process::spawn("eve")?;
    let alice = process::spawn_words("alice", [steps])?;
    let status = process::wait(alice)?;
    assert!(status == ExitStatus::exited(0), "Alice ended with {status}");
    assert!(process::try_wait(eve)?.is_none(), "Eve has ended");
    ulib::println!("Alice has greeted {steps} times while Eve was looping. Bye, Eve!");

    process::kill(eve, Signal::SIGKILL)?;
    let status = process::wait(eve)?;
    assert!(
        status == ExitStatus::killed(Signal::SIGKILL),
        "Eve ended with {status}"
    );
    Ok(())
}
