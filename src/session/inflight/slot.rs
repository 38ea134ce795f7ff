//! One request in flight and the protocol of its life.

use super::extensions::Extensions;
use super::table;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Mutex};
use core::ffi::c_void;
use core::num::NonZeroU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Called when the request is interrupted.
pub type Hook = Box<dyn Fn() + Send>;

/// Bits of a token, and of a slot's state, below the generation.
pub(super) const INDEX_BITS: u32 = 20;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

// The low bits of a state: two for the phase, the others count pins.
const PHASE: u64 = 0b11;
const FREE: u64 = 0;
const LIVE: u64 = 1;
/// Somebody has the right to reply and is doing so.
const REPLYING: u64 = 2;
/// Replied to, but still pinned: whoever unpins last frees it.
const DONE: u64 = 3;
const ONE_PIN: u64 = 4;
const PINS: u64 = INDEX_MASK & !PHASE;

/// Name of a request in flight: the index of its slot and the slot's generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(NonZeroU64);

impl Token {
    /// The token as a number; never 0.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// A number that claims to be a token.
    pub fn from_raw(raw: u64) -> Option<Self> {
        NonZeroU64::new(raw).map(Self)
    }

    /// Index of the slot that it names.
    pub(super) fn index(self) -> usize {
        (self.get() & INDEX_MASK) as usize
    }
}

/// Where a request lives. All fields may be read at any time; they mean something while a token matches.
#[derive(Default)]
#[repr(align(128))] // two requests never share a cache line, nor its prefetched neighbour
pub struct Slot {
    /// Generation, pins, phase.
    state: AtomicU64,
    unique: AtomicU64,
    /// The inode that the request is about; of one that makes an inode the directory, until it holds an open of it.
    nodeid: AtomicU64,
    /// Address of the session that the request came in through.
    session: AtomicPtr<c_void>,
    /// Address of the channel that the reply must go out through.
    channel: AtomicPtr<c_void>,
    userdata: AtomicPtr<c_void>,
    /// uid, gid, pid, umask: laid out as C's `struct fuse_ctx`.
    ctx: [AtomicU32; 4],
    opcode: AtomicU32,
    /// FUSE_REQ flags.
    flags: AtomicU32,
    reply_flags: [AtomicU32; 2],
    /// Whether the request holds an open of the inode in its session's table: one that it is about to make, or one that
    /// it ends.
    held: AtomicBool,
    interrupted: AtomicBool,
    /// Whether there may be a hook or extensions, to be dropped in the end.
    has_extras: AtomicBool,
    hook: Mutex<Option<Hook>>,
    extensions: Mutex<Option<Box<Extensions>>>,
    /// Own index, set once.
    index: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 128, "a request has two cache lines, and no more");

/// Flags of a reply that its arguments have no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFlags {
    /// FOPEN flags.
    Open,
    /// FUSE_ATTR flags.
    Attr,
}

/// What a slot is filled with.
#[expect(missing_docs, reason = "the fields are those of Slot")]
pub struct Arrival {
    pub unique: u64,
    pub nodeid: u64,
    pub opcode: u32,
    pub flags: u32,
    pub ctx: [u32; 4],
    pub session: *mut c_void,
    pub channel: *mut c_void,
    pub userdata: *mut c_void,
}

impl Slot {
    pub(super) fn with_index(index: u32) -> Self {
        Self { index: AtomicU32::new(index), ..Self::default() }
    }

    /// Fills a free slot and makes it live. The caller got it from [`take`](super::take) and is its only user.
    #[inline]
    pub fn arrive(&self, a: &Arrival) -> Token {
        self.unique.store(a.unique, Relaxed);
        self.nodeid.store(a.nodeid, Relaxed);
        self.opcode.store(a.opcode, Relaxed);
        self.flags.store(a.flags, Relaxed);
        self.session.store(a.session, Relaxed);
        self.channel.store(a.channel, Relaxed);
        self.userdata.store(a.userdata, Relaxed);
        for (cell, value) in self.ctx.iter().zip(a.ctx) {
            cell.store(value, Relaxed);
        }
        for cell in &self.reply_flags {
            cell.store(0, Relaxed);
        }
        self.held.store(false, Relaxed);
        self.interrupted.store(false, Relaxed);
        let generation = self.state.load(Relaxed) >> INDEX_BITS;
        // Generation 0 is never live, so no token is 0.
        let generation = (generation + 1).max(1) << INDEX_BITS;
        // Sequentially consistent: an interrupt either sees this request, or this thread sees the interrupt.
        self.state.swap(generation | LIVE, SeqCst);
        let raw = generation | u64::from(self.index.load(Relaxed));
        Token(NonZeroU64::new(raw).unwrap_or(NonZeroU64::MAX))
    }

