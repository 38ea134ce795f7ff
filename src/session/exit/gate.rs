//! Where an exit and the receive of a single-threaded loop meet. Whatever their order, the receive ends, or never begins,
//! and what ended it is undone. Apart from the rest, so that every order can be tried (`model.rs`).

#[cfg(all(test, loom))]
mod model;

use crate::sync::{AtomicBool, AtomicI32};
use core::sync::atomic::Ordering;

/// What ends receives.
pub(super) trait Ends {
    /// Has receives come back at once, or wait again. Whether that changed anything.
    fn set_nonblocking(&self, on: bool) -> bool;
    /// Interrupts the receive that a thread is in. One that it is about to begin is not interrupted.
    fn wake(&self, thread: i32);
    /// Where receives know of no non-blocking: interrupts the loop's again and again, or no longer.
    fn set_alarm(&self, on: bool);
}

/// State of the meeting.
#[derive(Default)]
pub(super) struct Gate {
    asked: AtomicBool,
    /// Number of the thread in a single-threaded loop's receive, 0 for none.
    receiving: AtomicI32,
    /// An exit made the device non-blocking, which must be undone.
    made_nonblocking: AtomicBool,
}

impl Gate {
    /// Whether the loops are to end.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The loops are to end. Async-signal-safe.
    pub fn close(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Ends the receive that a loop is in, after the gate was closed. Async-signal-safe.
    ///
    /// A loop that is about to receive finds the device non-blocking and comes back at once; one that is blocked is
    /// interrupted. Between the two no wake-up is lost.
    pub fn end_receive(&self, ends: &impl Ends) {
        let receiving = self.receiving.load(Ordering::SeqCst);
        if receiving == 0 {
            return;
        }
        if ends.set_nonblocking(true) {
            // Not stored: then the checker would not know that it comes after an undo that did not see it.
            self.made_nonblocking.swap(true, Ordering::SeqCst);
        }
        ends.wake(receiving);
        ends.set_alarm(true);
        // The loop may have left the receive meanwhile. Whichever of the two comes last undoes all of it.
        if self.receiving.load(Ordering::SeqCst) != receiving {
            self.undo(ends);
        }
    }

    /// Whether a thread is in a receive.
    pub fn is_receiving(&self) -> bool {
        self.receiving.load(Ordering::SeqCst) != 0
    }

    /// Wakes the thread that is in a receive, once.
    pub fn wake(&self, ends: &impl Ends) {
        match self.receiving.load(Ordering::SeqCst) {
            0 => {}
            thread => ends.wake(thread),
        }
    }

    /// `thread` is about to receive; false when the gate is closed. It leaves in either case.
    #[inline]
    pub fn enter(&self, thread: i32) -> bool {
        self.receiving.store(thread, Ordering::SeqCst);
        !self.asked.load(Ordering::SeqCst)
    }

    /// The receive is over.
    #[inline]
    pub fn leave(&self, ends: &impl Ends) {
        self.receiving.store(0, Ordering::SeqCst);
        if self.asked.load(Ordering::SeqCst) {
            self.undo(ends);
        }
    }

    #[cold]
    fn undo(&self, ends: &impl Ends) {
        ends.set_alarm(false);
        if self.made_nonblocking.swap(false, Ordering::SeqCst) {
            ends.set_nonblocking(false);
        }
    }

    /// Opens the gate for another loop.
    pub fn open(&self, ends: Option<&impl Ends>) {
        self.asked.store(false, Ordering::SeqCst);
        // A loop that was cancelled in its receive left this behind.
        if let Some(ends) = ends {
            self.undo(ends);
        }
    }
}
