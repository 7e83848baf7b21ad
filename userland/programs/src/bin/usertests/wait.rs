//! Waiting for children.

use abi::layout::PAGE_SIZE;
use abi::{WAIT_ANY, decode};
use ulib::file;
use ulib::mapping::{MapRequest, map, unmap};
use ulib::{Errno, ExitStatus, Pid, process, system_call};

use crate::check::{UNMAPPED, join, kill, ok, start, start_spinner};
use crate::runner::tests;
use crate::thread_tools::{result, spawn, spawn_waiter};

tests![
    a_child_is_waited_for_once,
    any_child_will_do_and_each_comes_once,
    polling_returns_at_once,
    waiting_without_a_child_is_an_error,
    strangers_cannot_be_waited_for,
    wait_refuses_flags_and_ids_without_a_meaning,
    a_bad_status_pointer_does_not_lose_the_child,
    a_place_that_goes_while_its_owner_waits_does_not_lose_the_child,
    threads_that_wait_for_any_child_get_each_one,
    waiting_blocks_until_the_child_ends,
    waiting_for_one_leaves_the_others,
    orphans_become_children_of_init,
    an_orphan_that_has_ended_already_is_reaped,
    many_children_end_at_once,
];

fn a_child_is_waited_for_once() {
    let child = start(|| ());
    join(child);
    assert_eq!(process::wait(child), Err(Errno::ECHILD));
}

fn any_child_will_do_and_each_comes_once() {
    let mut children = core::array::from_fn::<Pid, 8, _>(|code| ok(process::start(|| code as i32)));
    for _ in 0..children.len() {
        let (ended, status) = ok(process::wait_any());
        let position = children.iter().position(|&child| child == ended);
        let Some(position) = position else {
            panic!("{ended} is no child, or comes twice")
        };
        assert_eq!(status, ExitStatus::exited(position as i32));
        children[position] = 0;
    }
    assert_eq!(process::wait_any(), Err(Errno::ECHILD));
}

fn polling_returns_at_once() {
    let spinner = start_spinner();
    assert_eq!(process::try_wait(spinner), Ok(None));
    assert_eq!(process::try_wait(WAIT_ANY), Ok(None));
    kill(spinner);
    let child = start(|| ());
    loop {
        match ok(process::try_wait(child)) {
            Some(ended) => break assert_eq!(ended, (child, ExitStatus::exited(0))),
            None => process::yield_now(),
        }
    }
}

fn waiting_without_a_child_is_an_error() {
    assert_eq!(process::wait_any(), Err(Errno::ECHILD));
    assert_eq!(process::try_wait(WAIT_ANY), Err(Errno::ECHILD));
}

fn strangers_cannot_be_waited_for() {
    let child = start_spinner();
    for stranger in [
        process::getpid(),
        process::getppid(),
        abi::INIT_PID,
        0x7fff_fff0,
    ] {
        assert_eq!(process::wait(stranger), Err(Errno::ECHILD), "{stranger}");
    }
    kill(child);
}

fn wait_refuses_flags_and_ids_without_a_meaning() {
    let child = start(|| ());
    for (id, flags) in [
        (child, 2),
        (child, 0x8000_0000),
        (0, 0),
        (-2, 0),
        (i32::MIN, 0),
    ] {
        // SAFETY: a null status is not written.
        let result = unsafe { system_call::waitpid(id, core::ptr::null_mut(), flags) };
        assert_eq!(
            decode(result),
            Err(Errno::EINVAL),
            "id {id}, flags {flags:#x}"
        );
    }
    join(child);
}

fn a_bad_status_pointer_does_not_lose_the_child() {
    let child = ok(process::start(|| 9));
    // SAFETY: the kernel cannot write there.
    let result = unsafe { system_call::waitpid(child, UNMAPPED as *mut i32, 0) };
    assert_eq!(decode(result), Err(Errno::EFAULT));
    assert_eq!(process::wait(child), Ok(ExitStatus::exited(9)));
}

fn a_place_that_goes_while_its_owner_waits_does_not_lose_the_child() {
    for waits_for_any in [false, true] {
        let (reader, writer) = ok(file::pipe());
        let child = ok(process::start(|| {
            ok(reader.read_full(&mut [0]));
            9
        }));
        let wanted = if waits_for_any { WAIT_ANY } else { child };
        let place = ok(map(&MapRequest::anonymous(PAGE_SIZE)));
        let waiter = spawn_waiter(move || {
            // SAFETY: nothing else uses the page.
            decode(unsafe { system_call::waitpid(wanted, place as *mut i32, 0) })
        });
        // SAFETY: only the kernel uses it, and finds that it is gone.
        ok(unsafe { unmap(place, PAGE_SIZE) });
        ok(writer.write_all(&[0]));
        assert_eq!(result(waiter), Err(Errno::EFAULT));
        assert_eq!(process::wait(child), Ok(ExitStatus::exited(9)));
    }
}

/// One of them has all of it, and the others go on waiting for the next.
fn threads_that_wait_for_any_child_get_each_one() {
    let children = [3, 4, 5, 6].map(|code| ok(process::start(|| code)));
    let waiters = [(); 4].map(|()| spawn(|| ok(process::wait_any())));
    let ended = waiters.map(result);
    for (child, code) in children.into_iter().zip([3, 4, 5, 6]) {
        assert!(
            ended.contains(&(child, ExitStatus::exited(code))),
            "{ended:?}"
        );
    }
    assert_eq!(process::wait_any(), Err(Errno::ECHILD));
}

fn waiting_blocks_until_the_child_ends() {
    let start_ns = process::clock_ns();
    join(start(|| process::sleep_ms(30)));
    assert!(process::clock_ns() - start_ns >= 30_000_000);
}

fn waiting_for_one_leaves_the_others() {
    let children = [3, 4, 5].map(|code| ok(process::start(|| code)));
    for (child, code) in children.into_iter().zip([3, 4, 5]).rev() {
        assert_eq!(process::wait(child), Ok(ExitStatus::exited(code)));
    }
}

fn orphans_become_children_of_init() {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        start(|| {
            while process::getppid() != abi::INIT_PID {
                process::yield_now();
            }
            ok(writer.write_all(b"adopted"));
        });
    });
    drop(writer);
    join(child);
    let mut text = [0; 8];
    assert_eq!(reader.read_full(&mut text), Ok(7));
    assert_eq!(
        process::wait_any(),
        Err(Errno::ECHILD),
        "the orphan is not our child"
    );
}

/// The runner's look at the table of processes says whether it was.
fn an_orphan_that_has_ended_already_is_reaped() {
    join(start(|| {
        let grandchild = start(|| ());
        while process::kill(grandchild, ulib::Signal::SIGTERM) != Err(Errno::ESRCH) {
            process::yield_now();
        }
    }));
}

fn many_children_end_at_once() {
    let (reader, writer) = ok(file::pipe());
    let children = core::array::from_fn::<Pid, 24, _>(|number| {
        ok(process::start(|| {
            ok(reader.read_full(&mut [0]));
            number as i32
        }))
    });
    ok(writer.write_all(&[0; 24]));
    for (child, code) in children.into_iter().zip(0..) {
        assert_eq!(process::wait(child), Ok(ExitStatus::exited(code)));
    }
}
