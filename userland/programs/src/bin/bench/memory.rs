//! Rows about mappings. Where CPUs have a part in it, each runs a thread of the program ([`with_spinners`]).

use core::hint::black_box;

use abi::layout::PAGE_SIZE;
use ulib::Protection;
use ulib::mapping::{MapRequest, Mapping, protect};

use crate::Setting;
use crate::measure::{best, best_per};
use crate::spinners::with_spinners;

/// First touches of so many pages, each time of a new mapping.
pub(crate) fn page_faults(name: &str, setting: Setting, pages: usize) {
    let count = 20 / setting.scale + 1;
    best_per(name, count, pages, || map_and_touch(pages));
}

/// Maps a page, writes to it and unmaps it.
pub(crate) fn map_touch_unmap(name: &str, setting: Setting, _: usize) {
    best(name, 1500 / setting.scale + 1, || map_and_touch(1));
}

/// The same with so many remote CPUs.
pub(crate) fn unmap_page(name: &str, setting: Setting, remote: usize) {
    with_spinners(remote, || {
        best(name, 500 / setting.scale + 1, || map_and_touch(1));
    });
}

/// Maps 64 pages, writes to each and unmaps all, with so many remote CPUs.
pub(crate) fn unmap_64_pages(name: &str, setting: Setting, remote: usize) {
    with_spinners(remote, || {
        best(name, 60 / setting.scale + 1, || map_and_touch(64));
    });
}

/// Takes away and gives back the right to write a page, in turn, with so many remote CPUs.
pub(crate) fn protect_page(name: &str, setting: Setting, remote: usize) {
    let memory = map_and_fill(64);
    let mut is_writable = true;
    let mut change = || {
        is_writable = !is_writable;
        let rights = match is_writable {
            true => Protection::READ | Protection::WRITE,
            false => Protection::READ,
        };
        if let Err(errno) = protect(memory.address(), PAGE_SIZE, rights) {
            panic!("cannot protect: {errno}");
        }
    };
    with_spinners(remote, || best(name, 1000 / setting.scale + 1, &mut change));
}

/// Maps so many pages, writes a word into each, and unmaps them.
#[inline]
pub(crate) fn map_and_touch(pages: usize) {
    drop(black_box(map_and_fill(pages)));
}

#[inline]
fn map_and_fill(pages: usize) -> Mapping {
    match Mapping::new(&MapRequest::anonymous(pages * PAGE_SIZE)) {
        Ok(memory) => {
            let words = memory.words().iter().step_by(PAGE_SIZE / 8);
            words.for_each(|word| word.store(1, core::sync::atomic::Ordering::Relaxed));
            memory
        }
        Err(errno) => panic!("cannot map {pages} pages: {errno}"),
    }
}
