//! Asking a session's loops to end, from any thread and from signal handlers.

use super::Session;
use crate::transport::wake::Thread;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

/// How often a receive of the daemon's own is woken again, at intervals of a millisecond.
const CUSTOM_WAKES: u32 = 20;

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
        if let Some(bell) = self.exit.bell.get() {
            let _ = bell.write(1);
        }
        let receiving = self.exit.receiving.load(Ordering::SeqCst);
        let receiver = Thread::from_number(receiving);
        let Some(channel) = self.channel.get().filter(|_| receiving != 0) else { return };
        if channel.set_nonblocking(true) == Ok(true) {
            self.exit.made_nonblocking.store(true, Ordering::SeqCst);
        }
        if receiver.is_current() {
            return;
        }
        receiver.wake();
        if channel.as_device().is_none() {
            self.wake_again(receiver);
        }
    }

    /// The daemon's own receive knows of no non-blocking: a wake-up that came just before it is lost and must be
    /// repeated, until the loop is seen to have left it. One that does not return for a signal is not waited for.
    fn wake_again(&self, receiver: Thread) {
        for _ in 0..CUSTOM_WAKES {
            std::thread::sleep(Duration::from_millis(1));
            if self.exit.receiving.load(Ordering::SeqCst) != receiver.number() {
                break;
            }
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

    /// Says that `thread` is about to receive, until the guard is dropped; none when the exit was asked for before.
    #[inline]
    pub(super) fn receiving(&self, thread: Thread) -> Option<Receiving<'_>> {
        self.exit.receiving.store(thread.number(), Ordering::SeqCst);
        let guard = Receiving { exit: &self.exit };
        (!self.exit.asked.load(Ordering::SeqCst)).then_some(guard)
    }

    /// Waits until the exit is asked for, or a signal came.
    pub(super) fn wait_for_exit(&self) -> Result<(), Errno> {
        let bell = self.exit.bell()?;
        match poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// A thread is in a receive.
pub(super) struct Receiving<'a> {
    exit: &'a Exit,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.exit.receiving.store(0, Ordering::Relaxed);
    }
}