    /// Gives the request that is about to arrive its extensions.
    pub fn bring_extensions(&self, extensions: Extensions) {
        *self.extensions.lock() = Some(Box::new(extensions));
        self.has_extras.store(true, Release);
    }

    /// What the slot was filled with.
    pub(super) fn contents(&self) -> Arrival {
        let ctx = self.ctx.each_ref().map(|cell| cell.load(Relaxed));
        Arrival {
            unique: self.unique(),
            nodeid: self.nodeid(),
            opcode: self.opcode(),
            flags: self.flags(),
            ctx,
            session: self.session(),
            channel: self.channel(),
            userdata: self.userdata(),
        }
    }

    /// Whether `token` names the request that lives here now, not yet replied to.
    #[inline]
    pub fn is_live(&self, token: Token) -> bool {
        let state = self.state.load(Acquire);
        (state ^ token.get()) >> INDEX_BITS == 0 && state & PHASE == LIVE
    }

    /// Takes the right to reply. Only one caller ever gets it.
    #[inline]
    pub fn claim(&'static self, token: Token) -> Option<Claim> {
        let mut state = self.state.load(Relaxed);
        loop {
            if (state ^ token.get()) >> INDEX_BITS != 0 || state & PHASE != LIVE {
                return None;
            }
            match self.state.compare_exchange_weak(state, (state & !PHASE) | REPLYING, AcqRel, Relaxed) {
                Ok(_) => return Some(Claim { slot: self }),
                Err(now) => state = now,
            }
        }
    }

    /// Keeps the request, and with it its session, from going away, without taking the right to reply.
    pub fn pin(&'static self, token: Token) -> Option<Pin> {
        let mut state = self.state.load(Relaxed);
        loop {
            let full = state & PINS == PINS;
            if (state ^ token.get()) >> INDEX_BITS != 0 || state & PHASE != LIVE || full {
                return None;
            }
            match self.state.compare_exchange_weak(state, state + ONE_PIN, AcqRel, Relaxed) {
                Ok(_) => return Some(Pin { slot: self }),
                Err(now) => state = now,
            }
        }
    }

    /// The token of the request that lives here now.
    pub fn token(&self) -> Option<Token> {
        let state = self.state.load(Acquire);
        if state & PHASE != LIVE {
            return None;
        }
        Token::from_raw((state & !INDEX_MASK) | u64::from(self.index.load(Relaxed)))
    }

    /// Whether a reply or a pin is under way.
    pub fn is_busy(&self) -> bool {
        let state = self.state.load(Acquire);
        state & PHASE == REPLYING || state & PINS != 0
    }

    /// The slot's own number.
    #[inline]
    pub fn index(&self) -> usize {
        self.index.load(Relaxed) as usize
    }

    /// The request's unique, resend bit included.
    #[inline]
    pub fn unique(&self) -> u64 {
        self.unique.load(Relaxed)
    }

    /// The request's opcode.
    #[inline]
    pub fn opcode(&self) -> u32 {
        self.opcode.load(Relaxed)
    }

    /// What the request says besides its arguments: FUSE_REQ flags.
    pub fn flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    /// What the daemon wants the reply to say besides what it is made of.
    #[inline]
    pub fn reply_flags(&self, which: ReplyFlags) -> u32 {
        self.reply_flag_word(which).load(Relaxed)
    }

    /// Sets that.
    pub fn set_reply_flags(&self, which: ReplyFlags, flags: u32) {
        self.reply_flag_word(which).store(flags, Relaxed);
    }

    #[inline]
    fn reply_flag_word(&self, which: ReplyFlags) -> &AtomicU32 {
        let [open, attr] = &self.reply_flags;
        match which {
            ReplyFlags::Open => open,
            ReplyFlags::Attr => attr,
        }
    }

    /// The inode that the request is about, or that it holds an open of.
    #[inline]
    pub fn nodeid(&self) -> u64 {
        self.nodeid.load(Relaxed)
    }

