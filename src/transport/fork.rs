//! Processes that fork(2) makes of this one.
//!
//! A callback may fork, and its child may reply, or return and serve on. Then parent and child have the same pipes: what
//! one of them puts in, the other could take out. So neither uses a pipe again that is older than the fork.

use nix::unistd::getpid;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Forks that this process has taken part in, as parent or as child.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// Forks that this process is the outcome of.
static DESCENT: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn in_parent() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    DESCENT.fetch_add(1, Ordering::Relaxed);
}

/// Counts from the first call on.
fn count() {
    static COUNTING: Once = Once::new();
    COUNTING.call_once(|| {
        // SAFETY: the handlers only count, and the library is never unloaded.
        let failed = unsafe { libc::pthread_atfork(None, Some(in_parent), Some(in_child)) };
        if failed != 0 {
            log::warn!("no memory to take note of forks: a callback must not fork");
        }
    });
}

/// A number that is another one after each fork.
fn number() -> u32 {
    count();
    FORKS.load(Ordering::Relaxed)
}

/// When something was made that parent and child would share.
#[derive(Debug)]
pub struct Made(u32);

impl Made {
    /// Just now.
    pub fn now() -> Self {
        Self(number())
    }

    /// Whether another process may have it, too: then it is not to be used any more.
    pub fn is_shared(&self) -> bool {
        self.0 != number()
    }
}

/// A number that is another one in each child.
#[inline]
pub fn descent() -> u32 {
    DESCENT.load(Ordering::Relaxed)
}

/// Notices that the process has become another one.
pub struct Watch(u32);

impl Watch {
    /// The process is the one that it is now.
    pub fn begin() -> Self {
        count();
        Self(DESCENT.load(Ordering::Relaxed))
    }

    /// Whether the process is a child of the one that it was when this was asked last.
    #[inline]
    pub fn is_child(&mut self) -> bool {
        let now = DESCENT.load(Ordering::Relaxed);
        core::mem::replace(&mut self.0, now) != now
    }
}

/// How many threads are in a piece of code. Those of the process that this one was forked from are not here to leave it, and
/// do not count.
#[derive(Debug, Default)]
pub struct Inside(AtomicU64);

/// Bits for the threads. Above them is the number of their process.
const THREADS: u32 = 32;

impl Inside {
    /// Nobody is.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The calling thread is, until the guard is dropped. Async-signal-safe.
    pub fn enter(&self) -> Entered<'_> {
        let one_more = |word| Some(here() << THREADS | (threads(word) + 1));
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        Entered(&self.0)
    }

    /// Waits until nobody is.
    pub fn wait_until_empty(&self) {
        while threads(self.0.load(Ordering::SeqCst)) > 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// Threads of this process that a word counts.
fn threads(word: u64) -> u64 {
    if word >> THREADS == here() { word & ((1 << THREADS) - 1) } else { 0 }
}

/// The number of this process.
fn here() -> u64 {
    u64::from(getpid().as_raw().cast_unsigned())
}

/// A thread is inside.
#[derive(Debug)]
pub struct Entered<'i>(&'i AtomicU64);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let one_less = |word| threads(word).checked_sub(1).map(|left| here() << THREADS | left);
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_inside_is_waited_for() {
        static INSIDE: Inside = Inside::new();
        static LEFT: AtomicU32 = AtomicU32::new(0);
        let (first, second) = (INSIDE.enter(), INSIDE.enter());
        drop(first);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            LEFT.store(1, Ordering::SeqCst);
            drop(second);
        });
        INSIDE.wait_until_empty();
        assert_eq!(LEFT.load(Ordering::SeqCst), 1);
        thread.join().unwrap();
    }

    #[test]
    fn who_was_inside_before_a_fork_is_not() {
        let elsewhere = u64::from(u32::MAX);
        let inside = Inside(AtomicU64::new(elsewhere << THREADS | 1));
        inside.wait_until_empty();
        drop(inside.enter());
        inside.wait_until_empty();
    }
}
