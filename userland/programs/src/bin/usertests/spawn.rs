//! Starting programs.

use abi::layout::ARGUMENT_MAX;
use abi::{OpenFlags, PATH_MAX, Pid, decode};
use ulib::file::{self, File};
use ulib::{Errno, ExitStatus, process, system_call};

use crate::check::{ok, status_of};
use crate::files;
use crate::helper;
use crate::runner::tests;

tests![
    arguments_arrive_as_they_were_given,
    a_program_inherits_descriptors_0_to_2_only,
    a_program_inherits_its_parents_affinity,
    a_program_starts_with_fresh_floating_point_state,
    what_is_no_program_cannot_be_started,
    damaged_programs_are_refused_and_leave_nothing,
    argument_strings_have_a_bound,
    a_program_of_the_kernel_does_not_wait_for_itself_to_read,
    arguments_of_programs_of_the_kernel_have_the_same_bound,
    many_programs_start_and_end,
];

fn expect_fine(words: &[&str]) {
    let arguments = core::iter::once(&helper::OPTION).chain(words);
    let status = ok(process::spawn_words("usertests", arguments).and_then(process::wait));
    assert_eq!(status, ExitStatus::exited(helper::FINE));
}

fn arguments_arrive_as_they_were_given() {
    let mut words = ["arguments"; 1 + helper::WORDS.len()];
    words[1..].copy_from_slice(&helper::WORDS);
    expect_fine(&words);
}

fn a_program_inherits_descriptors_0_to_2_only() {
    let files = [(); 3].map(|()| ok(File::open("hello", OpenFlags::READ)));
    assert!(files.iter().all(|file| file.descriptor() > 2));
    expect_fine(&["descriptors"]);
}

fn a_program_inherits_its_parents_affinity() {
    let last = process::cpu_count() - 1;
    process::pin(last);
    let mut digits = ulib::FixedString::<20>::new();
    assert!(core::fmt::Write::write_fmt(&mut digits, format_args!("{last}")).is_ok());
    expect_fine(&["pinned", digits.as_str()]);
}

fn a_program_starts_with_fresh_floating_point_state() {
    // SAFETY: xmm15 is declared as changed; the rounding mode is put back below.
    unsafe {
        core::arch::asm!("pcmpeqd xmm15, xmm15", "fldz", "fstp st(0)", out("xmm15") _, out("st(0)") _);
    }
    expect_fine(&["float"]);
}

fn what_is_no_program_cannot_be_started() {
    files::fill_scratch(files::SCRATCH_A, b"#!/bin/sh\n");
    let too_long_name = [b'x'; abi::NAME_MAX + 1];
    let too_long_path = [b'/'; PATH_MAX + 1];
    let cases = [
        ("", Errno::ENOENT),
        ("nosuch", Errno::ENOENT),
        ("nosuch/hello", Errno::ENOENT),
        ("hello/x", Errno::ENOTDIR),
        ("hello/", Errno::ENOTDIR),
        ("/", Errno::EISDIR),
        (files::SCRATCH_A, Errno::ENOEXEC),
        (files::SCRATCH_B, Errno::ENOEXEC), // empty
        (text(&too_long_name), Errno::ENAMETOOLONG),
        (text(&too_long_path), Errno::ENAMETOOLONG),
    ];
    for (name, expected) in cases {
        assert_eq!(process::spawn(name), Err(expected), "'{name:.40}'");
        let with_argument = process::spawn_with(name, "argument");
        assert_eq!(with_argument, Err(expected), "'{name:.40}'");
    }
    assert_eq!(
        process::wait_any(),
        Err(Errno::ECHILD),
        "there is a child all the same"
    );
    files::empty_scratch(files::SCRATCH_A);
}

