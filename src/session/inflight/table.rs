//! All slots of the process, and who may use which.

use super::slot::{INDEX_BITS, Slot, Token};
use crate::transport::threads::AtEnd;
use core::cell::RefCell;
use parking_lot::Mutex;
use std::sync::OnceLock;

/// Slots of one chunk; chunks are allocated when they are first needed and kept.
const CHUNK: usize = 256;
const CHUNKS: usize = (1 << INDEX_BITS) / CHUNK;
/// How many slots a thread keeps for itself, and how many move at once.
const KEEP: usize = 64;
const BATCH: usize = 32;

static SLOTS: [OnceLock<Box<[Slot]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

/// The slots that no thread keeps.
struct Shared {
    free: Vec<u32>,
    /// Slots from this one on were never used.
    fresh: u32,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { free: Vec::new(), fresh: 0 });

/// A thread's own free slots. They go back when the thread ends.
struct Own {
    free: [u32; KEEP],
    len: usize,
    /// Whether the thread's end is watched for.
    armed: bool,
}

impl Own {
    const fn new() -> Self {
        Self { free: [0; KEEP], len: 0, armed: false }
    }

    #[cold]
    fn arm(&mut self) {
        // Without it these few slots are lost with the thread.
        self.armed = AT_END.arm(leave).is_ok();
    }
}

static AT_END: AtEnd = AtEnd::unarmed();

thread_local! {
    // Nothing to be dropped, so that no memory is needed to have it dropped.
    static OWN: RefCell<Own> = const { RefCell::new(Own::new()) };
}

/// The thread ends: its slots are everybody's.
fn leave() {
    let own = OWN.with(|own| own.replace(Own::new()));
    // To sleep for the lock would take what such a thread no longer has.
    let mut shared = loop {
        match SHARED.try_lock() {
            Some(shared) => break shared,
            None => std::thread::yield_now(),
        }
    };
    shared.free.extend(own.free.iter().take(own.len));
}

fn slot(index: usize) -> Option<&'static Slot> {
    SLOTS.get(index / CHUNK)?.get()?.get(index % CHUNK)
}

/// The slot that a token names; whether the token still matches is for the slot to say.
#[inline]
pub fn find(token: Token) -> Option<&'static Slot> {
    slot(token.index())
}

/// A free slot for a request that arrives; none when a million are in flight.
#[inline]
pub fn take() -> Option<&'static Slot> {
    let index = OWN.with(|own| {
        let own = &mut *own.borrow_mut();
        if own.len == 0 {
            refill(own);
        }
        own.len = own.len.checked_sub(1)?;
        own.free.get(own.len).copied()
    })?;
    slot(index as usize)
}

#[cold]
fn refill(own: &mut Own) {
    if !own.armed {
        own.arm();
    }
    let mut shared = SHARED.lock();
    for place in own.free.iter_mut().take(BATCH) {
        let Some(index) = shared.free.pop().or_else(|| fresh(&mut shared)) else { break };
        *place = index;
        own.len += 1;
    }
}

/// A slot that was never used, its chunk made when it is the first of it; none when there is no memory for that.
fn fresh(shared: &mut Shared) -> Option<u32> {
    let index = shared.fresh;
    let chunk = SLOTS.get(index as usize / CHUNK)?;
    if chunk.get().is_none() {
        let mut slots = Vec::new();
        slots.try_reserve_exact(CHUNK).ok()?;
        slots.extend((index..).take(CHUNK).map(Slot::with_index));
        // The lock is held, so nobody else makes it.
        let _ = chunk.set(slots.into_boxed_slice());
    }
    shared.fresh += 1;
    Some(index)
}

/// Makes a slot free for the next request.
#[inline]
pub(super) fn give_back(index: u32) {
    OWN.with(|own| {
        let own = &mut *own.borrow_mut();
        if !own.armed {
            own.arm();
        }
        if own.len == KEEP {
            spill(own);
        }
        if let Some(place) = own.free.get_mut(own.len) {
            *place = index;
            own.len += 1;
        }
    });
}

/// A thread that replies to what others receive would collect slots without end.
#[cold]
fn spill(own: &mut Own) {
    own.len = KEEP - BATCH;
    SHARED.lock().free.extend(&own.free[own.len..]);
}

/// Every slot that was ever used.
pub fn each() -> impl Iterator<Item = &'static Slot> {
    let used = SHARED.lock().fresh as usize;
    (0..used).filter_map(slot)
}
