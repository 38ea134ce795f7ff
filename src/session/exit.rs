//! Asking a session's loops to end, from any thread and from signal handlers.

use super::Session;
use crate::transport::wake::{Alarm, AlarmSet, Thread};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// State of the exit protocol.
#[derive(Default)]
pub struct Exit {
    asked: AtomicBool,
    /// What the loops return: 0, a negative errno, or the number of the signal that ended the session.
    status: AtomicI32,
    /// Number of the thread in a single-threaded loop's receive, 0 for none.
    receiving: AtomicI32,
    /// Whether the exit made the device non-blocking, and the loop must undo that.
    made_nonblocking: AtomicBool,
    /// Wakes a single-threaded loop's receive where that is the daemon's own function, which knows of no non-blocking.
    alarm: Alarm,
    /// Wakes the thread that waits for a pool; made with the first pool.
    bell: OnceLock<EventFd>,
}

impl Exit {
    /// The bell of the pool's waiting thread.
    pub(super) fn bell(&self) -> Result<&EventFd, Errno> {
        if self.bell.get().is_none() {
            let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
            // Losing the race to another pool of the same session only drops our own.
            let _ = self.bell.set(bell);
        }
        self.bell.get().ok_or(Errno::EINVAL)
    }
}

impl Session {
    /// Whether the loops are to end.
    #[inline]
    pub fn exited(&self) -> bool {
        self.exit.asked.load(Ordering::Relaxed)
    }

    /// Asks the loops to end, and wakes them. Async-signal-safe.
    ///
    /// A loop that is about to receive finds the device non-blocking and comes back at once; one that is blocked
    /// is interrupted. Between the two no wake-up is lost.
    pub fn exit(&self) {
        self.exit.asked.store(true, Ordering::SeqCst);
        self.ring();
        let receiving = self.exit.receiving.load(Ordering::SeqCst);
        let receiver = Thread::from_number(receiving);
        let Some(channel) = self.channel.get().filter(|_| receiving != 0) else { return };
        if channel.set_nonblocking(true) == Ok(true) {
            self.exit.made_nonblocking.store(true, Ordering::SeqCst);
        }
        if !receiver.is_current() {
            receiver.wake();
        }
        if channel.as_device().is_none() {
            self.exit.alarm.switch(true);
            // The loop may have left the receive meanwhile. Whichever of the two comes last switches it off.
            if self.exit.receiving.load(Ordering::SeqCst) != receiver.number() {
                self.exit.alarm.switch(false);
            }
        }
    }

    /// Wakes the threads that are receiving.
    pub(super) fn wake_receivers(&self) {
        self.ring();
        let receiver = Thread::from_number(self.exit.receiving.load(Ordering::SeqCst));
        if receiver.number() != 0 && !receiver.is_current() {
            receiver.wake();
        }
    }

    /// Asks the loops to end and to return `status`.
    pub fn exit_with(&self, status: i32) {
        self.exit.status.store(status, Ordering::SeqCst);
        self.exit();
    }

    /// What the loops return when nothing else went wrong.
    pub fn exit_status(&self) -> i32 {
        self.exit.status.load(Ordering::SeqCst)
    }

    /// Makes the session ready for another loop.
    pub fn reset(&self) {
        self.exit.asked.store(false, Ordering::SeqCst);
        self.exit.status.store(0, Ordering::SeqCst);
        if let Some(bell) = self.exit.bell.get() {
            let _ = bell.read();
        }
        self.restore_blocking();
    }

    /// Undoes what an exit did to the device.
    pub(super) fn restore_blocking(&self) {
        if self.exit.made_nonblocking.swap(false, Ordering::SeqCst)
            && let Some(channel) = self.channel.get()
        {
            let _ = channel.set_nonblocking(false);
        }
    }

    /// Prepares the calling thread for being woken in receives of the daemon's own, until the guard is dropped.
    pub(super) fn set_alarm(&self) -> Option<AlarmSet<'_>> {
        if self.channel().is_ok_and(|channel| channel.as_device().is_some()) {
            return None;
        }
        let set = self.exit.alarm.set_up();
        set.inspect_err(|e| log::warn!("no timer, an exit may wait for the next request: {}", e.desc())).ok()
    }

    /// Says that `thread` is about to receive, until the guard is dropped; none when the exit was asked for before.
    #[inline]
    pub(super) fn receiving(&self, thread: Thread) -> Option<Receiving<'_>> {
        self.exit.receiving.store(thread.number(), Ordering::SeqCst);
        let guard = Receiving { exit: &self.exit };
        (!self.exit.asked.load(Ordering::SeqCst)).then_some(guard)
    }

    /// Waits until the exit is asked for, a worker has ended, or a signal came.
    pub(super) fn wait_for_bell(&self) -> Result<(), Errno> {
        let bell = self.exit.bell()?;
        let rung = match poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        };
        // An exit after this rings again.
        let _ = bell.read();
        rung
    }

    /// Wakes the thread that waits for a pool.
    pub(super) fn ring(&self) {
        if let Some(bell) = self.exit.bell.get() {
            let _ = bell.write(1);
        }
    }
}

/// A thread is in a receive.
pub(super) struct Receiving<'a> {
    exit: &'a Exit,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.exit.receiving.store(0, Ordering::SeqCst);
        if self.exit.asked.load(Ordering::SeqCst) {
            self.exit.alarm.switch(false);
        }
    }
}
