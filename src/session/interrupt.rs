//! Interrupts, which may arrive before the request that they mean.

#[cfg(all(test, loom))]
mod model;

use super::inflight::{self, Pin, Slot, Token};
use super::{Channel, Session};
use crate::abi::c::common::CONN_NO_INTERRUPT;
use crate::abi::opcode::Opcode;
use crate::sync::{AtomicUsize, Mutex, fence};
use core::sync::atomic::Ordering;
use nix::errno::Errno;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Interrupts that are kept at most. A kernel never has that many under way, another peer may send what it likes.
const KEPT: usize = 1024;

/// How long an interrupt waits for its request where requests come over io_uring. Interrupts still come from the device,
/// where the kernel does not find such a request: to give one back would lose it.
const PATIENCE: Duration = Duration::from_secs(1);

/// An interrupt whose request is not in flight: it finished, or it was read by another thread that has not
/// registered it yet.
#[derive(Clone, Copy, Debug)]
struct Early {
    /// The interrupt's own unique, to answer it with.
    unique: u64,
    /// The unique of the request that it means.
    target: u64,
    /// Address of the channel that it was read from: the kernel looks for the request in that channel's queue only.
    channel: usize,
    /// When it was read.
    since: Instant,
}

/// Interrupts without their request.
#[derive(Default)]
pub struct Interrupts {
    early: Mutex<VecDeque<Early>>,
    /// How many there are, and one more while one is searching: what a request looks at, without the lock.
    count: AtomicUsize,
}

fn address(channel: &Channel) -> usize {
    core::ptr::from_ref(channel).addr()
}

/// What became of an interrupt.
enum Found {
    /// Its request is in flight.
    Pinned(Pin),
    /// It waits for its request, perhaps in the place of one that waited longest.
    Kept { displaced: Option<Early> },
}

impl Session {
    /// An interrupt arrived. Where the daemon wants none, the kernel is told, and sends no more.
    pub(super) fn interrupt(&self, channel: &Channel, unique: u64, target: u64) {
        if self.conn.lock().bits & CONN_NO_INTERRUPT != 0 {
            let _ = self.send(channel, unique, -(Errno::ENOSYS as i32), &[]);
            return;
        }
        match self.find_or_keep(Early { unique, target, channel: address(channel), since: Instant::now() }) {
            Found::Pinned(pin) => pin.interrupt(),
            Found::Kept { displaced: Some(early) } => self.send_back(early),
            Found::Kept { displaced: None } => {}
        }
    }

    /// Gives an interrupt back to the kernel, which sends it again if it still has the request. It goes the way it came: on
    /// others the kernel does not find the request.
    fn send_back(&self, early: Early) {
        if let Some(channel) = self.ends().all().find(|end| address(end) == early.channel) {
            let _ = self.send(channel, early.unique, -(Errno::EAGAIN as i32), &[]);
        }
    }

    /// Finds the request that is meant, or keeps the interrupt for it.
    ///
    /// The count is raised before the search and requests look at it after they became findable, so one of the two
    /// sees the other; the lock is held meanwhile, so a request that looks waits for the outcome.
    fn find_or_keep(&self, interrupt: Early) -> Found {
        let mut early = self.interrupts.early.lock();
        self.interrupts.count.fetch_add(1, Ordering::SeqCst);
        // The search reads with weaker orderings, and must not begin before the count is seen to be raised.
        fence(Ordering::SeqCst);
        if let Some(pin) = self.in_flight(interrupt.target) {
            self.interrupts.count.fetch_sub(1, Ordering::SeqCst);
            return Found::Pinned(pin);
        }
        let displaced = if early.len() < KEPT { None } else { early.pop_front() };
        if displaced.is_some() {
            self.interrupts.count.fetch_sub(1, Ordering::SeqCst);
        }
        early.push_back(interrupt);
        Found::Kept { displaced }
    }

    fn in_flight(&self, unique: u64) -> Option<Pin> {
        // The unique of a retrieve's data is a number of our own, which says nothing.
        let is_request = |slot: &Slot| slot.opcode() != Opcode::NotifyReply as u32;
        let is_meant = |slot: &Slot| slot.unique() == unique && slot.session() == self.address() && is_request(slot);
        inflight::each().find_map(|slot| {
            // First whether a request lives there: only then is the rest of what it arrived with sure to be seen.
            let token = slot.token()?;
            let pin = is_meant(slot).then(|| slot.pin(token))??;
            // The slot may have changed hands before it was pinned.
            is_meant(slot).then_some(pin)
        })
    }

    /// A request arrived: an interrupt may be there already. One that is not for it, but came through the same channel,
    /// goes back to the kernel, which sends it again if it still has the request. Over io_uring that is not possible: there
    /// one whose request must be over is dropped.
    #[inline]
    pub(super) fn meet_interrupts(&self, token: Token, unique: u64, channel: &Channel) {
        if self.interrupts.count.load(Ordering::SeqCst) != 0 {
            self.meet_early(token, unique, channel);
        }
    }

    #[cold]
    fn meet_early(&self, token: Token, unique: u64, channel: &Channel) {
        let mut early = self.interrupts.early.lock();
        let mine = early.iter().position(|e| e.target == unique);
        let rings = self.has_rings();
        let is_over = |e: &Early| if rings { e.since.elapsed() > PATIENCE } else { e.channel == address(channel) };
        let met = mine.or_else(|| early.iter().position(is_over));
        let Some(met) = met.and_then(|at| early.remove(at)) else { return };
        self.interrupts.count.fetch_sub(1, Ordering::SeqCst);
        drop(early);
        if mine.is_none() && !rings {
            self.send_back(met);
        } else if mine.is_some()
            && let Some(pin) = inflight::find(token).and_then(|slot| slot.pin(token))
        {
            pin.mark_interrupted();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{end, session};
    use super::*;
    use crate::abi::wire::OutHeader;
    use zerocopy::FromBytes;

    #[test]
    fn one_too_many_goes_back_the_way_it_came() {
        let (session, kernel) = session();
        let (clone, kernel_of_clone) = end();
        let clone = session.add_clone(clone).unwrap();
        for n in 0..KEPT as u64 {
            session.interrupt(&clone, 2 * n + 1, 2 * n);
        }
        session.interrupt(session.channel().unwrap(), 4001, 4000);
        let mut reply = [0; 100];
        assert!(kernel.recv(&mut reply).is_err());
        assert_eq!(kernel_of_clone.recv(&mut reply).unwrap(), size_of::<OutHeader>());
        let (head, _) = OutHeader::read_from_prefix(&reply).unwrap();
        assert_eq!((head.unique, head.error), (1, -(Errno::EAGAIN as i32)));
    }
}
