//! Asking a session's loops to end, from any thread and from signal handlers.

mod gate;

use super::Session;
use crate::transport::Channel;
use crate::transport::fork::{Entered, Inside};
use crate::transport::wake::{Alarm, AlarmSet, Thread};
use gate::{Ends, Gate};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// State of the exit protocol.
#[derive(Default)]
pub struct Exit {
    gate: Gate,
    /// What the loops return: 0, a negative errno, or the number of the signal that ended the session.
    status: AtomicI32,
    /// Wakes a single-threaded loop's receive where that is the daemon's own function, which knows of no non-blocking.
    alarm: Alarm,
    /// Wakes the thread that waits for a pool; made with the first pool.
    bell: OnceLock<EventFd>,
    /// Threads in calls that end the loops.
    callers: Inside,
}

/// What ends the receives of a session's single-threaded loop.
struct Receives<'a> {
    channel: &'a Channel,
    alarm: &'a Alarm,
}

impl Ends for Receives<'_> {
    fn set_nonblocking(&self, on: bool) -> bool {
        self.channel.set_nonblocking(on) == Ok(true)
    }

    fn wake(&self, thread: i32) {
        let thread = Thread::from_number(thread);
        // In a signal handler the thread is awake, and its receive is over when that returns.
        if !thread.is_current() {
            thread.wake();
        }
    }

    fn set_alarm(&self, on: bool) {
        if self.channel.as_device().is_none() {
            self.alarm.switch(on);
        }
    }
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
        self.exit.gate.is_closed()
    }

    /// Asks the loops to end, and wakes them. Async-signal-safe.
    pub fn exit(&self) {
        let _ending = self.ending();
        self.exit.gate.close();
        self.ring();
        if let Some(receives) = self.receives() {
            self.exit.gate.end_receive(&receives);
        }
    }

    /// The calling thread ends the loops. Whoever waits for these may be about to free the session before it is done, and
    /// [waits](Self::await_ending) until the guard is dropped, which is the last that it does with it. Async-signal-safe.
    pub(super) fn ending(&self) -> Entered<'_> {
        self.exit.callers.enter()
    }

    /// Waits for threads that end the loops.
    pub(super) fn await_ending(&self) {
        self.exit.callers.wait_until_empty();
    }

    /// Whether a loop of one thread is in a receive.
    pub(super) fn loop_receives(&self) -> bool {
        self.exit.gate.is_receiving()
    }

    /// Wakes the threads that are receiving.
    pub(super) fn wake_receivers(&self) {
        self.ring();
        if let Some(receives) = self.receives() {
            self.exit.gate.wake(&receives);
        }
    }

    fn receives(&self) -> Option<Receives<'_>> {
        self.channel().ok().map(|channel| Receives { channel, alarm: &self.exit.alarm })
    }

    /// Asks the loops to end and to return `status`.
    pub fn exit_with(&self, status: i32) {
        let _ending = self.ending();
        self.exit.status.store(status, Ordering::SeqCst);
        self.exit();
    }

    /// What the loops return when nothing else went wrong.
    pub fn exit_status(&self) -> i32 {
        self.exit.status.load(Ordering::SeqCst)
    }

    /// Makes the session ready for another loop.
    pub fn reset(&self) {
        self.exit.gate.open(self.receives().as_ref());
        self.exit.status.store(0, Ordering::SeqCst);
        if let Some(bell) = self.exit.bell.get() {
            let _ = bell.read();
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
    pub(super) fn receiving<'s>(&'s self, channel: &'s Channel, thread: Thread) -> Option<Receiving<'s>> {
        let receives = Receives { channel, alarm: &self.exit.alarm };
        let guard = Receiving { gate: &self.exit.gate, receives };
        guard.gate.enter(thread.number()).then_some(guard)
    }

    /// Waits until the exit is asked for, a worker has ended, or a signal came; for so long at most, if that is said.
    pub(super) fn wait_for_bell(&self, limit: Option<Duration>) -> Result<(), Errno> {
        let bell = self.exit.bell()?;
        let limit = limit.map_or(PollTimeout::NONE, |limit| limit.try_into().unwrap_or(PollTimeout::MAX));
        let rung = match poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], limit) {
            Ok(0) | Err(Errno::EINTR) => return Ok(()),
            Ok(_) => Ok(()),
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
    gate: &'a Gate,
    receives: Receives<'a>,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.gate.leave(&self.receives);
    }
}
