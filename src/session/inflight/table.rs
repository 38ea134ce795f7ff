//! All slots of the process, and who may use which.

use super::slot::{INDEX_BITS, Slot, Token};
use crate::transport::threads::{AtEnd, here};
use core::cell::Cell;
use once_cell::race::OnceRef;
use parking_lot::Mutex;

/// Slots of one chunk, a page; chunks are allocated when they are first needed and kept.
const CHUNK: usize = 32;
const CHUNKS: usize = (1 << INDEX_BITS) / CHUNK;
/// How many slots a thread keeps for itself, and how many move at once: few enough that where memory for more has run out
/// several threads can go on.
const KEEP: usize = 64;
const BATCH: usize = 8;

// All zero, so that it takes no memory where nothing is.
static SLOTS: [OnceRef<'static, [Slot; CHUNK]>; CHUNKS] = [const { OnceRef::new() }; CHUNKS];

/// The slots that no thread keeps.
struct Shared {
    free: Vec<&'static Slot>,
    /// Slots from this one on were never used.
    fresh: u32,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { free: Vec::new(), fresh: 0 });

/// A thread's own free slots. They go back when the thread ends.
pub struct Own {
    /// The one that is taken first: nearly always there is one request at a time.
    next: Cell<Option<&'static Slot>>,
    free: [Cell<Option<&'static Slot>>; KEEP],
    /// How many there are, or [`UNARMED`].
    len: Cell<usize>,
    /// Which thread this is, once it took a slot; 0 while it keeps none.
    thread: Cell<usize>,
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
        let mut next = || shared.free.pop().or_else(|| fresh(&mut shared));
        if self.is_armed() {
            let places = self.free.iter().take(BATCH);
            let filled = places.map_while(|place| next().map(|slot| place.set(Some(slot)))).count();
            self.len.set(filled);
            self.pop()
        } else {
            next()
        }
    }

    /// The callback has returned for the request in `slot`, which is free for the next if it [came home](Slot::came_home).
    #[inline]
    pub fn served(&self, slot: &'static Slot) {
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
        shared.free.push(slot);
        if self.is_armed() {
            let len = self.len.get();
            shared.free.extend(self.free.iter().take(len).skip(BATCH).filter_map(Cell::get));
            self.len.set(len.min(BATCH));
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
        shared.free.extend(own.next.take());
        shared.free.extend(own.free.iter().take(own.len.get()).filter_map(Cell::get));
        own.len.set(UNARMED);
        // A callback may have ended the thread, before or after its reply. Another thread may have the same number some day.
        let homeless = (0..shared.fresh as usize).filter_map(slot).filter(|slot| slot.came_home(own.thread()));
        shared.free.extend(homeless);
        own.thread.set(0);
    });
}

#[inline]
fn slot(index: usize) -> Option<&'static Slot> {
    SLOTS.get(index / CHUNK)?.get()?.get(index % CHUNK)
}

/// The slot that a token names; whether the token still matches is for the slot to say.
#[inline]
pub fn find(token: Token) -> Option<&'static Slot> {
    slot(token.index())
}

/// A slot that was never used, its chunk made when it is the first of it; none when there is no memory for that.
fn fresh(shared: &mut Shared) -> Option<&'static Slot> {
    let index = shared.fresh;
    let chunk = SLOTS.get(index as usize / CHUNK)?;
    if chunk.get().is_none() {
        let mut slots = Vec::new();
        slots.try_reserve_exact(CHUNK).ok()?;
        slots.extend((index..).take(CHUNK).map(Slot::with_index));
        let slots: &'static [Slot] = slots.leak();
        // The lock is held, so nobody else makes it.
        let _ = chunk.set(slots.try_into().ok()?);
    }
    shared.fresh += 1;
    slot(index as usize)
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
    let used = SHARED.lock().fresh as usize;
    (0..used).filter_map(slot)
}

#[cfg(test)]
mod tests {
    use super::super::{Arrival, Marks};
    use super::*;
    use crate::abi::wire::InHeader;
    use core::ptr::null_mut;
    use std::collections::HashSet;

    /// One request, answered by its callback.
    fn serve() -> &'static Slot {
        let slot = take().expect("memory");
        let (head, session, channel, userdata) = (&InHeader::default(), null_mut(), null_mut(), null_mut());
        let (flags, umask, marks, server) = (0, 0, Marks::empty(), with_own(Own::thread));
        let token = slot.arrive(&Arrival { head, flags, umask, session, channel, userdata, marks, server });
        drop(slot.claim(token));
        slot
    }

    #[test]
    fn slots_of_threads_that_end_are_used_again() {
        let before = SHARED.lock().fresh;
        for _ in 0..500 {
            std::thread::spawn(|| _ = serve()).join().unwrap();
            std::thread::spawn(|| with_own(|own| own.served(serve()))).join().unwrap();
        }
        let more = SHARED.lock().fresh - before;
        assert!(more < 250, "{more} slots for one request at a time");
    }

    #[test]
    fn no_slot_is_given_twice() {
        for _ in 0..2 {
            let slots: Vec<_> = (0..3).map(|_| serve()).collect();
            with_own(|own| slots.iter().for_each(|slot| own.served(slot)));
        }
        let taken: HashSet<_> = with_own(|own| (0..3).map(|_| own.take().expect("memory").index()).collect());
        assert_eq!(taken.len(), 3);
    }
}
