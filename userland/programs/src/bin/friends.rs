//! Alice and Eve: one program that loops for ever does not stop the others, not even on one CPU.
//!
//! `friends [STEPS]` starts Eve, who never gives up her CPU, then Alice, who greets STEPS times (10). Once Alice is
//! done Eve must still be running, and is killed. What lets Alice run is the timer: with `break=timer` and one CPU Eve
//! keeps the machine, and nothing more happens.
//!
//! `friends attack`: Eve tries to stop Alice by having the kernel write into her memory. The kernel refuses, unless
//! `break=usercopy` lets users name any memory.
#![no_std]
#![no_main]

use ulib::{Arguments, Errno, ExitStatus, Signal, file, process};

ulib::program!(main);

fn main(arguments: Arguments) -> Result<(), Errno> {
    if arguments.get(1) == Some("attack") {
        return attack();
    }
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

fn attack() -> Result<(), Errno> {
    let (reader, writer) = file::pipe()?;
    let input = file::duplicate(0)?;
    // Alice inherits the pipe as her standard input: the lowest descriptor that is free.
    file::close(0)?;
    let end = reader.duplicate()?;
    let alice = process::spawn_with("alice", "10 wait")?;
    drop((end, reader));
    let _input = input.duplicate()?;

    process::sleep_ms(100);
    let eve = process::spawn_with("eve", "attack")?;
    let eve = process::wait(eve)?;
    // Now Alice goes on.
    drop(writer);
    let alice = process::wait(alice)?;
    assert!(alice == ExitStatus::exited(0), "Alice ended with {alice}");
    assert!(eve == ExitStatus::exited(0), "Eve ended with {eve}");
    ulib::println!("The kernel does not write for Eve where she could not write herself.");
    Ok(())
}
