//! How many workers a pool has, and how many of them wait: what says when it grows and when it shrinks. Apart from the
//! rest, so that every order can be tried (`model.rs`).
//!
//! While there is room to grow somebody always waits for the next request, or a worker is on its way: to that place, or to
//! its end, when the pool's thread looks again.

#[cfg(all(test, loom))]
mod model;

use crate::sync::AtomicU32;
use core::sync::atomic::Ordering;

/// The counts.
pub(super) struct Headcount {
    max_threads: u32,
    max_idle: u32,
    running: AtomicU32,
    /// Workers that wait for a request, or are about to.
    waiting: AtomicU32,
}

impl Headcount {
    /// Nobody yet. There may be `max_threads`, of whom `max_idle` may wait.
    pub fn new(max_threads: u32, max_idle: u32) -> Self {
        let [running, waiting] = [0, 0].map(AtomicU32::new);
        Self { max_threads: max_threads.max(1), max_idle: max_idle.max(1), running, waiting }
    }

    /// Whether there is no worker.
    pub fn is_empty(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0
    }

    /// Whether nobody waits.
    pub fn nobody_waits(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Counts a worker that is about to be started, and waits then; false when there is no room for one.
    pub fn join(&self) -> bool {
        // At once, as two workers may each have found that no other is waiting.
        let more = |running| (running < self.max_threads).then_some(running + 1);
        let room = self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if room {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    /// A worker has a request now. Whether no other waits.
    pub fn take(&self) -> bool {
        self.waiting.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// A worker has served its request; false when enough others wait, and it is to end.
    pub fn wait_again(&self) -> bool {
        if self.waiting.load(Ordering::Relaxed) >= self.max_idle {
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// A worker is gone, or was never started. The pool's thread has to look again after this: whoever waited may have
    /// found no room meanwhile.
    pub fn leave(&self, waiting: bool) {
        if waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}
