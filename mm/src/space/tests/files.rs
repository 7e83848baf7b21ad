//! Regions that show parts of files.

use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::{READ, WRITE, anonymous_frames, load, load_at, range, store};
use crate::addr::PAGE_SIZE;
use crate::error::SpaceError;
use crate::frame::{Frame, FrameKind, alloc_zeroed};
use crate::hw::host::machine;
use crate::space::{
    FaultAccess, FaultError, FileBacking, ForkPolicy, PageSource, PageSourceError, Protection,
    Region, RegionFlags, Space,
};

/// A file whose word `n` is `1000 + n`.
pub(super) struct CountingFile {
    frames: Mutex<Vec<Frame>>,
    len_bytes: u64,
}

impl CountingFile {
    pub(super) fn new(len_bytes: usize) -> Arc<CountingFile> {
        let frames = (0..len_bytes.div_ceil(PAGE_SIZE)).map(|index| {
            let frame = alloc_zeroed(FrameKind::File).unwrap();
            let len_here = (len_bytes - index * PAGE_SIZE).min(PAGE_SIZE);
            for word in 0..len_here / 8 {
                frame.write_bytes(
                    8 * word,
                    &(1000 + (index * 512 + word) as u64).to_ne_bytes(),
                );
            }
            frame
        });
        Arc::new(CountingFile {
            frames: Mutex::new(frames.collect()),
            len_bytes: len_bytes as u64,
        })
    }

    /// The file becomes one page.
    fn truncate(&self) {
        self.frames.lock().unwrap().truncate(1);
    }
}

impl PageSource for CountingFile {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        assert!(smp::irq::are_enabled());
        smp::pin::assert_may_switch();
        let frames = self.frames.lock().unwrap();
        frames
            .get(index as usize)
            .map(Frame::share)
            .ok_or(PageSourceError::PastEnd)
    }

    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
}

/// A region at page 0 that shows `file` from its page `first` on, `len_bytes` bytes of it.
fn shows(
    file: &Arc<CountingFile>,
    first: u64,
    len_bytes: u64,
    len_pages: usize,
    protection: Protection,
) -> Region {
    let backing = FileBacking::new(file.clone(), first * PAGE_SIZE as u64, len_bytes).unwrap();
    Region::file(range(0, len_pages), protection, backing)
}

fn space_of(region: Region) -> Arc<Space> {
    let space = Space::new().unwrap();
    space.add(region).unwrap();
    space
}

#[test]
fn a_file_is_seen_by_offset_and_zero_past_its_end() {
    let _machine = machine();
    let file = CountingFile::new(3 * PAGE_SIZE + 16);
    let space = space_of(shows(&file, 1, u64::MAX, 5, READ));
    let words: Vec<_> = (0..5).map(|page| load(&space, page).unwrap()).collect();
    assert_eq!(words, [1512, 2024, 2536, 0, 0]);
    assert_eq!(
        [1, 2].map(|word| load_at(&space, 2, word).unwrap()),
        [2537, 0]
    );
}

#[test]
fn what_is_behind_the_limit_is_zero_whatever_the_file_has_there() {
    let _machine = machine();
    let file = CountingFile::new(4 * PAGE_SIZE);
    let space = space_of(shows(&file, 0, PAGE_SIZE as u64 + 16, 3, READ));
    let words = [(1, 0), (1, 1), (1, 2), (1, 511), (2, 0)];
    assert_eq!(
        words.map(|(page, word)| load_at(&space, page, word).unwrap()),
        [1512, 1513, 0, 0, 0]
    );
}

#[test]
fn readers_of_a_file_share_its_frames() {
    let _machine = machine();
    let file = CountingFile::new(2 * PAGE_SIZE);
    let before = anonymous_frames();
    let spaces = [0, 1, 2].map(|_| space_of(shows(&file, 0, u64::MAX, 2, WRITE)));
    for space in &spaces {
        assert_eq!([load(space, 0), load(space, 1)], [Ok(1000), Ok(1512)]);
    }
    assert_eq!(anonymous_frames(), before);
    assert_eq!(file.page(0).unwrap().references(), 1 + 3 + 1);
}

#[test]
fn a_write_is_private_whether_or_not_the_page_was_read_before() {
    let _machine = machine();
    let file = CountingFile::new(2 * PAGE_SIZE);
    let [writer, reader] = [0, 1].map(|_| space_of(shows(&file, 0, u64::MAX, 2, WRITE)));
    load(&writer, 0).unwrap();
    for page in [0, 1] {
        store(&writer, page, 7).unwrap();
        assert_eq!(
            (load(&writer, page), load(&reader, page)),
            (Ok(7), Ok(1000 + 512 * page as u64))
        );
        assert_eq!(load_at(&writer, page, 1), Ok(1001 + 512 * page as u64));
    }
}

