//! Looks after the queues, on the thread that waits for the pool.
//!
//! Each queue has as many seats as its depth says, all from the start: the kernel gives an entry that joins later only what
//! comes from then on, and what waited before would wait until a reply is committed. Nothing that a daemon could always do
//! makes the kernel look again: data of a regular file asked for by a notification would, but there need not be one that
//! the kernel knows. It prefers the entry that was committed last, so that as few
//! threads work as the load needs. A callback that goes on after its reply gives its seat to another thread, so that the
//! reply is not kept from who waits for it.

use super::crew::Rings;
use super::{Session, Status};
use crate::session::Channel;
use crate::transport::threads::Threads;
use crate::transport::uring::{Memory, Phase, Seat, queues};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How soon to look again where something is to be done.
const TICK: Duration = Duration::from_millis(1);
/// How long between looks at most, while there are requests.
const SLOWEST: Duration = Duration::from_millis(16);

/// Files that a seat takes: the ring, and the device.
const SEAT_FILES: u64 = 2;

/// The seats of one queue.
#[derive(Default)]
pub(super) struct Queue {
    seats: Vec<Known>,
}

/// A seat, and the state in which it was found last.
struct Known {
    channel: Arc<Channel>,
    state: u64,
}

/// What is found at a look.
#[derive(Default)]
struct Found {
    /// Something has happened since the last look.
    changed: bool,
    /// A callback runs.
    serving: bool,
    /// A reply waits to be committed.
    pressing: bool,
    /// Seats whose thread does not come back from the callback, with a reply to be committed.
    replied: Vec<Arc<Channel>>,
}

/// When to look again.
#[derive(Default)]
pub(super) struct Watch {
    /// The seats have their threads.
    begun: bool,
    next: Option<Instant>,
    pause: Duration,
}

impl Queue {
    /// Closes the rings that no thread uses.
    pub fn close(&self) {
        self.seats.iter().filter_map(|seat| seat.channel.as_seat()).for_each(Seat::close);
    }

    /// The seat whose channel has this address.
    pub fn seat_at(&self, address: usize) -> Option<Arc<Channel>> {
        let found = self.seats.iter().find(|known| Arc::as_ptr(&known.channel).addr() == address);
        found.map(|known| known.channel.clone())
    }

    fn look(&mut self, found: &mut Found) {
        for known in &mut self.seats {
            let Some(seat) = known.channel.as_seat() else { continue };
            let (state, before) = (seat.state(), known.state);
            known.state = state;
            found.changed |= state != before;
            match Phase::of(state) {
                Phase::Idle | Phase::Awaiting => {}
                Phase::Serving => found.serving = true,
                Phase::Replied if state == before && seat.claim(state) => found.replied.push(known.channel.clone()),
                Phase::Replied => found.pressing = true,
            }
        }
    }
}

