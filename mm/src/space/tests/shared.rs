//! Regions that show memory, or a file, that others write too.

use std::sync::Arc;

use super::files::CountingFile;
use super::{READ, WRITE, address, anonymous_frames, load, range, store};
use crate::addr::PAGE_SIZE;
use crate::error::SpaceError;
use crate::frame::Frame;
use crate::hw::host::machine;
use crate::space::{
    FileBacking, ForkPolicy, PageSource, PageSourceError, Protection, Region, RegionFlags,
    SharedPages, Space,
};
use crate::user::BadUserAddress;

/// A space with a region at page 0 that shows `source` from its start on, shared.
fn space_that_shares(source: &Arc<dyn PageSource>, len_pages: usize) -> Arc<Space> {
    let shared = FileBacking::shared(source.clone(), 0).unwrap();
    let space = Space::new().unwrap();
    space
        .add(Region::file(range(0, len_pages), WRITE, shared))
        .unwrap();
    space
}

#[test]
fn what_is_stored_to_shared_memory_is_loaded_from_it_in_all_spaces() {
    let _machine = machine();
    let before = anonymous_frames();
    let memory: Arc<dyn PageSource> = SharedPages::new(4).unwrap();
    let [left, right] = [0, 1].map(|_| space_that_shares(&memory, 4));
    drop(memory);
    assert_eq!(load(&left, 1), Ok(0));
    store(&left, 1, 5).unwrap();
    assert_eq!(load(&right, 1), Ok(5));
    store(&right, 1, 6).unwrap();
    assert_eq!(load(&left, 1), Ok(6));
    assert_eq!(anonymous_frames(), before + 1);
    drop((left, right));
    assert_eq!(anonymous_frames(), before);
}

#[test]
fn a_store_to_a_shared_file_reaches_the_file_and_those_who_have_it_mapped_privately() {
    let _machine = machine();
    let file: Arc<dyn PageSource> = CountingFile::new(2 * PAGE_SIZE);
    let writer = space_that_shares(&file, 2);
    let private = FileBacking::new(file.clone(), 0, u64::MAX).unwrap();
    let reader = Space::new().unwrap();
    reader
        .add(Region::file(range(0, 2), READ, private))
        .unwrap();
    assert_eq!(load(&reader, 1), Ok(1512));
    store(&writer, 1, 7).unwrap();
    let mut word = [0; 8];
    file.page(1).unwrap().read_bytes(0, &mut word);
    assert_eq!((u64::from_ne_bytes(word), load(&reader, 1)), (7, Ok(7)));
}

/// A file that may be mapped, but not written.
struct ReadOnly(Arc<dyn PageSource>);

impl PageSource for ReadOnly {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        self.0.page(index)
    }
    fn len_bytes(&self) -> u64 {
        self.0.len_bytes()
    }
    fn is_read_only(&self) -> bool {
        true
    }
}

#[test]
fn what_shows_a_read_only_source_is_never_writable_unless_it_is_private() {
    let _machine = machine();
    let source: Arc<dyn PageSource> = Arc::new(ReadOnly(CountingFile::new(2 * PAGE_SIZE)));
    let shared = || FileBacking::shared(source.clone(), 0).unwrap();
    let private = FileBacking::new(source.clone(), 0, u64::MAX).unwrap();
    let space = Space::new().unwrap();
    let refused = space.add(Region::file(range(0, 2), WRITE, shared()));
    assert_eq!(refused, Err(SpaceError::ReadOnly));
    space
        .add(Region::file(range(0, 2), READ, shared()))
        .unwrap();
    space.add(Region::file(range(2, 2), READ, private)).unwrap();
    for refused in [
        space.protect(range(1, 3), WRITE),
        space.protect_and_pin(range(0, 1), WRITE, true),
    ] {
        assert_eq!(refused, Err(SpaceError::ReadOnly));
    }
    assert_eq!(store(&space, 2, 7), Err(BadUserAddress), "half done");
    space.protect(range(2, 2), WRITE).unwrap();
    store(&space, 2, 7).unwrap();
    space.protect(range(0, 2), Protection::EXECUTE).unwrap();
    assert_eq!((load(&space, 0), load(&space, 2)), (Ok(1000), Ok(7)));
}

#[test]
fn a_fork_shares_what_was_shared_before() {
    let _machine = machine();
    for policy in [
        ForkPolicy::Shared,
        ForkPolicy::Naive,
        ForkPolicy::Eager,
        ForkPolicy::CopyOnWrite,
    ] {
        let memory: Arc<dyn PageSource> = SharedPages::new(2).unwrap();
        let parent = space_that_shares(&memory, 2);
        store(&parent, 0, 5).unwrap();
        // The stack of who forks may lie in shared memory, too.
        let child = parent.fork_at(policy, address(0)).unwrap();
        store(&child, 0, 6).unwrap();
        assert_eq!(load(&parent, 0), Ok(6), "{policy:?}");
        store(&parent, 0, 7).unwrap();
        store(&parent, 1, 8).unwrap();
        let seen = [load(&child, 0), load(&child, 1)];
        assert_eq!(seen, [Ok(7), Ok(8)], "{policy:?}");
    }
}

#[test]
fn past_the_end_of_a_shared_file_is_memory_of_the_spaces_own() {
    let _machine = machine();
    let file: Arc<dyn PageSource> = CountingFile::new(PAGE_SIZE);
    let [left, right] = [0, 1].map(|_| space_that_shares(&file, 2));
    store(&left, 1, 5).unwrap();
    assert_eq!((load(&left, 1), load(&right, 1)), (Ok(5), Ok(0)));
}

#[test]
fn an_eager_region_that_is_pinned_and_for_which_memory_is_short_leaves_nothing_behind() {
    let _machine = machine();
    let before = anonymous_frames();
    let space = Space::new().unwrap();
    let flags = RegionFlags::EAGER | RegionFlags::PINNED;
    let huge = crate::frame::accounts().free + 1;
    assert!(
        space
            .add(Region::anonymous(range(0, huge), WRITE, flags))
            .is_err()
    );
    assert_eq!(anonymous_frames(), before);
    assert!(load(&space, 0).is_err());
}
