//! Pages that one process offers to another: `share` and `attach`.
//!
//! The guarantee: a process gets a page of another only if that has offered this page to it, and as long as it has it
//! still. What makes it so for the memory itself stands in `mm` (`space/offer.rs`); here is who has offered what to
//! whom.
//!
//! - **OFFER-4** an offer is to an address space, whose number is never reused, and not to an id: a process that gets
//!   the partner's id later has nothing of it, and neither has a child of the partner.
//! - **OFFER-5** nobody holds another process while he waits for its memory to be free (EXIT-1): the space may be empty
//!   by then, and then nothing is attached.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, OFFERS_MAX};
use mm::SpaceError;
use mm::addr::VirtAddr;
use mm::flush::SpaceId;
use mm::space::{OfferedPage, Space};
use smp::lock::SpinLock;
use smp::rank;

use crate::process::Process;
use crate::thread::Id;
use crate::{futex, table};

/// The pages that a process has offered.
pub(crate) struct Offers(SpinLock<Vec<Offer>, rank::Offers>);

struct Offer {
    /// Where the owner has the page.
    address: VirtAddr,
    /// `None` while it is being made an offer of: the place in the list comes first, since it may be refused.
    page: Option<OfferedPage>,
    /// To whom (OFFER-4).
    space: SpaceId,
    /// The id that it had, to see whether it is still there.
    partner: Id,
    /// How many threads are about to make this offer: as long as there are any, its place stays.
    makers: usize,
}

/// Whether a page need not be offered (`break=share`).
static IS_SHARE_BROKEN: AtomicBool = AtomicBool::new(false);

/// Lets everybody attach pages that have not been offered (`break=share`).
pub fn break_share() {
    // Relaxed: set at boot, before the first process.
    IS_SHARE_BROKEN.store(true, Ordering::Relaxed);
}

/// Offers the page of `owner` that begins at `page` to the process `partner`.
///
/// # Errors
/// `EINVAL` if that is `owner` itself; `ESRCH` if there is no such process with user memory, or it has ended; `EAGAIN`
/// if `owner` has too many offers; those of [`Space::offer`]. Nothing has changed then that a user could notice.
pub fn share(owner: &Process, partner: Id, page: VirtAddr) -> Result<(), Errno> {
    let space = owner.space().ok_or(Errno::EINVAL)?;
    let (to, ()) = with_partner(owner, partner, |_| ())?;
    owner.offers.make_place(to.id(), partner, page)?;
    match offer(space, page) {
        Ok(offered) => {
            owner.offers.fill_place(to.id(), offered);
            Ok(())
        }
        Err(error) => {
            owner.offers.give_up_place(to.id(), page);
            Err(error.into())
        }
    }
}

/// Maps at `local`, in the memory of `taker`, the page that the process `owner` has at `remote` and has offered to it.
///
/// # Errors
/// `EINVAL` if `owner` is `taker` itself; `ESRCH` if there is no such process with user memory, or it has ended;
/// `EPERM` if there is no such offer or the page is not there any more; those of [`Space::attach`].
pub fn attach(taker: &Process, owner: Id, remote: VirtAddr, local: VirtAddr) -> Result<(), Errno> {
    let space = taker.space().ok_or(Errno::EINVAL)?;
    let (from, offered) =
        with_partner(taker, owner, |owner| owner.offers.find(space.id(), remote))?;
    let offered = match offered {
        Some(offered) => offered,
        // Relaxed: set at boot.
        None if IS_SHARE_BROKEN.load(Ordering::Relaxed) => offer(&from, remote)?,
        None => return Err(Errno::EPERM),
    };
    let taken = from.take_offer(&offered)?.ok_or(Errno::EPERM)?;
    Ok(space.attach(local, taken)?)
}

/// [`Space::offer`], with all that hangs on it.
fn offer(space: &Space, page: VirtAddr) -> Result<OfferedPage, SpaceError> {
    let offered = space.offer(page)?;
    // It may have become shared memory just now.
    futex::restart(space, page);
    Ok(offered)
}

