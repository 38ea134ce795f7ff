//! The beginning: a seat for each entry of each queue, a thread at each seat, and what the kernel says to the entries.
//!
//! Each queue has as many seats as its depth says, all from the start: the kernel gives an entry that joins later only what
//! comes from then on, and what waited before would wait until a reply is committed. Nothing that a daemon could always do
//! makes the kernel look again: data of a regular file asked for by a notification would, but there need not be one that
//! the kernel knows. It prefers the entry that was committed last, so that as few threads work as the load needs.
//!
//! Once each queue has an entry the kernel uses them, and does not go back. So no entry is made known to it before all
//! that this takes is there.

use super::crew::Rings;
use super::watch::{Known, Queue};
use super::{Place, Session, Status};
use crate::session::Channel;
use crate::transport::threads::Threads;
use crate::transport::uring::{Memory, Seat, queues};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Files that a seat takes: the ring, and the device.
const SEAT_FILES: u64 = 2;

/// How far the beginning is.
#[derive(Default)]
pub(super) struct Start {
    /// Whether the threads may go on; locked until that is known.
    gate: Mutex<bool>,
    answers: Mutex<Answers>,
}

/// What the kernel said to the entries.
#[derive(Default)]
struct Answers {
    /// Entries that it has taken, of each queue; nothing if an earlier loop gave them to it.
    joined: Vec<usize>,
    refused: usize,
    why: Option<Errno>,
}

impl Answers {
    fn add(&mut self, queue: u16, answer: Result<(), Errno>) {
        match (answer, self.joined.get_mut(usize::from(queue))) {
            (Ok(()), Some(entries)) => *entries += 1,
            (answer, _) => (self.refused, self.why) = (self.refused + 1, answer.err()),
        }
    }

    fn joined(&self) -> usize {
        self.joined.iter().sum()
    }

    /// The kernel uses the entries.
    fn is_ready(&self) -> bool {
        self.joined.iter().all(|entries| *entries > 0)
    }
}

impl Rings<'_> {
    /// Gives each queue its seats, and each seat its thread.
    pub(super) fn begin(&self, threads: &Threads<'_, Self>) {
        let uring = &self.session.uring;
        uring.status.store(Status::STARTING, Ordering::SeqCst);
        self.watch.lock().begun = true;
        let mut gate = self.start.gate.lock();
        match self.session.make_seats().and_then(|places| self.start_all(threads, places)) {
            Ok(()) => *gate = true,
            Err(errno) => {
                uring.queues.lock().clear();
                self.session.withdraw_uring(errno.desc());
            }
        }
    }

    fn start_all(&self, threads: &Threads<'_, Self>, places: Vec<Place>) -> Result<(), Errno> {
        self.start.answers.lock().joined = vec![0; self.session.uring.queues.lock().len()];
        places.into_iter().try_for_each(|place| self.start(threads, place, true))
    }

    /// Gives the kernel the entry. False when there are to be none, or it does not take it.
    pub(super) fn join(&self, seat: &Seat) -> bool {
        if !*self.start.gate.lock() {
            return false;
        }
        let joined = seat.register();
        self.start.answers.lock().add(seat.queue(), joined);
        self.session.ring();
        joined.is_ok()
    }

    /// Whether the kernel has taken the entries.
    pub(super) fn look_at_start(&self) {
        let (session, answers) = (self.session, self.start.answers.lock());
        let (queues, depth) = (session.uring.queues.lock().len(), session.uring.depth.load(Ordering::Relaxed));
        if !answers.joined.is_empty() && answers.joined() + answers.refused < queues * depth {
            return;
        }
        if let Some(errno) = answers.why {
            if !answers.is_ready() {
                return session.withdraw_uring(errno.desc());
            }
            log::warn!("io_uring: {} of {} entries were refused: {}", answers.refused, queues * depth, errno.desc());
        }
        *session.uring.reserve.lock() = None;
        session.uring.status.store(Status::ON, Ordering::SeqCst);
        let payload = session.uring.payload.load(Ordering::Relaxed);
        log::info!("io_uring is on: {queues} queues of {depth} requests with {payload} bytes of data each at most");
    }
}

impl Session {
    /// The seats of all queues, with no thread yet.
    fn make_seats(&self) -> Result<Vec<Place>, Errno> {
        let queues = queues()?;
        let depth = affordable_depth(self.config.io_uring.unwrap_or(0) as usize, queues)?;
        self.uring.depth.store(depth, Ordering::Relaxed);
        let mut places = Vec::with_capacity(queues * depth);
        for number in 0..queues {
            let memory = Arc::new(Memory::new(depth, self.uring.payload.load(Ordering::Relaxed))?);
            let seats =
                (0..depth).map(|place| self.make_seat(number, &memory, place)).collect::<Result<Vec<_>, _>>()?;
            places.extend(seats.iter().map(|channel| Place { channel: channel.clone(), number: 0 }));
            let seats = seats.into_iter().map(|channel| Known { channel, state: 0 }).collect();
            self.uring.queues.lock().push(Queue { seats });
        }
        Ok(places)
    }

    fn make_seat(&self, queue: usize, memory: &Arc<Memory>, place: usize) -> Result<Arc<Channel>, Errno> {
        let number = u16::try_from(queue).map_err(|_| Errno::EOVERFLOW)?;
        let device = self.channel()?.clone_device()?;
        Ok(Arc::new(Channel::ring(Seat::new(device, number, memory, place)?)))
    }
}

/// How many seats a queue can have if it is to have so many: with many CPUs they would take the files that the daemon may
/// open.
fn affordable_depth(asked: usize, queues: usize) -> Result<usize, Errno> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let share = limit / 2 / (SEAT_FILES * queues as u64);
    let depth = asked.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1);
    if depth < asked {
        log::warn!(
            "io_uring: {depth} requests of a queue at once and not {asked}, so that {queues} queues leave half of the \
             {limit} open files that the process may have (RLIMIT_NOFILE)"
        );
    }
    Ok(depth)
}
