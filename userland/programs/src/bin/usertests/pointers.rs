//! Addresses that a program may name but not have: every call that takes one answers with `EFAULT`.

use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_BOTTOM, STACK_TOP};
use abi::{Dirent, OpenFlags, SysInfo, decode};
use ulib::file::{self, File};
use ulib::{Errno, process, system_call};

use crate::check::{
    KERNEL_TEXT, LAST_PAGE, LONELY_PAGE_END, NOT_CANONICAL, UNMAPPED, join, lonely_page, ok, start,
};
use crate::runner::tests;

tests![
    writing_from_bad_addresses_is_refused,
    reading_into_bad_addresses_is_refused,
    reading_into_read_only_memory_is_refused,
    paths_at_bad_addresses_are_refused,
    a_path_without_an_end_is_refused,
    results_cannot_be_stored_at_bad_addresses,
    a_buffer_that_crosses_into_nothing_is_used_up_to_there,
    a_path_that_ends_with_its_page_is_read,
    a_structure_across_two_pages_is_stored,
    huge_lengths_do_not_wrap_around,
];

/// One of each kind.
pub(crate) const BAD_ADDRESSES: [(&str, usize); 12] = [
    ("null", 0),
    ("near null", 8),
    ("unmapped", UNMAPPED),
    ("below the stack", STACK_BOTTOM - 64),
    ("above the stack", STACK_TOP + 64),
    ("the kernel's text", KERNEL_TEXT),
    ("low kernel memory", 0x1000),
    ("high kernel memory", 0x7fff_ffff_f000),
    ("not canonical", NOT_CANONICAL),
    ("not canonical, low", 0x0000_8000_0000_0000),
    ("the last page", LAST_PAGE),
    ("about to wrap", usize::MAX - 7),
];

#[track_caller]
fn expect_fault(result: isize, what: &str) {
    assert_eq!(decode(result), Err(Errno::EFAULT), "{what}");
}

fn writing_from_bad_addresses_is_refused() {
    let (_reader, writer) = ok(file::pipe());
    let scratch = ok(File::open(crate::files::SCRATCH_A, OpenFlags::WRITE));
    for (what, address) in BAD_ADDRESSES {
        for len in [1, 8, 5000] {
            for fd in [writer.descriptor(), scratch.descriptor(), 1] {
                // SAFETY: the kernel only reads.
                expect_fault(
                    unsafe { system_call::write(fd, address as *const u8, len) },
                    what,
                );
            }
        }
    }
    assert_eq!(
        scratch.seek(0, ulib::Whence::End),
        Ok(0),
        "something was written"
    );
    crate::files::empty_scratch(crate::files::SCRATCH_A); // it may have got a page for what then did not come
}

fn reading_into_bad_addresses_is_refused() {
    let (reader, writer) = ok(file::pipe());
    ok(writer.write_all(&[7; 100]));
    let program = ok(File::open("hello", OpenFlags::READ));
    for (what, address) in BAD_ADDRESSES {
        for len in [1, 8, 5000] {
            for fd in [reader.descriptor(), program.descriptor()] {
                // SAFETY: the kernel cannot write there.
                expect_fault(
                    unsafe { system_call::read(fd, address as *mut u8, len) },
                    what,
                );
            }
        }
    }
    assert_eq!(
        program.seek(0, ulib::Whence::Current),
        Ok(0),
        "the offset has moved"
    );
    assert_eq!(reader.read(&mut [0; 200]), Ok(100), "bytes are lost");
}

fn reading_into_read_only_memory_is_refused() {
    static CONSTANT: [u8; 16] = *b"never to change!";
    let program = ok(File::open("hello", OpenFlags::READ));
    for address in [
        PROGRAM_BASE,
        reading_into_read_only_memory_is_refused as fn() as usize,
        (&raw const CONSTANT).addr(),
    ] {
        // SAFETY: the kernel must not write there; if it does, the test fails below or at once.
        expect_fault(
            unsafe { system_call::read(program.descriptor(), address as *mut u8, 8) },
            "program text",
        );
    }
    assert_eq!(core::hint::black_box(&CONSTANT), b"never to change!");
}

fn paths_at_bad_addresses_are_refused() {
    for (what, address) in BAD_ADDRESSES {
        let path = address as *const u8;
        // SAFETY: the kernel only reads.
        unsafe {
            expect_fault(system_call::open(path, 0), what);
            expect_fault(system_call::spawn(path), what);
            expect_fault(system_call::spawn_with(path, core::ptr::null()), what);
            if address != 0 {
                expect_fault(system_call::spawn_with(c"nop".as_ptr().cast(), path), what);
            }
        }
    }
    assert_eq!(process::wait_any(), Err(Errno::ECHILD));
}