/// Where in an ELF file something stands, how many bytes it is long, and a value that makes no sense there.
const DAMAGES: [(usize, &[u8]); 13] = [
    (0, b"\x7fELG"),
    (4, &[1]),                                                    // 32-bit
    (5, &[2]),                                                    // big-endian
    (16, &[1, 0]),                                                // an object file
    (18, &[0xb7, 0]),                                             // for another machine
    (24, &[0, 0, 0x20, 0, 0, 0, 0, 0]),                           // the entry in the kernel
    (32, &[0xff; 8]),                        // the segment table behind the end
    (54, &[55, 0]),                          // entries of a strange size
    (64 + 8, &[0xff; 8]),                    // a segment's bytes behind the end
    (64 + 16, &[0, 0, 0x20, 0, 0, 0, 0, 0]), // a segment in the kernel
    (64 + 16, &[0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), // in the last page
    (64 + 16, &[0, 0xe0, 0x1f, 0, 0, 0x80, 0xff, 0xff]), // where the stack is
    (64 + 40, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), // of a size that wraps
];

fn damaged_programs_are_refused_and_leave_nothing() {
    let mut program = alloc::vec::Vec::new();
    let nop = ok(File::open("nop", OpenFlags::READ));
    program.resize(ok(nop.seek(0, ulib::Whence::End)) as usize, 0);
    ok(nop.seek(0, ulib::Whence::Start));
    assert_eq!(nop.read_full(&mut program), Ok(program.len()));

    for (position, bytes) in DAMAGES {
        let mut damaged = program.clone();
        damaged[position..position + bytes.len()].copy_from_slice(bytes);
        files::fill_scratch(files::SCRATCH_A, &damaged);
        assert_eq!(
            process::spawn(files::SCRATCH_A),
            Err(Errno::ENOEXEC),
            "{bytes:?} at {position}"
        );
    }
    // Cut off within its headers, and within its first segment.
    for len in [4, 63, 100, 0x1010] {
        files::fill_scratch(files::SCRATCH_A, &program[..len]);
        assert_eq!(
            process::spawn(files::SCRATCH_A),
            Err(Errno::ENOEXEC),
            "only {len} bytes"
        );
    }
    files::fill_scratch(files::SCRATCH_A, &program);
    assert_eq!(
        process::spawn(files::SCRATCH_A).and_then(process::wait),
        Ok(ExitStatus::exited(0))
    );
    files::empty_scratch(files::SCRATCH_A);
}

fn argument_strings_have_a_bound() {
    let arguments = [b'x'; ARGUMENT_MAX + 1];
    let spawn_with_len = |len: usize| process::spawn_with("nop", text(&arguments[..len]));
    let room = ARGUMENT_MAX - "nop ".len();
    assert_eq!(
        spawn_with_len(room).and_then(process::wait),
        Ok(ExitStatus::exited(0))
    );
    assert_eq!(spawn_with_len(room + 1), Err(Errno::E2BIG));
    assert_eq!(spawn_with_len(ARGUMENT_MAX + 1), Err(Errno::E2BIG));
}

/// It writes to a full pipe, whose reading end nobody else has any more.
fn a_program_of_the_kernel_does_not_wait_for_itself_to_read() {
    let status = status_of(|| {
        let (reader, writer) = ok(file::pipe());
        // As many as fit, without waiting for a reader.
        for _ in 0..64 {
            ok(writer.write_all(&[0; 1024]));
        }
        for (fd, end) in [(0, reader), (1, writer)] {
            ok(file::close(fd));
            assert_eq!(ok(end.duplicate()).into_descriptor(), fd);
        }
        let program = ok(process::spawn("unitcosts"));
        for fd in 0..2 {
            ok(file::close(fd));
        }
        // Whatever it thinks of that.
        ok(process::wait(program));
        0
    });
    assert_eq!(status, ExitStatus::exited(0), "the program has ended");
}

fn arguments_of_programs_of_the_kernel_have_the_same_bound() {
    let arguments = [b'x'; ARGUMENT_MAX];
    let spawned = process::spawn_with("forkpolicy", text(&arguments));
    assert_eq!(spawned, Err(Errno::E2BIG));
    // SAFETY: the kernel only reads, from strings with their NULs.
    let result =
        unsafe { system_call::spawn_with(c"forkpolicy".as_ptr().cast(), c"\xff".as_ptr().cast()) };
    // It starts, and finds no such policy.
    let program = ok(decode(result)) as Pid;
    assert_ne!(process::wait(program), Ok(ExitStatus::exited(0)));
}

fn many_programs_start_and_end() {
    let children = [(); 16].map(|()| ok(process::spawn("nop")));
    for child in children {
        assert_eq!(process::wait(child), Ok(ExitStatus::exited(0)));
    }
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}
