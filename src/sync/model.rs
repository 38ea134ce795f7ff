//! What the model checker's types lack.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::{self, SeqCst};
use loom::sync::{self, atomic};
use std::sync::PoisonError;

/// The checker takes a sequentially consistent access for one that acquires and releases, but knows fences. One behind
/// the write keeps it apart from the sequentially consistent load that follows, which is what such writes are for.
fn written<T>(order: Ordering, result: T) -> T {
    if order == SeqCst {
        atomic::fence(SeqCst);
    }
    result
}

macro_rules! atomic {
    ($name:ident, $value:ident) => {
        #[derive(Debug, Default)]
        #[expect(missing_docs, reason = "as in the standard library")]
        pub struct $name(atomic::$name);

        #[expect(missing_docs, reason = "as in the standard library")]
        impl $name {
            pub fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }
            pub fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }
            pub fn store(&self, value: $value, order: Ordering) {
                written(order, self.0.store(value, order));
            }
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                written(order, self.0.swap(value, order))
            }
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.0.compare_exchange(current, new, success, failure)
            }
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.0.compare_exchange_weak(current, new, success, failure)
            }
        }
    };
}

macro_rules! counter {
    ($name:ident, $value:ident) => {
        atomic!($name, $value);

        #[expect(missing_docs, reason = "as in the standard library")]
        impl $name {
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_add(value, order)
            }
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_sub(value, order)
            }
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicI32, i32);
counter!(AtomicU64, u64);
counter!(AtomicUsize, usize);

/// The checker does not know that what an exchange writes comes directly after what it read, and would show it to a thread
/// that has stored another value since. Between exchanges alone it does.
#[derive(Debug, Default)]
pub struct SwappedUsize(atomic::AtomicUsize);

#[expect(missing_docs, reason = "as in the standard library")]
impl SwappedUsize {
    pub fn load(&self, order: Ordering) -> usize {
        self.0.load(order)
    }
    pub fn store(&self, value: usize, order: Ordering) {
        self.0.swap(value, order);
    }
    pub fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        self.0.compare_exchange(current, new, success, failure)
    }
}

/// A lock that nobody's panic poisons: the checker ends at the first.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock around a value.
    pub fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        Guard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A lock that is held; not while its holder waits.
#[derive(Debug)]
pub struct Guard<'a, T>(Option<sync::MutexGuard<'a, T>>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is held")
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is held")
    }
}

/// As that of parking_lot.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

#[expect(missing_docs, reason = "as in parking_lot")]
impl Condvar {
    pub fn wait<T>(&self, guard: &mut Guard<'_, T>) {
        let held = guard.0.take().expect("it is held");
        guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }
    pub fn notify_one(&self) {
        self.0.notify_one();
    }
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

loom::thread_local! {
    static HERE: u64 = 0;
}

/// As `transport::threads::here`.
pub fn here() -> usize {
    HERE.with(|here| core::ptr::from_ref(here).addr())
}
