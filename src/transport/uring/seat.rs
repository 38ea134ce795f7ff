//! An entry with its ring, and whose turn it is.
//!
//! One thread at a time has the seat: it waits there and calls the daemon's callback for what comes. Any thread may write
//! the reply, while the callback runs or later; whoever has the seat then commits it, so that the kernel brings the next
//! request to a thread that is there to take it. A callback that goes on for long after the reply loses the seat to
//! another thread, see [`Seat::claim`].

use super::area::{Area, Arrived};
use super::memory::Memory;
use super::ring::Ring;
use crate::abi::wire::OutHeader;
use crate::transport::fork;
use core::ptr::NonNull;
use nix::errno::Errno;
use parking_lot::{Condvar, Mutex};
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use zerocopy::FromBytes;

/// What a seat is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The entry is the kernel's, or about to be.
    Idle,
    /// The callback runs and has not replied.
    Serving,
    /// It has returned without a reply.
    Awaiting,
    /// The reply is there and not committed.
    Replied,
}

/// Bits of a state below its turn, for the phase.
const PHASE_BITS: u32 = 2;
const PHASE: u64 = (1 << PHASE_BITS) - 1;
/// Bits of a turn below the request's number, for who has the seat.
const HOLDER_BITS: u32 = 16;
const HOLDER: u64 = (1 << HOLDER_BITS) - 1;

impl Phase {
    /// The phase in a state.
    pub fn of(state: u64) -> Self {
        match state & PHASE {
            0 => Self::Idle,
            1 => Self::Serving,
            2 => Self::Awaiting,
            _ => Self::Replied,
        }
    }

    /// The state of a turn in this phase.
    fn at(self, turn: u64) -> u64 {
        turn << PHASE_BITS | self as u64
    }
}

/// The turn of a state.
fn turn(state: u64) -> u64 {
    state >> PHASE_BITS
}

/// The number of the thread that has the seat in a state.
pub fn holder(state: u64) -> u16 {
    (turn(state) & HOLDER) as u16
}

/// The same with the seat given to another thread.
fn passed_on(turn: u64) -> u64 {
    turn & !HOLDER | turn.wrapping_add(1) & HOLDER
}

/// What to do after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Go on: the reply is there.
    Replied,
    /// Wait for the reply.
    Unanswered,
    /// Leave: another thread has the seat.
    Lost,
}

/// What the entry needs next.
struct Due;

impl Due {
    const NOTHING: u8 = 0;
    /// To be made known to the kernel.
    const REGISTER: u8 = 1;
    /// Its reply to be committed.
    const COMMIT: u8 = 2;
}

/// A reply of more bytes than this gives its memory back if it had to be put aside.
const KEPT_ASIDE: usize = 64 << 10;

/// An entry of a queue.
#[derive(Debug)]
pub struct Seat {
    queue: u16,
    area: Area,
    /// Locked by the thread that submits or waits; none once it is closed.
    ring: Mutex<Option<Ring>>,
    /// How many requests there were, the number of the thread that has the seat, and a [`Phase`].
    state: AtomicU64,
    /// A [`Due`], of whose turn it is.
    due: AtomicU8,
    /// The request's message reaches into the payload, where its reply must not come while the callback may read it.
    in_payload: AtomicBool,
    /// Such a reply, until the commit.
    aside: Mutex<Vec<u8>>,
    /// No thread has the seat: whoever replies commits. Changed under the lock.
    unattended: AtomicBool,
    settling: Mutex<()>,
    /// The kernel may have dropped the entry, as the thread that it was bound to has ended.
    dropped: AtomicBool,
    /// For the thread that waits for a reply.
    waiting: Mutex<()>,
    replied: Condvar,
    /// [`fork::descent`] when it was made.
    made: u32,
}

impl Seat {
    /// A seat at a queue, at the place of this number in its memory. The device is for it alone.
    pub fn new(device: OwnedFd, queue: u16, memory: &Arc<Memory>, number: usize) -> Result<Self, Errno> {
        Ok(Self {
            queue,
            area: Area::new(memory, number)?,
            ring: Mutex::new(Some(Ring::new(device)?)),
            state: AtomicU64::new(0),
            due: AtomicU8::new(Due::REGISTER),
            in_payload: AtomicBool::new(false),
            aside: Mutex::default(),
            unattended: AtomicBool::new(false),
            settling: Mutex::default(),
            dropped: AtomicBool::new(false),
            waiting: Mutex::default(),
            replied: Condvar::new(),
            made: fork::descent(),
        })
    }

    /// Its queue.
    pub fn queue(&self) -> u16 {
        self.queue
    }

    /// The number of the request, of the thread that has the seat, and the [`Phase`].
    pub fn state(&self) -> u64 {
        self.state.load(Ordering::SeqCst)
    }

    /// Where the payload is, and its bytes. They are the daemon's to fill until it replies.
    pub fn payload(&self) -> (NonNull<u8>, usize) {
        self.area.payload()
    }