fn a_path_without_an_end_is_refused() {
    let mut page = lonely_page();
    page.words().fill(u64::from_ne_bytes(*b"/./././."));
    let path = (LONELY_PAGE_END - 16) as *const u8;
    // SAFETY: the kernel only reads.
    unsafe {
        expect_fault(system_call::open(path, 0), "open");
        expect_fault(system_call::spawn(path), "spawn");
    }
}

fn results_cannot_be_stored_at_bad_addresses() {
    let child = start(|| ());
    let directory = ok(File::open("/", OpenFlags::READ));
    for (what, address) in BAD_ADDRESSES {
        // SAFETY: the kernel cannot write there.
        unsafe {
            if address != 0 {
                expect_fault(system_call::waitpid(child, address as *mut i32, 0), what);
            }
            expect_fault(system_call::pipe(address as *mut i32), what);
            expect_fault(
                system_call::sysinfo(address as *mut SysInfo, size_of::<SysInfo>()),
                what,
            );
            expect_fault(system_call::get_affinity(0, address as *mut u8, 128), what);
            expect_fault(
                system_call::readdir(directory.descriptor(), address as *mut Dirent, 128),
                what,
            );
        }
    }
    join(child);
}

fn a_buffer_that_crosses_into_nothing_is_used_up_to_there() {
    let mut page = lonely_page();
    page.words().fill(u64::from_ne_bytes([b'y'; 8]));
    let (reader, writer) = ok(file::pipe());
    let end = (LONELY_PAGE_END - 16) as *mut u8;
    // SAFETY: the kernel reads from the page, and cannot behind it.
    let written = decode(unsafe { system_call::write(writer.descriptor(), end, 64) });
    assert!(
        matches!(written, Ok(1..=16) | Err(Errno::EFAULT)),
        "{written:?}"
    );

    drop(reader);
    let (reader, writer) = ok(file::pipe());
    ok(writer.write_all(&[b'z'; 64]));
    // SAFETY: the kernel writes to the page's last 16 bytes, which nothing else uses, and cannot behind it.
    let read = decode(unsafe { system_call::read(reader.descriptor(), end, 64) });
    assert!(matches!(read, Ok(1..=16) | Err(Errno::EFAULT)), "{read:?}");
    // What was not delivered is still there.
    let delivered = read.unwrap_or(0);
    assert_eq!(reader.read(&mut [0; 64]), Ok(64 - delivered));
}

fn a_path_that_ends_with_its_page_is_read() {
    let mut page = lonely_page();
    let last = page.words().len() - 1;
    page.words()[last] = u64::from_ne_bytes(*b"//hello\0");
    // SAFETY: the kernel only reads, from a string with its NUL.
    let fd = ok(decode(unsafe {
        system_call::open((LONELY_PAGE_END - 8) as *const u8, 0)
    }));
    drop(File::from_descriptor(fd as i32));
}

fn a_structure_across_two_pages_is_stored() {
    let mut area = lonely_page();
    ok(area.grow(1));
    let middle = (LONELY_PAGE_END - 24) as *mut SysInfo;
    // SAFETY: the area goes on for a page behind the address, and nothing else uses it.
    let stored = unsafe {
        ok(decode(system_call::sysinfo(middle, size_of::<SysInfo>())));
        middle.read_unaligned()
    };
    assert_eq!(stored.cpus, process::cpu_count() as u64);
    assert_eq!(stored.total_frames, process::sysinfo().total_frames);
}

fn huge_lengths_do_not_wrap_around() {
    let mut page = lonely_page();
    let address = page.words().as_mut_ptr().cast::<u8>();
    for len in [
        usize::MAX,
        usize::MAX - address.addr(),
        isize::MAX as usize,
        usize::MAX - PAGE_SIZE,
    ] {
        let (_reader, writer) = ok(file::pipe());
        // SAFETY: the kernel only reads.
        let result = decode(unsafe { system_call::write(writer.descriptor(), address, len) });
        let fits_the_page = result.is_ok_and(|written| written <= PAGE_SIZE);
        assert!(
            fits_the_page || result == Err(Errno::EFAULT),
            "{len:#x}: {result:?}"
        );
    }
}
