//! Parking the loops at a request boundary, so that nothing is under way while something is replaced.

use super::{Channel, Session, inflight};
use nix::errno::Errno;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long to wait before looking again.
const TICK: Duration = Duration::from_millis(1);
/// How long to wait for what should be done at once.
const BRIEF: Duration = Duration::from_millis(100);
/// How long to wait for what only a machine that is very busy can delay.
const LONG: Duration = Duration::from_secs(10);

/// Whether loops are to wait, and which do.
#[derive(Default)]
pub(super) struct Pause {
    wanted: AtomicBool,
    /// Threads that serve.
    loops: AtomicUsize,
    /// Those of them that wait.
    parked: AtomicUsize,
    /// Of each worker of a pool.
    receivers: Mutex<Vec<Arc<AtomicBool>>>,
    lock: Mutex<()>,
    resumed: Condvar,
}

impl Session {
    /// The calling thread begins to serve.
    pub(super) fn loop_begins(&self) {
        self.pause.loops.fetch_add(1, Ordering::SeqCst);
    }

    /// It serves no more.
    pub(super) fn loop_ends(&self) {
        self.pause.loops.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether loops are to wait.
    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        self.pause.wanted.load(Ordering::Relaxed)
    }

    /// Waits, between two requests, until the session is resumed or exits.
    #[cold]
    pub(super) fn park(&self) {
        self.pause.parked.fetch_add(1, Ordering::SeqCst);
        let mut lock = self.pause.lock.lock();
        while self.is_paused() && !self.exited() {
            // An exit may come from a signal handler, which can wake nobody here.
            self.pause.resumed.wait_for(&mut lock, TICK * 10);
        }
        drop(lock);
        self.pause.parked.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether a loop to which nothing came is to go on: it was woken, or met a pause, which may be over by now.
    #[cold]
    pub(super) fn forgive(&self, channel: &Channel, errno: Errno) -> Result<(), Errno> {
        match errno {
            Errno::EINTR => Ok(()),
            Errno::EAGAIN if self.meets_pause(channel) => Ok(()),
            errno => Err(errno),
        }
    }

    /// Whether a receive that did not wait met a pause, and not a device that the daemon made so.
    fn meets_pause(&self, channel: &Channel) -> bool {
        // No pause begins or ends while they are held.
        let _ends = self.ends();
        self.is_paused() || channel.waits()
    }

    /// Has the loops wait and waits for requests in flight, for so long at most. Returns how many are left. ENOTSUP when
    /// the session is not on a device, ENOTCONN when it is not connected.
    pub fn pause(&self, timeout: Duration) -> Result<usize, Errno> {
        self.connected()?.as_device().ok_or(Errno::ENOTSUP)?;
        // Whoever is about to receive comes back at once, whoever does so already is woken.
        self.set_paused(true)?;
        let end = Instant::now().checked_add(timeout);
        loop {
            self.wake_receivers();
            let left = self.unfinished();
            if left == 0 || end.is_none_or(|end| Instant::now() >= end) {
                return Ok(left);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Waits until no loop, all of which have been told to end, takes a request any more: a successor could not have that
    /// sent again. And for loops to do what they have received that nobody waits for, as the kernel does not send it again,
    /// but not long: a callback that does not return keeps nobody here.
    pub(super) fn await_last_receives(&self) {
        let begin = Instant::now();
        let waiting = |elapsed| self.is_receiving() || (elapsed < BRIEF && self.busy() > self.unanswered());
        while waiting(begin.elapsed()) {
            if begin.elapsed() > LONG {
                log::error!("a thread of the session's cannot be woken: what it receives gets no answer");
                return;
            }
            self.wake_receivers();
            std::thread::sleep(TICK);
        }
    }

    /// A worker says by `receiving` that it is in a receive, or about to look whether it may.
    pub(super) fn list_receiver(&self, receiving: &Arc<AtomicBool>) {
        self.pause.receivers.lock().push(receiving.clone());
    }

    /// The worker has ended.
    pub(super) fn unlist_receiver(&self, receiving: &Arc<AtomicBool>) {
        self.pause.receivers.lock().retain(|other| !Arc::ptr_eq(other, receiving));
    }

    fn is_receiving(&self) -> bool {
        self.loop_receives() || self.pause.receivers.lock().iter().any(|receiving| receiving.load(Ordering::SeqCst))
    }

    /// Whether there are loops, or requests that are not answered.
    pub(super) fn is_served(&self) -> bool {
        self.pause.loops.load(Ordering::SeqCst) > 0 || self.unanswered() > 0
    }

    /// Requests that are not answered, those that a loop may be taking at this moment among them, and those that were read
    /// before the loops began.
    fn unfinished(&self) -> usize {
        self.busy().max(self.unanswered()) + self.left_read_before()
    }

    /// Loops that do not wait for the end of a pause.
    fn busy(&self) -> usize {
        self.pause.loops.load(Ordering::SeqCst).saturating_sub(self.pause.parked.load(Ordering::SeqCst))
    }

    fn unanswered(&self) -> usize {
        let own = |slot: &&inflight::Slot| slot.session() == self.address() && slot.token().is_some();
        inflight::each().filter(own).count()
    }

    /// Has loops wait at the next request boundary, and receives come back, or neither of the two any more.
    fn set_paused(&self, on: bool) -> Result<(), Errno> {
        let ends = self.ends();
        self.pause.wanted.store(on, Ordering::SeqCst);
        ends.all().try_for_each(|end| end.set_hurried(on))
    }

    /// Ends a pause, also one that a predecessor died in, which left the device non-blocking to whoever has it.
    pub(super) fn end_any_pause(&self) -> Result<(), Errno> {
        self.set_paused(false)?;
        self.ends().all().try_for_each(|end| end.set_nonblocking(false).map(drop))
    }

    /// Has the loops go on.
    pub fn resume(&self) -> Result<(), Errno> {
        let undone = self.set_paused(false);
        let _lock = self.pause.lock.lock();
        self.pause.resumed.notify_all();
        self.connected()?;
        undone
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::session;
    use super::*;

    #[test]
    fn a_pause_that_is_over_ends_no_loop() {
        let (session, _kernel) = session();
        let channel = session.channel().unwrap();
        session.pause(Duration::ZERO).unwrap();
        let received = channel.recv(&mut [0; 8]).unwrap_err();
        assert_eq!(session.forgive(channel, received), Ok(()));
        session.resume().unwrap();
        assert_eq!((received, session.forgive(channel, received)), (Errno::EAGAIN, Ok(())));
        // A device that the daemon made so, and that stays so.
        channel.set_nonblocking(true).unwrap();
        session.pause(Duration::ZERO).unwrap();
        session.resume().unwrap();
        assert_eq!(session.forgive(channel, Errno::EAGAIN), Err(Errno::EAGAIN));
        assert_eq!(session.forgive(channel, Errno::EBADF), Err(Errno::EBADF));
    }
}
