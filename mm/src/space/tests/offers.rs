//! Pages that one space offers to another.

use std::sync::Arc;

use super::{READ, WRITE, address, anonymous_frames, load, range, space_with, store};
use crate::error::SpaceError;
use crate::hw::host::machine;
use crate::space::{ForkPolicy, OfferedPage, Region, RegionFlags, Space};
use crate::user::BadUserAddress;

/// Maps what `owner` has offered at page 8 of `taker`; false if it is not there any more.
fn take(owner: &Space, offered: &OfferedPage, taker: &Space) -> bool {
    match owner.take_offer(offered).unwrap() {
        Some(taken) => taker.attach(address(8), taken).is_ok(),
        None => false,
    }
}

fn empty() -> Arc<Space> {
    Space::new().unwrap()
}

#[test]
fn an_offered_page_keeps_its_contents_and_is_the_same_on_both_sides() {
    let _machine = machine();
    let before = anonymous_frames();
    let (owner, taker) = (space_with(0, 3, WRITE), empty());
    for page in 0..3 {
        store(&owner, page, 10 + page as u64).unwrap();
    }
    let offered = owner.offer(address(1)).unwrap();
    assert!(take(&owner, &offered, &taker));
    assert_eq!(load(&taker, 8), Ok(11));
    store(&taker, 8, 5).unwrap();
    assert_eq!(
        [0, 1, 2].map(|page| load(&owner, page)),
        [Ok(10), Ok(5), Ok(12)]
    );
    assert_eq!(anonymous_frames(), before + 3);
    drop(owner);
    assert_eq!(load(&taker, 8), Ok(5));
    drop(taker);
    assert!(!offered.is_there());
    assert_eq!(anonymous_frames(), before);
}

#[test]
fn an_offered_page_that_a_fork_shares_is_copied_first() {
    let _machine = machine();
    for policy in [ForkPolicy::Shared, ForkPolicy::CopyOnWrite] {
        let (owner, taker) = (space_with(0, 1, WRITE), empty());
        store(&owner, 0, 1).unwrap();
        let sibling = owner.fork(policy).unwrap();
        let offered = owner.offer(address(0)).unwrap();
        assert!(take(&owner, &offered, &taker));
        store(&taker, 8, 2).unwrap();
        assert_eq!(
            (load(&owner, 0), load(&sibling, 0)),
            (Ok(2), Ok(1)),
            "{policy:?}"
        );
    }
}

#[test]
fn what_is_there_instead_of_an_offered_page_is_not_given() {
    let _machine = machine();
    let (owner, taker) = (space_with(0, 1, WRITE), empty());
    let offered = owner.offer(address(0)).unwrap();
    owner.remove(range(0, 1)).unwrap();
    assert!(!take(&owner, &offered, &taker), "unmapped");
    owner
        .add(Region::anonymous(range(0, 1), WRITE, RegionFlags::empty()))
        .unwrap();
    assert!(!take(&owner, &offered, &taker), "private memory");
    let other = owner.offer(address(0)).unwrap();
    assert!(!take(&owner, &offered, &taker), "other shared memory");
    assert!(take(&owner, &other, &taker));
}

#[test]
fn rights_are_those_of_the_owner_when_the_page_is_taken() {
    let _machine = machine();
    let (owner, taker) = (space_with(0, 1, WRITE), empty());
    store(&owner, 0, 1).unwrap();
    let offered = owner.offer(address(0)).unwrap();
    owner.protect(range(0, 1), READ).unwrap();
    assert!(take(&owner, &offered, &taker));
    assert_eq!(store(&taker, 8, 2), Err(BadUserAddress));
    assert_eq!(taker.protect(range(8, 1), WRITE), Err(SpaceError::ReadOnly));
    owner.protect(range(0, 1), WRITE).unwrap();
    store(&owner, 0, 3).unwrap();
    assert_eq!(load(&taker, 8), Ok(3));
    assert_eq!(taker.protect(range(8, 1), WRITE), Err(SpaceError::ReadOnly));
}

#[test]
fn nothing_is_offered_where_nothing_is() {
    let _machine = machine();
    let owner = space_with(0, 1, WRITE);
    let refused = owner.offer(address(5)).map(drop);
    assert_eq!(refused, Err(SpaceError::NotMapped));
}
