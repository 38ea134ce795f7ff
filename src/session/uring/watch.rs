//! Looks after the queues, on the thread that waits for the pool.
//!
//! A callback that goes on after its reply gives its seat to another thread, so that the reply is not kept from who waits
//! for it; and so does one that ends its thread. Who takes a seat gives it a new number, so that no two take the same.

use super::crew::Rings;
use super::{Place, Session, Status};
use crate::session::Channel;
use crate::transport::threads::{Crew, Threads};
use crate::transport::uring::{Phase, Seat, holder};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How soon to look again where something is to be done.
const TICK: Duration = Duration::from_millis(1);
/// How long between looks at most, while there are requests.
const SLOWEST: Duration = Duration::from_millis(16);

/// The seats of one queue.
#[derive(Default)]
pub(super) struct Queue {
    pub seats: Vec<Known>,
}

/// A seat, and the state in which it was found last.
pub(super) struct Known {
    pub channel: Arc<Channel>,
    pub state: u64,
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
    replied: Vec<Place>,
}

/// When to look again.
#[derive(Default)]
pub(super) struct Watch {
    /// The seats have their threads.
    pub begun: bool,
    /// A thread could not be started, which was said.
    short: bool,
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
                Phase::Replied if state == before => {
                    let taken = seat.claim(state).map(|number| Place { channel: known.channel.clone(), number });
                    found.replied.extend(taken);
                }
                Phase::Replied => found.pressing = true,
            }
        }
    }
}

impl Known {
    /// Takes the seat from whoever has it.
    fn take(&self) -> Option<Place> {
        let seat = self.channel.as_seat()?;
        let number = seat.take_from(holder(seat.state()))?;
        Some(Place { channel: self.channel.clone(), number })
    }
}

impl Rings<'_> {
    /// Does what is to be done for the queues, and says when to come again at the latest.
    pub fn tend(&self, threads: &Threads<'_, Self>) -> Option<Duration> {
        threads.reap();
        if self.session.is_paused() {
            threads.each(|worker| self.call_off(worker, false));
        }
        match self.session.uring.status.load(Ordering::SeqCst) {
            Status::AGREED => self.begin(threads),
            Status::STARTING => self.look_at_start(),
            _ => {}
        }
        if self.session.uses_uring() { self.look(threads) } else { None }
    }

    fn look(&self, threads: &Threads<'_, Self>) -> Option<Duration> {
        let mut watch = self.watch.lock();
        if !watch.begun {
            watch.begun = true;
            self.begin_again();
        }
        let left_alone = core::mem::take(&mut *self.session.uring.orphans.lock());
        left_alone.into_iter().for_each(|place| self.take_over(threads, &mut watch, place));
        let now = Instant::now();
        if let Some(next) = watch.next.filter(|next| *next > now) {
            return Some(next.saturating_duration_since(now));
        }
        let found = self.session.look_at_queues();
        for place in found.replied {
            self.take_over(threads, &mut watch, place);
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

    /// An earlier loop had the seats: all of them wait for a thread.
    fn begin_again(&self) {
        let uring = &self.session.uring;
        let places = uring.queues.lock().iter().flat_map(|queue| &queue.seats).filter_map(Known::take).collect();
        *uring.orphans.lock() = places;
    }

    /// Has another thread take a seat, now or later.
    fn take_over(&self, threads: &Threads<'_, Self>, watch: &mut Watch, place: Place) {
        let started = self.start(threads, place.clone(), false);
        if let Err(errno) = started {
            if !watch.short {
                log::warn!("no thread for a queue of io_uring, for now: {}", errno.desc());
            }
            self.session.uring.orphans.lock().push(place);
        }
        watch.short = started.is_err();
    }
}

impl Session {
    fn look_at_queues(&self) -> Found {
        let mut found = Found::default();
        self.uring.queues.lock().iter_mut().for_each(|queue| queue.look(&mut found));
        found
    }

    /// Whether nothing is under way that has to be looked after; whoever begins something then rings the bell.
    fn may_sleep(&self) -> bool {
        self.uring.asleep.store(true, Ordering::SeqCst);
        let found = self.look_at_queues();
        let mut orphans = self.uring.orphans.lock();
        orphans.extend(found.replied);
        let sleeps = !(found.serving || found.pressing || found.changed) && orphans.is_empty();
        if !sleeps {
            self.uring.asleep.store(false, Ordering::SeqCst);
        }
        sleeps
    }
}