#[test]
fn a_write_to_a_page_that_only_the_file_shares_does_not_reach_the_file() {
    let _machine = machine();
    let file = CountingFile::new(PAGE_SIZE);
    let space = space_of(shows(&file, 0, u64::MAX, 1, WRITE));
    let child = space.fork(ForkPolicy::CopyOnWrite).unwrap();
    load(&child, 0).unwrap();
    store(&child, 0, 7).unwrap();
    drop(child);
    assert_eq!(load(&space, 0), Ok(1000));
}

#[test]
fn an_eager_file_region_is_mapped_at_once_and_still_private() {
    let _machine = machine();
    let file = CountingFile::new(2 * PAGE_SIZE);
    let region = shows(&file, 0, u64::MAX, 2, WRITE).with_flags(RegionFlags::EAGER);
    let space = space_of(region);
    assert_eq!(file.page(1).unwrap().references(), 3);
    store(&space, 1, 5).unwrap();
    assert_eq!(file.page(1).unwrap().references(), 2);
}

#[test]
fn a_file_that_has_become_shorter_reads_as_zeros() {
    let _machine = machine();
    let file = CountingFile::new(2 * PAGE_SIZE);
    let space = space_of(shows(&file, 0, u64::MAX, 2, WRITE));
    file.truncate();
    assert_eq!([load(&space, 0), load(&space, 1)], [Ok(1000), Ok(0)]);
}

/// A file that cannot be read.
struct BrokenFile(PageSourceError);

impl PageSource for BrokenFile {
    fn page(&self, _index: u64) -> Result<Frame, PageSourceError> {
        Err(self.0)
    }
    fn len_bytes(&self) -> u64 {
        u64::MAX
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_an_eager_region_of_it_is_not_added() {
    let _machine = machine();
    for (why, class, refusal) in [
        (
            PageSourceError::Unreadable,
            FaultError::Unreadable,
            SpaceError::Unreadable,
        ),
        (
            PageSourceError::NoMemory,
            FaultError::NoMemory,
            SpaceError::NoMemory,
        ),
    ] {
        let file = FileBacking::new(Arc::new(BrokenFile(why)), 0, u64::MAX).unwrap();
        let region = Region::file(range(0, 1), READ, file);
        let space = space_of(region.clone());
        assert_eq!(
            space.fault(range(0, 1).start(), FaultAccess::READ),
            Err(class)
        );
        let space = Space::new().unwrap();
        assert_eq!(
            space.add(region.with_flags(RegionFlags::EAGER)),
            Err(refusal)
        );
        assert_eq!(
            space.fault(range(0, 1).start(), FaultAccess::READ),
            Err(FaultError::MissingPage)
        );
    }
}

/// A file that is slow: before it answers, `meanwhile` happens.
struct SlowFile<F>(F);

impl<F: Fn() + Send + Sync> PageSource for SlowFile<F> {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        (self.0)();
        CountingFile::new(4 * PAGE_SIZE).page(index)
    }
    fn len_bytes(&self) -> u64 {
        u64::MAX
    }
}

#[test]
fn what_happened_while_a_file_was_slow_counts() {
    let _machine = machine();
    let space = Space::new().unwrap();
    let changed = Arc::downgrade(&space);
    let replace_region = move || {
        let space = changed.upgrade().unwrap();
        space.remove(range(0, 1)).unwrap();
        let file = CountingFile::new(4 * PAGE_SIZE);
        space.add(shows(&file, 2, u64::MAX, 1, WRITE)).unwrap();
    };
    let slow: Arc<dyn PageSource> = Arc::new(SlowFile(replace_region));
    let backing = FileBacking::new(slow, 0, u64::MAX).unwrap();
    let region = Region::file(range(0, 1), WRITE, backing);
    space.add(region).unwrap();
    assert_eq!(load(&space, 0), Ok(1000 + 2 * 512));
}

#[test]
fn a_region_that_has_gone_while_a_file_was_slow_is_missing() {
    let _machine = machine();
    let space = Space::new().unwrap();
    let changed = Arc::downgrade(&space);
    let remove_region = move || changed.upgrade().unwrap().remove(range(0, 1)).unwrap();
    let slow: Arc<dyn PageSource> = Arc::new(SlowFile(remove_region));
    let backing = FileBacking::new(slow, 0, u64::MAX).unwrap();
    let region = Region::file(range(0, 1), WRITE, backing);
    space.add(region).unwrap();
    let fault = space.fault(range(0, 1).start(), FaultAccess::WRITE);
    assert_eq!(fault, Err(FaultError::MissingPage));
}
