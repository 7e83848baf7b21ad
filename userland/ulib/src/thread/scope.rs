//! Threads that borrow from their creator.
//!
//! The guarantee: [`scope`] returns after all threads that were spawned in it have ended, whatever has become of their
//! handles. So they may use what lives longer than the scope.
//!
//! - **SCOPE-1** the scope knows of a thread before that can run. The one who creates the thread, and the one who joins
//!   it, holds the thread's lock until that is done; whoever ends in between, by [`exit`](super::exit), leaves it
//!   locked, and the scope never returns.
//! - **SCOPE-2** only threads of the scope, and the closure of the scope itself, can spawn in it. When all have ended
//!   that the scope knows of, there will be no more.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;

use abi::{Errno, Pid};

use super::running::{self, Running, Slot};
use crate::sync::Mutex;

/// Where threads are spawned that may borrow what lives for `'env`, and may themselves be used for `'scope`.
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    members: Mutex<Vec<Arc<Mutex<Member>>>>,
    /// Neither lifetime may be taken for a shorter one: a thread could then borrow what goes before the scope ends.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// What has become of a thread of a scope.
#[derive(Debug)]
enum Member {
    /// It has not been started, or could not be.
    New,
    Running(Running),
    Joined {
        has_returned: bool,
    },
}

/// A thread of a scope, which can be joined before the scope ends.
#[derive(Debug)]
pub struct ScopedJoinHandle<'scope, T> {
    tid: Pid,
    member: Arc<Mutex<Member>>,
    result: Arc<Slot<T>>,
    scope: PhantomData<&'scope ()>,
}

/// Calls `body` with a scope, waits until all threads have ended that were spawned in it, and returns what `body` has
/// returned.
///
/// ```ignore
/// let mut words = [1, 2, 3, 4];
/// let (left, right) = words.split_at_mut(2);
/// thread::scope(|scope| -> Result<(), Errno> {
///     scope.spawn(|| left.fill(5))?;
///     scope.spawn(|| right.fill(6))?;
///     Ok(())
/// })?;
/// ```
pub fn scope<'env, T>(body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
    let scope = Scope {
        members: Mutex::new(Vec::new()),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = body(&scope);
    scope.join_all();
    result
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread that runs `body`.
    ///
    /// # Errors
    /// Those of the system calls `map` and `create_thread`. There is no thread then.
    pub fn spawn<T: Send + 'scope>(
        &'scope self,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> Result<ScopedJoinHandle<'scope, T>, Errno> {
        // SCOPE-1.
        let member = Arc::new(Mutex::new(Member::New));
        let mut locked = member.lock();
        self.members.lock().push(member.clone());
        // SAFETY: what is borrowed lives for `'scope`, and `scope` does not return before the thread has been joined.
        let (running, result) = unsafe { running::start(body)? };
        let tid = running.tid();
        *locked = Member::Running(running);
        drop(locked);
        Ok(ScopedJoinHandle {
            tid,
            member,
            result,
            scope: PhantomData,
        })
    }

    /// Waits until there is no thread any more.
    fn join_all(&self) {
        // SCOPE-2.
        while let Some(member) = self.take_member() {
            member.lock().join();
        }
    }

    /// A thread that nobody has waited for at the end of the scope. Others can be added afterwards.
    fn take_member(&self) -> Option<Arc<Mutex<Member>>> {
        self.members.lock().pop()
    }
}

impl Member {
    /// Waits until the thread has ended. True if its closure has returned.
    fn join(&mut self) -> bool {
        let has_returned = match core::mem::replace(self, Member::New) {
            Member::New => false,
            Member::Running(running) => running.join(),
            Member::Joined { has_returned } => has_returned,
        };
        *self = Member::Joined { has_returned };
        has_returned
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Its id.
    pub fn tid(&self) -> Pid {
        self.tid
    }

    /// As [`JoinHandle::join`](super::JoinHandle::join), but it may wait for ever in the thread itself.
    pub fn join(self) -> Option<T> {
        let has_returned = self.member.lock().join();
        // SAFETY: 1. it says so; 2. the handle is not shared any more.
        has_returned.then(|| unsafe { self.result.take() })?
    }
}