impl Rings<'_> {
    /// Does what is to be done for the queues, and says when to come again at the latest.
    pub fn tend(&self, threads: &Threads<'_, Self>) -> Option<Duration> {
        threads.reap();
        let status = self.session.uring.status.load(Ordering::SeqCst);
        if status == Status::AGREED
            && let Err(errno) = self.begin(threads)
        {
            self.session.withdraw_uring(errno.desc());
        }
        if status == Status::STARTING {
            self.look_at_start();
        }
        if self.session.uses_uring() { self.look(threads) } else { None }
    }

    /// Gives each queue its seats.
    fn begin(&self, threads: &Threads<'_, Self>) -> Result<(), Errno> {
        let session = self.session;
        session.uring.status.store(Status::STARTING, Ordering::SeqCst);
        self.watch.lock().begun = true;
        let queues = queues()?;
        let depth = affordable_depth(session.config.io_uring.unwrap_or(0) as usize, queues)?;
        session.uring.depth.store(depth, Ordering::Relaxed);
        for number in 0..queues {
            session.uring.queues.lock().push(Queue::default());
            let memory = Arc::new(Memory::new(depth, session.uring.payload.load(Ordering::Relaxed))?);
            for place in 0..depth {
                let channel = session.new_seat(number, &memory, place)?;
                self.start(threads, channel, true)?;
            }
        }
        Ok(())
    }

    /// Whether the kernel has taken all entries.
    fn look_at_start(&self) {
        let session = self.session;
        if let Some(errno) = self.refused.lock().take() {
            return session.withdraw_uring(errno.desc());
        }
        let (queues, depth) = (session.uring.queues.lock().len(), session.uring.depth.load(Ordering::Relaxed));
        if self.joined.load(Ordering::SeqCst) < queues * depth {
            return;
        }
        *session.uring.reserve.lock() = None;
        session.uring.status.store(Status::ON, Ordering::SeqCst);
        let payload = session.uring.payload.load(Ordering::Relaxed);
        log::info!("io_uring is on: {queues} queues of {depth} requests with {payload} bytes of data each at most");
    }

    fn look(&self, threads: &Threads<'_, Self>) -> Option<Duration> {
        let mut watch = self.watch.lock();
        if !watch.begun {
            watch.begun = true;
            self.begin_again(threads);
        }
        let left_alone = core::mem::take(&mut *self.session.uring.orphans.lock());
        left_alone.into_iter().for_each(|channel| self.take_over(threads, channel));
        let now = Instant::now();
        if let Some(next) = watch.next.filter(|next| *next > now) {
            return Some(next.saturating_duration_since(now));
        }
        let found = self.session.look_at_queues();
        for channel in found.replied {
            self.take_over(threads, channel);
        }
        watch.pause = if found.pressing { TICK } else { watch.pause.saturating_mul(2).max(TICK) };
        if watch.pause > SLOWEST && !found.changed && self.session.may_sleep() {
            *watch = Watch { begun: true, ..Watch::default() };
            return None;
        }
        watch.pause = watch.pause.min(SLOWEST);
        watch.next = now.checked_add(watch.pause);
        Some(watch.pause)
    }

    /// An earlier loop had the seats.
    fn begin_again(&self, threads: &Threads<'_, Self>) {
        let seats: Vec<_> = {
            let queues = self.session.uring.queues.lock();
            queues.iter().flat_map(|queue| &queue.seats).map(|known| known.channel.clone()).collect()
        };
        seats.into_iter().for_each(|channel| self.take_over(threads, channel));
    }

    /// Has another thread take a seat.
    fn take_over(&self, threads: &Threads<'_, Self>, channel: Arc<Channel>) {
        if let Err(errno) = self.start(threads, channel.clone(), false) {
            log::warn!("no thread for a queue of io_uring, for now: {}", errno.desc());
            self.session.uring.orphans.lock().push(channel);
        }
    }
}

impl Session {
    fn new_seat(&self, queue: usize, memory: &Arc<Memory>, place: usize) -> Result<Arc<Channel>, Errno> {
        let number = u16::try_from(queue).map_err(|_| Errno::EOVERFLOW)?;
        let device = self.channel()?.clone_device()?;
        let seat = Seat::new(device, number, memory, place)?;
        let channel = Arc::new(Channel::ring(seat));
        if let Some(queue) = self.uring.queues.lock().get_mut(queue) {
            queue.seats.push(Known { channel: channel.clone(), state: 0 });
        }
        Ok(channel)
    }

    fn look_at_queues(&self) -> Found {
        let mut found = Found::default();
        self.uring.queues.lock().iter_mut().for_each(|queue| queue.look(&mut found));
        found
    }

    /// Whether nothing is under way that has to be looked after; whoever begins something then rings the bell.
    fn may_sleep(&self) -> bool {
        self.uring.asleep.store(true, Ordering::SeqCst);
        let found = self.look_at_queues();
        let sleeps = !(found.serving || found.pressing || found.changed) && found.replied.is_empty();
        if !sleeps {
            self.uring.asleep.store(false, Ordering::SeqCst);
        }
        sleeps
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