/// The space of the process `id`, which is not `caller` and runs, and what `look` finds there (OFFER-5).
fn with_partner<T>(
    caller: &Process,
    id: Id,
    look: impl FnOnce(&Process) -> T,
) -> Result<(Arc<Space>, T), Errno> {
    if id == caller.id() {
        return Err(Errno::EINVAL);
    }
    let process = find_partner(id).ok_or(Errno::ESRCH)?;
    let space = process.space().cloned().ok_or(Errno::ESRCH)?;
    let found = look(&process);
    Ok((space, found))
}

fn find_partner(id: Id) -> Option<Arc<Process>> {
    table::find_process(id).filter(|process| !process.is_kernel() && !process.has_ended())
}

impl Offers {
    pub(crate) const fn new() -> Offers {
        Offers(SpinLock::new(Vec::new()))
    }

    /// Makes a place for an offer of the page at `address` to `partner`, whose space is `space`: that of an earlier
    /// offer of the same to the same, if there is one.
    ///
    /// # Errors
    /// `EAGAIN` if there are too many, `ENOMEM`.
    fn make_place(&self, space: SpaceId, partner: Id, address: VirtAddr) -> Result<(), Errno> {
        let mut list = self.0.lock();
        if let Some(earlier) = place_of(&mut list, space, address) {
            earlier.makers += 1;
            return Ok(());
        }
        if list.len() >= OFFERS_MAX {
            list.retain(Offer::can_be_taken);
        }
        if list.len() >= OFFERS_MAX {
            return Err(Errno::EAGAIN);
        }
        list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        list.push(Offer {
            address,
            page: None,
            space,
            partner,
            makers: 1,
        });
        Ok(())
    }

    /// Offers `page` to `space`, for which the caller has made a place. It has gone only if the owner is ending.
    fn fill_place(&self, space: SpaceId, page: OfferedPage) {
        let mut list = self.0.lock();
        let place = place_of(&mut list, space, page.address());
        let earlier = place.and_then(|place| {
            place.makers -= 1;
            place.page.replace(page)
        });
        drop(list);
        drop(earlier);
    }

    /// Gives up a place that the caller has made, and not filled.
    fn give_up_place(&self, space: SpaceId, address: VirtAddr) {
        let mut list = self.0.lock();
        if let Some(place) = place_of(&mut list, space, address) {
            place.makers -= 1;
        }
        list.retain(|offer| offer.page.is_some() || offer.makers > 0);
    }

    /// What has been offered to `space` at `address`.
    fn find(&self, space: SpaceId, address: VirtAddr) -> Option<OfferedPage> {
        let list = self.0.lock();
        let offer = list.iter().find(|offer| offer.is_like(space, address));
        offer?.page.clone()
    }

    /// Takes all offers back.
    pub(crate) fn withdraw_all(&self) {
        let withdrawn = core::mem::take(&mut *self.0.lock());
        drop(withdrawn);
    }
}

/// The offer to `space` of the page at `address`, made or about to be.
fn place_of(list: &mut [Offer], space: SpaceId, address: VirtAddr) -> Option<&mut Offer> {
    list.iter_mut().find(|offer| offer.is_like(space, address))
}

impl Offer {
    fn is_like(&self, space: SpaceId, address: VirtAddr) -> bool {
        self.space == space && self.address == address
    }

    /// Whether both the memory and the partner are still there, or somebody is about to make it.
    fn can_be_taken(&self) -> bool {
        if self.makers > 0 {
            return true;
        }
        let partner = find_partner(self.partner);
        let is_there = partner
            .as_ref()
            .and_then(|partner| partner.space())
            .is_some_and(|space| space.id() == self.space);
        is_there && self.page.as_ref().is_some_and(OfferedPage::is_there)
    }
}