    /// The payload for a reply to be made in; none while the request's own data lies there.
    pub fn room(&self) -> Option<NonNull<[u8]>> {
        let (start, size) = self.area.payload();
        (!self.in_payload.load(Ordering::Relaxed)).then(|| NonNull::slice_from_raw_parts(start, size))
    }

    /// Submits what is due, without waiting. The errno is what a registration failed with.
    pub fn flush(&self) -> Result<(), Errno> {
        let mut ring = self.ring.lock();
        let ring = ring.as_mut().ok_or(Errno::ENOTCONN)?;
        self.prepare(ring)?;
        ring.enter(false)
    }

    /// Makes the entry known to the kernel.
    pub fn register(&self) -> Result<(), Errno> {
        self.flush()?;
        let refused = self.ring.lock().as_mut().and_then(Ring::refusal);
        refused.map_or(Ok(()), Err)
    }

    /// Submits what is due and waits for a request. Returns its state; none when a signal came first. ENOTCONN and
    /// ECONNABORTED when the connection has ended.
    pub fn wait(&self) -> Result<Option<u64>, Errno> {
        let mut ring = self.ring.lock();
        let ring = ring.as_mut().ok_or(Errno::ENOTCONN)?;
        self.prepare(ring)?;
        let outcome = ring.submit_and_wait()?;
        match outcome.map(|errno| Errno::from_raw(-errno)) {
            None => Ok(None),
            Some(_) if outcome == Some(0) => Ok(Some(self.begin())),
            Some(Errno::ENOTCONN | Errno::ECANCELED) if self.dropped.swap(false, Ordering::Relaxed) => {
                self.due.store(Due::REGISTER, Ordering::Relaxed);
                Ok(None)
            }
            Some(errno) => Err(errno),
        }
    }

    fn prepare(&self, ring: &mut Ring) -> Result<(), Errno> {
        match self.due.swap(Due::NOTHING, Ordering::Acquire) {
            Due::REGISTER => ring.register(self.queue, &self.area),
            Due::COMMIT => {
                self.bring_in();
                ring.commit(self.queue, self.area.entry().commit_id)
            }
            _ => Ok(()),
        }
    }

    /// Brings a reply that was put aside to the payload.
    fn bring_in(&self) {
        let mut aside = self.aside.lock();
        if !aside.is_empty() {
            // SAFETY: the request is answered, and its commit this thread's; the reply was measured when it was put aside.
            unsafe { self.area.write(0, &aside) };
            aside.clear();
            aside.shrink_to(KEPT_ASIDE);
        }
    }

    /// A request has come.
    fn begin(&self) -> u64 {
        let turn = turn(self.state.load(Ordering::Relaxed)).wrapping_add(1 << HOLDER_BITS);
        let state = Phase::Serving.at(turn);
        // Sequentially consistent: who looks after the seats either sees this, or is seen to sleep.
        self.state.swap(state, Ordering::SeqCst);
        state
    }

    /// Lends the message of the request that was waited for to `f`. EIO, which is its answer, for one that contradicts
    /// itself.
    pub fn with_message(&self, f: impl FnOnce(&[u8])) -> Result<(), Errno> {
        let arrived: Arrived = self.area.arrive().inspect_err(|errno| {
            let (len, unique) = (size_of::<OutHeader>() as u32, self.area.entry().commit_id);
            self.answer(OutHeader { len, error: -(*errno as i32), unique }, 0);
        })?;
        self.in_payload.store(arrived.in_payload, Ordering::Relaxed);
        // SAFETY: it arrived just now. A reply to it is put aside if it reaches into the payload; what the daemon writes
        // there itself is for it to know.
        f(unsafe { self.area.message(&arrived) });
        Ok(())
    }