    /// Address of the session.
    #[inline]
    pub fn session(&self) -> *mut c_void {
        self.session.load(Relaxed)
    }

    /// Address of the channel.
    #[inline]
    pub fn channel(&self) -> *mut c_void {
        self.channel.load(Relaxed)
    }

    /// The daemon's pointer of the session.
    pub fn userdata(&self) -> *mut c_void {
        self.userdata.load(Relaxed)
    }

    /// Who caused the request: uid, gid, pid, umask.
    pub fn ctx(&self) -> &[AtomicU32; 4] {
        &self.ctx
    }

    /// Makes the request hold an open of `ino`, which ends with it. False when it holds one already.
    pub fn hold(&self, ino: u64) -> bool {
        let first = !self.held.swap(true, Relaxed);
        if first {
            self.nodeid.store(ino, Relaxed);
        }
        first
    }

    /// Nodeid of the open that the request holds.
    #[inline]
    pub fn held(&self) -> Option<u64> {
        self.held.load(Relaxed).then(|| self.nodeid())
    }

    /// Takes the open that the request holds from it.
    #[inline]
    pub fn take_held(&self) -> Option<u64> {
        self.held()?;
        self.held.swap(false, Relaxed).then(|| self.nodeid())
    }

    /// Whether the request was interrupted.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Acquire)
    }

    /// Frees the slot if nobody pins it; otherwise the last pin will.
    #[inline]
    fn finish(&self) {
        // Acquired: what was done to the request by those who pinned it is seen.
        let mut state = self.state.load(Acquire);
        loop {
            let (next, free) = if state & PINS == 0 { ((state & !PHASE) | FREE, true) } else { (state | DONE, false) };
            if free {
                // Before the slot can be taken again: they belong to this request.
                self.drop_extras();
            }
            match self.state.compare_exchange_weak(state, next, AcqRel, Acquire) {
                Ok(_) if free => return table::give_back(self.index.load(Relaxed)),
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }

    #[inline]
    fn drop_extras(&self) {
        if self.has_extras.load(Acquire) {
            self.drop_present_extras();
        }
    }

    #[cold]
    fn drop_present_extras(&self) {
        self.has_extras.store(false, Release);
        *self.hook.lock() = None;
        *self.extensions.lock() = None;
    }
}

/// The right to reply to one request. Dropping it ends the request.
pub struct Claim {
    slot: &'static Slot,
}

impl Claim {
    /// The request's slot.
    #[inline]
    pub fn slot(&self) -> &'static Slot {
        self.slot
    }
}

impl Drop for Claim {
    #[inline]
    fn drop(&mut self) {
        // Nearly always nobody pins and nobody asked for interrupts: then nothing but this store is needed.
        self.slot.finish();
    }
}

/// Holds a request in place.
pub struct Pin {
    slot: &'static Slot,
}

impl Pin {
    /// The request's slot.
    pub fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// Marks the request interrupted and calls its hook, if it has one. The hook may reply.
    pub fn interrupt(&self) {
        let hook = self.slot.hook.lock();
        self.slot.interrupted.store(true, Release);
        if let Some(hook) = hook.as_ref() {
            hook();
        }
    }

    /// Sets the hook, or takes it away and waits for one that is running. A request that is interrupted already has
    /// the new hook called at once.
    pub fn set_hook(&self, hook: Option<Hook>) {
        let mut place = self.slot.hook.lock();
        if hook.is_some() {
            self.slot.has_extras.store(true, Release);
        }
        *place = hook;
        if let Some(hook) = place.as_ref().filter(|_| self.slot.interrupted()) {
            hook();
        }
    }

    /// Lends the request's extensions, if it brought any.
    pub fn with_extensions<R>(&self, f: impl FnOnce(Option<&mut Extensions>) -> R) -> R {
        f(self.slot.extensions.lock().as_deref_mut())
    }

    /// Marks the request interrupted before its callback runs.
    pub fn mark_interrupted(&self) {
        self.slot.interrupted.store(true, Release);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let before = self.slot.state.fetch_sub(ONE_PIN, AcqRel);
        if before & PINS == ONE_PIN && before & PHASE == DONE {
            self.slot.drop_extras();
            self.slot.state.store((before & !INDEX_MASK) | FREE, Release);
            table::give_back(self.slot.index.load(Relaxed));
        }
    }
}
