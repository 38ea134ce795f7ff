//! Who may use which slot: each thread keeps some that are free, all threads share the others.

mod stock;

use super::slot::{Slot, Token};
use crate::transport::threads::{AtEnd, here};
use core::cell::Cell;
use parking_lot::Mutex;
use stock::{CHUNK, Stock, slot};

/// How many slots a thread keeps for itself: room for a chunk while some are left of another.
const KEEP: usize = 2 * CHUNK;
/// How many it still has when it gave back the others.
const LEFT: usize = CHUNK / 4;

static SHARED: Mutex<Stock> = Mutex::new(Stock::EMPTY);

/// A thread's own free slots. They go back when the thread ends.
pub struct Own {
    /// The one that is taken first: nearly always there is one request at a time.
    next: Cell<Option<&'static Slot>>,
    free: [Cell<Option<&'static Slot>>; KEEP],
    /// How many there are, or [`UNARMED`].
    len: Cell<usize>,
    /// Which thread this is, once it took a slot; 0 while it keeps none.
    thread: Cell<usize>,
    /// Callbacks that it is in: one of them may have the next request served.
    callbacks: Cell<usize>,
}

/// The thread's end is not watched for yet, so it keeps nothing.
const UNARMED: usize = usize::MAX;

static AT_END: AtEnd = AtEnd::unarmed();

thread_local! {
    // Nothing to be dropped, so that no memory is needed to have it dropped.
    static OWN: Own = const {
        Own {
            next: Cell::new(None),
            free: [const { Cell::new(None) }; KEEP],
            len: Cell::new(UNARMED),
            thread: Cell::new(0),
            callbacks: Cell::new(0),
        }
    };
}

/// Lends the calling thread's slots to `f`.
#[inline(always)] // the request's way goes through it
pub fn with_own<R>(f: impl FnOnce(&Own) -> R) -> R {
    OWN.with(f)
}

impl Own {
    /// A free slot for a request that arrives; none when a million are in flight.
    #[inline]
    pub fn take(&self) -> Option<&'static Slot> {
        match self.next.take() {
            None => self.pop().or_else(|| self.refill()),
            next => next,
        }
    }

    /// What tells the thread from others, once it took a slot: `threads::here`. 0 for one that keeps none, to which no slot
    /// comes home.
    #[inline]
    pub fn thread(&self) -> usize {
        self.thread.get()
    }

    #[inline(never)] // where there are several requests at a time
    fn pop(&self) -> Option<&'static Slot> {
        // None, or unarmed, leads behind the end.
        let last = self.len.get().wrapping_sub(1);
        let slot = self.free.get(last)?.get();
        self.len.set(last);
        slot
    }

    #[cold]
    fn refill(&self) -> Option<&'static Slot> {
        let mut shared = SHARED.lock();
        let mut slots = shared.take();
        if self.is_armed() {
            self.len.set(self.free.iter().zip(slots).map(|(place, slot)| place.set(Some(slot))).count());
            self.pop()
        } else {
            let one = slots.next();
            slots.for_each(|slot| shared.put(slot));
            one
        }
    }

    /// Has the request in `slot` served by `callback`, which may never return. When it did, the slot is free for the next
    /// if it [came home](Slot::came_home).
    #[inline(always)] // the request's way goes through it
    pub fn serve(&self, slot: &'static Slot, callback: impl FnOnce()) {
        self.callbacks.set(self.callbacks.get() + 1);
        callback();
        self.callbacks.set(self.callbacks.get() - 1);
        if slot.came_home(self.thread()) {
            match self.next.get() {
                None => self.next.set(Some(slot)),
                Some(_) => self.put(slot),
            }
        }
    }

    /// Makes a slot free for the next request.
    fn put(&self, slot: &'static Slot) {
        let len = self.len.get();
        match self.free.get(len) {
            Some(place) => {
                place.set(Some(slot));
                self.len.set(len + 1);
            }
            None => self.spill(slot),
        }
    }

    /// A thread that replies to what others receive would collect slots without end.
    #[cold]
    fn spill(&self, slot: &'static Slot) {
        let mut shared = SHARED.lock();
        shared.put(slot);
        if self.is_armed() {
            let len = self.len.get();
            self.free.iter().take(len).skip(LEFT).filter_map(Cell::get).for_each(|slot| shared.put(slot));
            self.len.set(len.min(LEFT));
        }
    }

    /// Whether the thread may keep slots. Without somebody who watches for its end they would be lost with it.
    fn is_armed(&self) -> bool {
        if self.len.get() == UNARMED && AT_END.arm(leave).is_ok() {
            self.len.set(0);
            self.thread.set(here());
        }
        self.len.get() != UNARMED
    }
}

