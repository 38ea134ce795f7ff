//! The threads that serve the queues, each of them at a seat. See [`crate::transport::uring`].

use super::start::Start;
use super::watch::Watch;
use super::{Place, SERVED, Served, Session};
use crate::abi::opcode::{Opcode, Reply};
use crate::abi::wire::{InHeader, OutHeader};
use crate::decode;
use crate::session::Channel;
use crate::session::pool::{stack_size, without_termination_signals};
use crate::transport::threads::{Crew, Threads};
use crate::transport::uring::{After, Phase, Seat, bind_to, holder};
use crate::transport::{fork, wake::Thread};
use nix::errno::Errno;
use parking_lot::Mutex;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use zerocopy::IntoBytes;

/// The threads of one loop.
pub(in crate::session) struct Rings<'s> {
    pub(super) session: &'s Session,
    pub(super) start: Start,
    pub(super) watch: Mutex<Watch>,
    failure: Mutex<Option<Errno>>,
}

/// What a thread has for itself.
pub(in crate::session) struct Worker {
    /// Known once it runs.
    thread: OnceLock<Thread>,
    /// It waits for a request.
    waiting: AtomicBool,
    /// It has nothing to do with the seat any more.
    left: AtomicBool,
    place: Place,
    /// The kernel does not know the entry yet.
    new: bool,
}

impl<'s> Rings<'s> {
    /// None so far.
    pub fn new(session: &'s Session) -> Self {
        Self { session, start: Start::default(), watch: Mutex::default(), failure: Mutex::default() }
    }

    /// What ended the session, if it was one of these threads.
    pub fn take_failure(&self) -> Option<Errno> {
        self.failure.lock().take()
    }

    /// Starts a thread at a seat.
    pub(super) fn start(&self, threads: &Threads<'_, Self>, place: Place, new: bool) -> Result<(), Errno> {
        let (thread, waiting, left) = (OnceLock::new(), AtomicBool::new(false), AtomicBool::new(false));
        let worker = Worker { thread, waiting, left, place, new };
        without_termination_signals(|| threads.start(worker, stack_size()))
    }

    fn serve(&self, worker: &Worker, seat: &Seat) -> Result<(), Errno> {
        let _ = worker.thread.set(Thread::current()?);
        // Who sent a request sleeps now, and the queue's CPU has nothing else to do.
        if let Err(errno) = bind_to(seat.queue().into()) {
            log::debug!("io_uring: queue {} is served on any CPU: {}", seat.queue(), errno.desc());
        }
        seat.attend();
        if worker.new && !self.join(seat) {
            return Ok(());
        }
        let mut process = fork::Watch::begin();
        let mut state = seat.state();
        if holder(state) != worker.place.number {
            return Ok(());
        }
        loop {
            if Phase::of(state) != Phase::Idle && !self.finish(seat, state) {
                return Ok(());
            }
            let Some(next) = self.next(worker, seat)? else { return Ok(()) };
            state = next;
            self.call(&worker.place.channel, seat, state);
            if process.is_child() {
                log::warn!("a callback forked and has returned in the child, which cannot serve over io_uring");
                return Ok(());
            }
        }
    }

    /// Waits for the next request; none at the end.
    fn next(&self, worker: &Worker, seat: &Seat) -> Result<Option<u64>, Errno> {
        loop {
            if self.session.is_paused() {
                // The last reply is not to wait for that.
                seat.flush()?;
                self.session.park();
            }
            worker.waiting.store(true, Ordering::SeqCst);
            let got = if self.session.exited() { Err(Errno::ESHUTDOWN) } else { seat.wait() };
            worker.waiting.store(false, Ordering::Relaxed);
            match got {
                Ok(Some(state)) => {
                    self.session.watch_uring();
                    return Ok(Some(state));
                }
                Ok(None) => {}
                // The exit, or the end of the connection, which the device's readers hear of.
                Err(Errno::ESHUTDOWN | Errno::ENOTCONN | Errno::ECONNABORTED) => {
                    seat.desert();
                    return Ok(None);
                }
                Err(errno) => {
                    log::error!("io_uring: queue {}: {}", seat.queue(), errno.desc());
                    return Err(errno);
                }
            }
        }
    }

    fn call(&self, channel: &Arc<Channel>, seat: &Seat, state: u64) {
        SERVED.set(Some(Served { channel: Arc::as_ptr(channel).addr(), state }));
        let mut head = InHeader::default();
        let served = seat.with_message(|message| {
            head = decode::header(message).unwrap_or_default();
            self.session.process(channel, message);
        });
        if served.is_err() {
            log::error!("io_uring: a request contradicts itself, and is refused");
        } else if Opcode::reply_to(head.opcode) == Reply::None {
            // Nobody waits for an answer, but the entry is free again only with one.
            let nothing = OutHeader { len: size_of::<OutHeader>() as u32, error: 0, unique: head.unique };
            let _ = seat.send(&[IoSlice::new(nothing.as_bytes())]);
        }
    }

    /// After a callback: waits for the reply, if it is not there. False when this thread is not to go on.
    fn finish(&self, seat: &Seat, state: u64) -> bool {
        loop {
            match seat.leave(state) {
                After::Replied => return true,
                After::Lost => return false,
                After::Unanswered if self.session.exited() => {
                    seat.desert();
                    return false;
                }
                After::Unanswered => {
                    self.session.watch_uring();
                    seat.await_reply(state, || !self.session.exited());
                }
            }
        }
    }
}

impl Crew for Rings<'_> {
    type Member = Worker;

    fn work(&self, _: &Threads<'_, Self>, worker: &Worker) {
        self.session.loop_begins();
        let served = worker.place.channel.as_seat().map_or(Ok(()), |seat| self.serve(worker, seat));
        if let Err(errno) = served {
            self.failure.lock().get_or_insert(errno);
            self.session.exit();
        }
        worker.left.store(true, Ordering::Relaxed);
    }

    fn ended(&self, worker: &Worker) {
        self.session.loop_ends();
        let Place { channel, number } = &worker.place;
        if !worker.left.load(Ordering::Relaxed)
            && let Some(number) = channel.as_seat().and_then(|seat| seat.take_from(*number))
        {
            self.session.uring.orphans.lock().push(Place { channel: channel.clone(), number });
        }
        self.session.ring();
    }

    /// A worker in a callback ends when that returns.
    fn call_off(&self, worker: &Worker, loudly: bool) {
        if let Some(seat) = worker.place.channel.as_seat() {
            seat.rouse();
        }
        if worker.waiting.load(Ordering::SeqCst)
            && let Some(thread) = worker.thread.get()
        {
            thread.wake_to_end(loudly);
        }
    }
}

impl Session {
    /// A request is being served: whoever looks after the queues is not to sleep.
    #[inline]
    fn watch_uring(&self) {
        if self.uring.asleep.load(Ordering::SeqCst) && self.uring.asleep.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }
}