    /// Takes the reply to the request: a head, and the payload in pieces. EINVAL, and an error in its place, for one that is
    /// too large, ENOMEM for one that there is no memory for; ENOENT when no request is there.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        let (head, parts) = parts.split_first().ok_or(Errno::EINVAL)?;
        let head = OutHeader::read_from_bytes(head).map_err(|_| Errno::EINVAL)?;
        if fork::descent() != self.made {
            log::error!("request {} came over io_uring: a child process cannot reply to it", head.unique);
            return Err(Errno::EPERM);
        }
        if !matches!(Phase::of(self.state.load(Ordering::Relaxed)), Phase::Serving | Phase::Awaiting) {
            return Err(Errno::ENOENT);
        }
        let (size, room) = (head.len as usize - size_of::<OutHeader>(), self.area.payload().1);
        let taken = if size <= room {
            self.take_payload(parts, size)
        } else {
            log::error!("a reply of {size} bytes is larger than the {room} that io_uring's buffers have (max_write)");
            Err(Errno::EINVAL)
        };
        match taken {
            Ok(()) => self.answer(head, size as u32),
            Err(_) => {
                let len = size_of::<OutHeader>() as u32;
                self.answer(OutHeader { len, error: -(Errno::EIO as i32), ..head }, 0);
            }
        }
        taken
    }

    /// ENOMEM when there is no memory to put a reply of so many bytes aside.
    fn take_payload(&self, parts: &[IoSlice<'_>], size: usize) -> Result<(), Errno> {
        let (payload, _) = self.area.payload();
        self.area.uses(size);
        match parts {
            // The daemon has put it there.
            [one] if core::ptr::eq(one.as_ptr(), payload.as_ptr()) => {}
            _ if self.in_payload.load(Ordering::Relaxed) || parts.iter().any(|part| self.area.overlaps(part)) => {
                let mut aside = self.aside.lock();
                aside.clear();
                if aside.try_reserve(size).is_err() {
                    log::error!("no memory for a reply of {size} bytes");
                    return Err(Errno::ENOMEM);
                }
                parts.iter().for_each(|part| aside.extend_from_slice(part));
            }
            _ => {
                let mut at = 0;
                for part in parts {
                    // SAFETY: the caller has the right to reply; the message does not reach into the payload, the parts
                    // do not overlap it, and together they fit.
                    unsafe { self.area.write(at, part) };
                    at += part.len();
                }
            }
        }
        Ok(())
    }

    fn answer(&self, head: OutHeader, payload: u32) {
        // SAFETY: the caller has the right to reply.
        unsafe { self.area.write_head(head, payload) };
        // Either phase becomes this one. Sequentially consistent: a thread that leaves the seat sees this, or is seen.
        let before = self.state.fetch_or(Phase::Replied as u64, Ordering::SeqCst);
        if Phase::of(before) == Phase::Awaiting {
            self.rouse();
        }
        if self.unattended.load(Ordering::SeqCst) {
            self.settle();
        }
    }

    /// Takes the seat, with the reply that is there to be committed, from the thread that has it. Returns the number of the
    /// thread that is to have it; none when that one took the reply first.
    pub fn claim(&self, state: u64) -> Option<u16> {
        let idle = Phase::Idle.at(passed_on(turn(state)));
        self.take_reply(state, idle).then(|| holder(idle))
    }

    /// Takes the seat from the thread of this number, wherever it was. Returns the number of the one that is to have it;
    /// none when it was taken before.
    pub fn take_from(&self, number: u16) -> Option<u16> {
        let next = |state| (holder(state) == number).then(|| passed_on(turn(state)) << PHASE_BITS | state & PHASE);
        let before = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()?;
        next(before).map(holder)
    }

    /// Turns the reply to the request of `state` into a commit that is due. False when it was taken before.
    fn take_reply(&self, state: u64, idle: u64) -> bool {
        let replied = Phase::Replied.at(turn(state));
        let taken = self.state.compare_exchange(replied, idle, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if taken {
            self.due.store(Due::COMMIT, Ordering::Release);
        }
        taken
    }

    /// The callback for the request of `state` has returned.
    pub fn leave(&self, state: u64) -> After {
        let turn = turn(state);
        let (serving, awaiting) = (Phase::Serving.at(turn), Phase::Awaiting.at(turn));
        let turned = match self.state.load(Ordering::Relaxed) {
            now if now == serving => {
                self.state.compare_exchange(serving, awaiting, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            }
            now => now == awaiting,
        };
        match turned {
            true => After::Unanswered,
            false if self.take_reply(state, Phase::Idle.at(turn)) => After::Replied,
            false => After::Lost,
        }
    }

    /// Waits for the reply to the request of `state`, as long as `wait` says so. The thread is [roused](Self::rouse) to ask.
    pub fn await_reply(&self, state: u64, wait: impl Fn() -> bool) {
        let awaiting = Phase::Awaiting.at(turn(state));
        let mut lock = self.waiting.lock();
        while self.state.load(Ordering::Acquire) == awaiting && wait() {
            self.replied.wait(&mut lock);
        }
    }

    /// Wakes the thread that waits for a reply.
    pub fn rouse(&self) {
        let _lock = self.waiting.lock();
        self.replied.notify_all();
    }

    /// A thread has the seat.
    pub fn attend(&self) {
        let _lock = self.settling.lock();
        self.unattended.store(false, Ordering::SeqCst);
    }

    /// No thread has the seat any more.
    pub fn desert(&self) {
        self.dropped.store(true, Ordering::Relaxed);
        let lock = self.settling.lock();
        self.unattended.store(true, Ordering::SeqCst);
        drop(lock);
        self.settle();
    }

    /// Commits the reply that is there, or a commit that is due, where no thread has the seat.
    fn settle(&self) {
        // The next thread must not find a reply that is gone when it looks again: it would take that for the loss of its seat.
        let _lock = self.settling.lock();
        if !self.unattended.load(Ordering::SeqCst) {
            return;
        }
        let state = self.state.load(Ordering::SeqCst);
        self.take_reply(state, Phase::Idle.at(turn(state)));
        if self.due.load(Ordering::Acquire) == Due::COMMIT {
            // Whoever waits hears of the connection's end otherwise.
            let _ = self.flush();
        }
    }

    /// Closes the ring, unless a thread is using it.
    pub fn close(&self) {
        if let Some(mut ring) = self.ring.try_lock() {
            *ring = None;
        }
    }
}