/// The thread ends: its slots are everybody's.
fn leave() {
    // To sleep for the lock would take what such a thread no longer has.
    let mut shared = loop {
        match SHARED.try_lock() {
            Some(shared) => break shared,
            None => std::thread::yield_now(),
        }
    };
    with_own(|own| {
        let kept = own.free.iter().take(own.len.get()).filter_map(Cell::get);
        own.next.take().into_iter().chain(kept).for_each(|slot| shared.put(slot));
        own.len.set(UNARMED);
        if own.callbacks.take() > 0 {
            // One of them ended the thread, before or after its reply. Another thread may have the same number some day.
            let homeless = shared.used().filter(|slot| slot.came_home(own.thread()));
            homeless.for_each(|slot| shared.put(slot));
        }
        own.thread.set(0);
    });
}

/// The slot that a token names; whether the token still matches is for the slot to say.
#[inline]
pub fn find(token: Token) -> Option<&'static Slot> {
    slot(token.index())
}

/// A free slot for a request that nobody serves on this thread; it goes back where it ends.
pub fn take() -> Option<&'static Slot> {
    with_own(Own::take)
}

/// Makes a slot free for the next request.
#[cold]
pub(super) fn give_back(slot: &'static Slot) {
    with_own(|own| own.put(slot));
}

/// Every slot that was ever used.
pub fn each() -> impl Iterator<Item = &'static Slot> {
    SHARED.lock().used()
}

#[cfg(test)]
mod tests {
    use super::super::{Arrival, Marks};
    use super::*;
    use crate::abi::wire::InHeader;
    use core::ptr::null_mut;
    use std::collections::HashSet;
    use std::panic::resume_unwind;
    use std::sync::Barrier;

    /// One request, answered by its callback.
    fn serve() -> &'static Slot {
        serve_and(|_| ())
    }

    /// The same, with what is done before the end.
    fn serve_and(end: impl FnOnce(&Slot)) -> &'static Slot {
        with_own(|own| {
            let slot = own.take().expect("memory");
            let (head, session, channel, userdata) = (&InHeader::default(), null_mut(), null_mut(), null_mut());
            let (flags, umask, marks, server) = (0, 0, Marks::empty(), own.thread());
            own.serve(slot, || {
                let token = slot.arrive(&Arrival { head, flags, umask, session, channel, userdata, marks, server });
                drop(slot.claim(token).inspect(|claim| end(claim.slot())));
            });
            slot
        })
    }

    /// Chunks that a thread has slots of when it took many, one at a time beside another thread.
    fn chunks_of_many(turn: &Barrier) -> HashSet<usize> {
        let take = |_| {
            turn.wait();
            take().expect("memory")
        };
        let taken: Vec<_> = (0..4 * CHUNK).map(take).collect();
        taken.into_iter().map(|slot| (give_back(slot), slot.index() / CHUNK).1).collect()
    }

    /// Processors would fetch from each other what lies side by side.
    #[test]
    fn chunks_have_slots_of_one_thread() {
        let turn = Barrier::new(2);
        let many = || chunks_of_many(&turn);
        let [one, other] =
            std::thread::scope(|scope| [scope.spawn(many), scope.spawn(many)].map(|t| t.join().unwrap()));
        // What other tests left free may be a part of a chunk.
        assert!(one.intersection(&other).count() < 3, "{one:?} and {other:?}");
    }

    #[test]
    fn slots_of_threads_that_end_are_used_again() {
        let before = each().count();
        for _ in 0..1000 {
            std::thread::spawn(|| _ = serve()).join().unwrap();
            // Nothing returns, as with pthread_exit(3).
            assert!(std::thread::spawn(|| _ = serve_and(|_| resume_unwind(Box::new(())))).join().is_err());
        }
        let more = each().count() - before;
        assert!(more < 500, "{more} slots for one request at a time");
    }

    /// Its number is that of what is kept of the request.
    #[test]
    fn a_slot_that_is_left_is_no_other_requests() {
        let left: HashSet<_> = (0..CHUNK).map(|_| serve_and(Slot::leave).index()).collect();
        assert_eq!(left.len(), CHUNK);
    }

    /// Where no callback did, none of many slots has to be looked at.
    #[test]
    fn a_thread_knows_whether_a_callback_ended_it() {
        let within = || with_own(|own| own.callbacks.get());
        assert_eq!(within(), 0);
        serve_and(|_| {
            serve_and(|_| assert_eq!(within(), 2));
            assert_eq!(within(), 1);
        });
        assert_eq!(within(), 0);
    }

    #[test]
    fn no_slot_is_given_twice() {
        for _ in 0..2 {
            // Three at a time, as a callback may have the next request served.
            serve_and(|_| _ = serve_and(|_| _ = serve()));
        }
        // More than a thread keeps.
        let taken: HashSet<_> = with_own(|own| (0..=KEEP).map(|_| own.take().expect("memory").index()).collect());
        assert_eq!(taken.len(), KEEP + 1);
    }
}
