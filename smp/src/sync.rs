//! The atomics of the protocols, which a build with `--cfg loom` replaces by loom's, and one with `--cfg shuttle` by
//! shuttle's, between whose accesses other threads may run.
//!
//! Locks, mailboxes and CPU sets take their atomics from here and nowhere else, so that the code that a loom model
//! explores is the code that the kernel runs. Words that only one CPU touches, and statistics, use `core`'s directly:
//! there is nothing to explore in them.
//!
//! Loom's own atomics cannot be built in a constant. Ours are made at first use instead, so that `const fn new` and the
//! statics of the crates above compile under loom as well. Two rules follow for models: a static is not used inside of
//! one, because its state would outlive the execution; and whoever makes a value looks at it once before sharing it,
//! because loom wants an atomic made before it is shared.

#[cfg(not(loom))]
mod plain {
    #[cfg(not(shuttle))]
    pub use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
    #[cfg(shuttle)]
    pub use shuttle::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

    /// A cell whose accesses loom can see: reached by closures only.
    #[derive(Debug)]
    pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        pub const fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(core::cell::UnsafeCell::new(value))
        }

        /// Calls `read` with a pointer for reading.
        #[inline(always)]
        pub fn with<U>(&self, read: impl FnOnce(*const T) -> U) -> U {
            read(self.0.get())
        }

        /// Calls `write` with a pointer for writing.
        #[inline(always)]
        pub fn with_mut<U>(&self, write: impl FnOnce(*mut T) -> U) -> U {
            write(self.0.get())
        }
    }
}

#[cfg(not(loom))]
pub use plain::{AtomicU32, AtomicU64, AtomicUsize, Ordering, UnsafeCell, fence};

#[cfg(loom)]
mod explored {
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::atomic::{Ordering, fence};
    use std::sync::OnceLock;

    macro_rules! atomic_made_at_first_use {
        ($name:ident, $word:ty) => {
            /// Loom's atomic of the same name, made at its first use.
            #[derive(Debug)]
            pub struct $name {
                initial: $word,
                atomic: OnceLock<loom::sync::atomic::$name>,
            }

            impl $name {
                /// An atomic that holds `initial`.
                pub const fn new(initial: $word) -> $name {
                    $name {
                        initial,
                        atomic: OnceLock::new(),
                    }
                }

                fn atomic(&self) -> &loom::sync::atomic::$name {
                    self.atomic
                        .get_or_init(|| loom::sync::atomic::$name::new(self.initial))
                }

                /// As `core`'s.
                pub fn load(&self, order: Ordering) -> $word {
                    self.atomic().load(order)
                }

                /// As `core`'s.
                pub fn store(&self, value: $word, order: Ordering) {
                    self.atomic().store(value, order)
                }

                /// As `core`'s.
                pub fn swap(&self, value: $word, order: Ordering) -> $word {
                    self.atomic().swap(value, order)
                }

                /// As `core`'s.
                pub fn compare_exchange(
                    &self,
                    current: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    self.atomic()
                        .compare_exchange(current, new, success, failure)
                }

                /// As `core`'s.
                pub fn compare_exchange_weak(
                    &self,
                    current: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    self.atomic()
                        .compare_exchange_weak(current, new, success, failure)
                }

                /// As `core`'s.
                pub fn fetch_add(&self, value: $word, order: Ordering) -> $word {
                    self.atomic().fetch_add(value, order)
                }

                /// As `core`'s.
                pub fn fetch_sub(&self, value: $word, order: Ordering) -> $word {
                    self.atomic().fetch_sub(value, order)
                }

                /// As `core`'s.
                pub fn fetch_or(&self, value: $word, order: Ordering) -> $word {
                    self.atomic().fetch_or(value, order)
                }

                /// As `core`'s.
                pub fn fetch_and(&self, value: $word, order: Ordering) -> $word {
                    self.atomic().fetch_and(value, order)
                }
            }
        };
    }

    atomic_made_at_first_use!(AtomicU32, u32);
    atomic_made_at_first_use!(AtomicU64, u64);
    atomic_made_at_first_use!(AtomicUsize, usize);
}

#[cfg(loom)]
pub use explored::{AtomicU32, AtomicU64, AtomicUsize, Ordering, UnsafeCell, fence};
