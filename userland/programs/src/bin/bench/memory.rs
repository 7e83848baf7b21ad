//! Rows about mappings. Each is measured in the program's only thread, so no other CPU has a part in it.

use core::hint::black_box;

use abi::layout::PAGE_SIZE;
use ulib::Protection;
use ulib::mapping::{MapRequest, Mapping, protect};

use crate::Setting;
use crate::measure::{best, best_per};

/// First touches of so many pages, each time of a new mapping.
pub(crate) fn page_faults(name: &str, setting: Setting, pages: usize) {
    let count = 20 / setting.scale + 1;
    best_per(name, count, pages, || map_and_touch(pages));
}

/// Maps a page, writes to it and unmaps it; up to so many times.
pub(crate) fn map_touch_unmap(name: &str, setting: Setting, count: usize) {
    best(name, count / setting.scale + 1, || map_and_touch(1));
}

/// Maps so many pages, writes to each and unmaps all.
pub(crate) fn unmap_pages(name: &str, setting: Setting, pages: usize) {
    best(name, 60 / setting.scale + 1, || map_and_touch(pages));
}

/// Takes away and gives back the right to write a page, in turn.
pub(crate) fn protect_page(name: &str, setting: Setting, _: usize) {
    let memory = map_and_fill(64);
    let mut is_writable = true;
    best(name, 1000 / setting.scale + 1, || {
        is_writable = !is_writable;
        let rights = match is_writable {
            true => Protection::READ | Protection::WRITE,
            false => Protection::READ,
        };
        if let Err(errno) = protect(memory.address(), PAGE_SIZE, rights) {
            panic!("cannot protect: {errno}");
        }
    });
}

/// Maps so many pages, writes a word into each, and unmaps them.
#[inline]
fn map_and_touch(pages: usize) {
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
