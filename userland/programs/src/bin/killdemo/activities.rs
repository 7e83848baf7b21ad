//! What a child does until it is killed.

use abi::OpenFlags;
use abi::layout::PAGE_SIZE;
use core::sync::atomic::{AtomicU32, Ordering};

use ulib::file::{self, File};
use ulib::mapping::{MapRequest, Mapping};
use ulib::{CpuMask, Errno, MapFlags, Signal, common_pipe, futex, process, signal, thread};

/// What a child does. It returns only if that goes wrong, unless it ends by itself.
pub(crate) struct Activity {
    pub(crate) run: fn() -> Result<(), Errno>,
    pub(crate) ends_by_itself: bool,
}

const fn for_ever(run: fn() -> Result<(), Errno>) -> Activity {
    Activity {
        run,
        ends_by_itself: false,
    }
}

pub(crate) const ACTIVITIES: [Activity; 18] = [
    for_ever(spin),
    for_ever(sleep),
    for_ever(read_an_empty_pipe),
    for_ever(write_to_a_full_pipe),
    for_ever(wait_for_a_word),
    for_ever(fork_all_the_time),
    for_ever(wait_for_a_child),
    for_ever(wait_for_a_thread),
    for_ever(create_threads),
    for_ever(read_the_common_pipe),
    for_ever(write_to_the_common_pipe),
    for_ever(read_the_console),
    for_ever(touch_fresh_pages),
    for_ever(spawn_all_the_time),
    for_ever(handle_signals),
    for_ever(read_a_file),
    for_ever(go_round_the_cpus),
    Activity {
        run: || Ok(()),
        ends_by_itself: true,
    },
];

fn spin() -> Result<(), Errno> {
    loop {
        core::hint::spin_loop();
    }
}

fn sleep() -> Result<(), Errno> {
    process::sleep_ms(1_000_000);
    Ok(())
}

fn read_an_empty_pipe() -> Result<(), Errno> {
    let (reader, _writer) = file::pipe()?;
    reader.read(&mut [0]).map(drop)
}

fn write_to_a_full_pipe() -> Result<(), Errno> {
    let (_reader, writer) = file::pipe()?;
    loop {
        writer.write_all(&[0; 4096])?;
    }
}

fn wait_for_a_word() -> Result<(), Errno> {
    static WORD: AtomicU32 = AtomicU32::new(0);
    futex::wait(&WORD, 0)
}

fn fork_all_the_time() -> Result<(), Errno> {
    loop {
        let (leash, holder) = file::pipe()?;
        let grandchild = process::start(|| wait_for_end(&leash, &holder))?;
        drop((leash, holder));
        process::wait(grandchild)?;
    }
}

/// The grandchild never ends as long as this process lives.
fn wait_for_a_child() -> Result<(), Errno> {
    let (leash, holder) = file::pipe()?;
    let grandchild = process::start(|| wait_for_end(&leash, &holder))?;
    process::wait(grandchild).map(drop)
}

/// A grandchild: ends when nobody holds its leash any more.
fn wait_for_end(leash: &File, holder: &File) -> i32 {
    let ended = file::close(holder.descriptor()).and_then(|()| leash.read(&mut [0]));
    i32::from(ended != Ok(0))
}

fn wait_for_a_thread() -> Result<(), Errno> {
    let _: Option<()> = thread::spawn(|| process::sleep_ms(1_000_000))?.join();
    Ok(())
}

fn create_threads() -> Result<(), Errno> {
    loop {
        let threads = [thread::spawn(process::yield_now)?, thread::spawn(|| ())?];
        for thread in threads {
            thread.join().ok_or(Errno::ESRCH)?;
        }
    }
}

fn read_the_common_pipe() -> Result<(), Errno> {
    loop {
        common_pipe::read(&mut [0; 700])?;
    }
}

fn write_to_the_common_pipe() -> Result<(), Errno> {
    loop {
        common_pipe::write(&[1; 700])?;
    }
}

fn read_the_console() -> Result<(), Errno> {
    loop {
        file::read(abi::STDIN, &mut [0])?;
    }
}

fn touch_fresh_pages() -> Result<(), Errno> {
    loop {
        let memory = Mapping::new(&MapRequest::anonymous(16 * PAGE_SIZE))?;
        for page in memory.words().chunks(PAGE_SIZE / 8) {
            page.iter()
                .take(1)
                .for_each(|word| word.store(1, Ordering::Relaxed));
        }
        drop(Mapping::new(
            &MapRequest::anonymous(4 * PAGE_SIZE).flags(MapFlags::EAGER),
        )?);
    }
}

fn spawn_all_the_time() -> Result<(), Errno> {
    loop {
        process::wait(process::spawn("nop")?)?;
    }
}

extern "C" fn do_nothing(_signal: i32, _address: usize, _kind: usize) {}

fn handle_signals() -> Result<(), Errno> {
    signal::handle(Signal::SIGUSR1, Some(do_nothing))?;
    loop {
        process::kill(process::getpid(), Signal::SIGUSR1)?;
    }
}

fn read_a_file() -> Result<(), Errno> {
    loop {
        let program = File::open("usertests", OpenFlags::READ)?;
        while program.read(&mut [0; 3000])? != 0 {}
    }
}

fn go_round_the_cpus() -> Result<(), Errno> {
    loop {
        for cpu in 0..process::cpu_count() {
            process::set_affinity(0, &CpuMask::single(cpu))?;
        }
    }
}
