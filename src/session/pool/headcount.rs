//! How many workers a pool has, and how many of them wait: what says when it grows and when it shrinks. Apart from the
//! rest, so that every order can be tried (`model.rs`).
//!
//! In an *eager* pool, while there is room to grow, somebody always waits for the next request, or a worker is on its way:
//! to that place, or to its end, when the pool's thread looks again. In a *lean* one all but one rest when they have
//! served, and nobody is called while that one is busy: then the pool's thread looks all the time, and makes it eager in
//! time (`pace`).

#[cfg(all(test, loom))]
mod model;

use crate::sync::{AtomicBool, AtomicU32, Condvar, Mutex};
use core::sync::atomic::Ordering;

/// The counts.
pub(super) struct Headcount {
    max_threads: u32,
    max_idle: u32,
    running: AtomicU32,
    /// Workers that wait for a request, or are about to.
    waiting: AtomicU32,
    /// One serves, and only the pool's thread calls others.
    lean: AtomicBool,
    /// Workers that rest. Changed under the lock.
    resting: AtomicU32,
    /// How many of them were called.
    calls: Mutex<u32>,
    called: Condvar,
}

/// What a worker does when it has served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for another.
    Wait,
    /// Rest until it is called.
    Rest,
    /// Leave: enough others wait.
    Leave,
}

impl Headcount {
    /// Nobody yet. There may be `max_threads`, of whom `max_idle` may wait or rest.
    pub fn new(max_threads: u32, max_idle: u32) -> Self {
        let [running, waiting, resting] = [0, 0, 0].map(AtomicU32::new);
        let (max_threads, max_idle) = (max_threads.max(1), max_idle.max(1));
        let (lean, calls, called) = (AtomicBool::default(), Mutex::default(), Condvar::default());
        Self { max_threads, max_idle, running, waiting, lean, resting, calls, called }
    }

    /// Whether there is no worker.
    pub fn is_empty(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0
    }

    /// Whether nobody waits.
    pub fn nobody_waits(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    /// Whether all rest, or there is none: the last that served is gone.
    pub fn nobody_serves(&self) -> bool {
        self.resting.load(Ordering::Relaxed) >= self.running.load(Ordering::Relaxed)
    }

    /// Whether the pool is lean.
    pub fn is_lean(&self) -> bool {
        self.lean.load(Ordering::SeqCst)
    }

    /// Makes the pool lean, or eager again. Who makes it eager looks for one who waits afterwards: a worker that took a
    /// request just before did not.
    pub fn set_lean(&self, lean: bool) {
        self.lean.store(lean, Ordering::SeqCst);
    }

    /// Calls a worker that rests to wait for requests; false when none does.
    pub fn call(&self) -> bool {
        let mut calls = self.calls.lock();
        let found = *calls < self.resting.load(Ordering::Relaxed);
        if found {
            *calls += 1;
            // Now, as it is going to wait: who looks must not call another.
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        drop(calls);
        self.called.notify_one();
        found
    }

    /// Counts a worker that is about to be started, and waits then; false when there is no room for one.
    pub fn join(&self) -> bool {
        // At once, as two workers may each have found that no other is waiting.
        let more = |running| (running < self.max_threads).then_some(running + 1);
        let room = self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if room {
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        room
    }

    /// A worker has a request now. Whether another is to be called or started: none waits.
    pub fn take(&self) -> bool {
        self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 && !self.is_lean()
    }

    /// A worker has served its request.
    pub fn served(&self) -> Next {
        let waiting = self.waiting.load(Ordering::SeqCst);
        if waiting >= self.max_idle {
            return Next::Leave;
        }
        if self.is_lean() && self.resting.load(Ordering::Relaxed) + 1 < self.running.load(Ordering::Relaxed) {
            return Next::Rest;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Next::Wait
    }

    /// Rests until called, and then waits for requests: true. The last that does not rest, and in an eager pool everybody,
    /// waits at once. False when `over` says so, or too many rest already.
    pub fn rest(&self, over: impl Fn() -> bool) -> bool {
        let mut calls = self.calls.lock();
        let resting = self.resting.load(Ordering::Relaxed);
        // Whoever makes the pool eager takes the lock after that, and calls.
        if !self.is_lean() || resting + 1 >= self.running.load(Ordering::Relaxed) {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            return true;
        }
        if resting + 1 >= self.max_idle {
            return false;
        }
        self.resting.store(resting + 1, Ordering::Relaxed);
        while *calls == 0 && !over() {
            self.called.wait(&mut calls);
        }
        self.resting.store(self.resting.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        let called = *calls > 0;
        *calls -= u32::from(called);
        called
    }

    /// Has those that rest look whether that is over.
    pub fn wake_resting(&self) {
        let _calls = self.calls.lock();
        self.called.notify_all();
    }

    /// A worker is gone, or was never started. The pool's thread has to look again after this: whoever waited may have
    /// found no room meanwhile.
    pub fn leave(&self, waiting: bool) {
        if waiting {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}
