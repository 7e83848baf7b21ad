//! Pages that one process offers to another.

use abi::layout::PAGE_SIZE;
use abi::{Pid, Sysno};
use ulib::failures::Plan;
use ulib::file::{self, File};
use ulib::mapping::{MapRequest, Mapping};
use ulib::process::{self, Fork};
use ulib::{Errno, offer};

use crate::sweep::{Attempt, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("share", share, |_| {}),
    Operation::new("attach", attach, |_| {}),
];

/// A child that waits until this is dropped.
struct Partner {
    pid: Pid,
    leash: Option<File>,
}

impl Partner {
    /// Begins as `prepare` says.
    fn start(prepare: impl FnOnce() -> Result<(), Errno>) -> Result<Partner, Errno> {
        let (reader, writer) = file::pipe()?;
        let (ready_reader, ready_writer) = file::pipe()?;
        let pid = match process::fork()? {
            Fork::Parent(pid) => pid,
            Fork::Child => {
                drop(writer);
                let is_ready = prepare().and_then(|()| ready_writer.write_all(b"x"));
                drop(ready_writer);
                let _ = reader.read(&mut [0]);
                process::exit(i32::from(is_ready.is_err()))
            }
        };
        drop(ready_writer);
        // Dropped without a byte if it cannot begin.
        let partner = Partner {
            pid,
            leash: Some(writer),
        };
        match ready_reader.read(&mut [0])? {
            1 => Ok(partner),
            _ => Err(Errno::EIO),
        }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.leash = None;
        let _ = process::wait(self.pid);
    }
}

fn share(plan: Plan) -> Attempt {
    Attempt::in_child(|| {
        let page = written_page()?;
        let partner = Partner::start(|| Ok(()))?;
        let arguments = [partner.pid as usize, page.address(), 0, 0, 0, 0];
        // SAFETY: the page keeps its contents.
        unsafe { plan.call(Sysno::Share, arguments) }.0.map(drop)
    })
}

/// Where the partner's page comes.
const PLACE: usize = 0xffff_b000_0000_0000;

fn attach(plan: Plan) -> Attempt {
    Attempt::in_child(|| {
        let page = written_page()?;
        let own = process::getpid();
        let partner = Partner::start(|| offer::share(own, page.address()))?;
        let arguments = [partner.pid as usize, page.address(), PLACE, 0, 0, 0];
        // SAFETY: nothing is mapped there.
        unsafe { plan.call(Sysno::Attach, arguments) }.0.map(drop)
    })
}

fn written_page() -> Result<Mapping, Errno> {
    let page = Mapping::new(&MapRequest::anonymous(PAGE_SIZE))?;
    page.words()
        .iter()
        .for_each(|word| word.store(1, core::sync::atomic::Ordering::Relaxed));
    Ok(page)
}
