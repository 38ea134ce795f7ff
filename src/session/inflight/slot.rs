//! One request in flight and the protocol of its life.

mod hold;

pub use hold::{Claim, Pin};

use super::extensions::Extensions;
use super::table;
use crate::abi::wire::InHeader;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Mutex, SwappedUsize};
use bitflags::bitflags;
use core::ffi::c_void;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

#[cfg(loom)]
use crate::sync::here;
#[cfg(not(loom))]
use crate::transport::threads::here;

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

/// Name of a request in flight: the index of its slot and the slot's generation. No request has the name 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    /// The token as a number; never 0.
    #[inline]
    pub fn get(self) -> u64 {
        self.0
    }

    /// A number that claims to be a token.
    #[inline]
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Index of the slot that it names.
    #[inline]
    pub(super) fn index(self) -> usize {
        (self.get() & INDEX_MASK) as usize
    }
}

bitflags! {
    /// What only few requests have. One without any mark ends by the shortest way.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Marks: u32 {
        /// No reply is owed.
        const NO_REPLY = 1 << 0;
        /// Its session looks at each reply.
        const WATCHED = 1 << 1;
        /// It holds an open of the inode in its session's table: one that it is about to make, or one that it ends.
        const HOLDS = 1 << 2;
        /// There may be a hook, extensions, or flags of the reply, to be dropped in the end.
        const EXTRAS = 1 << 3;
        /// It was interrupted.
        const INTERRUPTED = 1 << 4;
        /// It is a successor's to answer, and with it what its session keeps of it.
        const LEFT = 1 << 5;
        /// Those that the request's end has to look after.
        const AT_END = Self::WATCHED.bits() | Self::HOLDS.bits() | Self::EXTRAS.bits();
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
    /// The thread that is in the request's callback, see [`Slot::came_home`].
    server: SwappedUsize,
    /// The opcode, and FUSE_REQ flags.
    asked: AtomicU64,
    reply_flags: [AtomicU32; 2],
    /// [`Marks`].
    marks: AtomicU32,
    /// Own index, set once.
    index: AtomicU32,
    /// uid and gid, pid and umask: together laid out as C's `struct fuse_ctx`.
    ctx: [AtomicU64; 2],
    // A box in the box, as there is room for no more than an address.
    hook: Mutex<Option<Box<Hook>>>,
    extensions: Mutex<Option<Box<Extensions>>>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 128, "a request has two cache lines, and no more");

/// In a slot's `server`, beside the thread: the request has ended in its callback.
const ENDED: usize = 1;

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
pub struct Arrival<'a> {
    /// Its head, copied.
    pub head: &'a InHeader,
    pub flags: u32,
    pub umask: u32,
    pub session: *mut c_void,
    pub channel: *mut c_void,
    pub userdata: *mut c_void,
    /// Those that it begins with.
    pub marks: Marks,
    /// The thread that is going to serve it, and gives the slot back if it [came home](Slot::came_home); 0 for none.
    pub server: usize,
}

impl Slot {
    pub(super) fn with_index(index: u32) -> Self {
        Self { index: AtomicU32::new(index), ..Self::default() }
    }

    /// Fills a free slot and makes it live. The caller got it from [`take`](super::take) and is its only user.
    #[inline]
    pub fn arrive(&self, a: &Arrival<'_>) -> Token {
        self.unique.store(a.head.unique, Relaxed);
        self.nodeid.store(a.head.nodeid, Relaxed);
        self.asked.store(pair(a.head.opcode, a.flags), Relaxed);
        let [who, how] = &self.ctx;
        who.store(pair(a.head.uid, a.head.gid), Relaxed);
        how.store(pair(a.head.pid, a.umask), Relaxed);
        self.session.store(a.session, Relaxed);
        self.channel.store(a.channel, Relaxed);
        self.userdata.store(a.userdata, Relaxed);
        self.marks.store(a.marks.bits(), Relaxed);
        self.server.store(a.server, Relaxed);
        let generation = self.state.load(Relaxed) >> INDEX_BITS;
        // Generation 0 is never live, so no token is 0.
        let generation = (generation + 1).max(1) << INDEX_BITS;
        // Sequentially consistent: an interrupt either sees this request, or this thread sees the interrupt.
        self.state.swap(generation | LIVE, SeqCst);
        Token(generation | u64::from(self.index.load(Relaxed)))
    }

    /// Gives the request that is about to arrive, with the mark for it, its extensions.
    pub fn bring_extensions(&self, extensions: Extensions) {
        *self.extensions.lock() = Some(Box::new(extensions));
    }

    /// Another request in `other`, with all that this one arrived with, but served by nobody.
    pub(super) fn copy_to(&self, other: &Slot) -> Token {
        let [[uid, gid], [pid, umask]] = self.ctx.each_ref().map(|cell| halves(cell.load(Relaxed)));
        let (unique, nodeid, opcode) = (self.unique(), self.nodeid(), self.opcode());
        other.arrive(&Arrival {
            head: &InHeader { unique, nodeid, opcode, uid, gid, pid, ..InHeader::default() },
            flags: self.flags(),
            umask,
            session: self.session(),
            channel: self.channel(),
            userdata: self.userdata(),
            marks: self.marks() & (Marks::NO_REPLY | Marks::WATCHED),
            server: 0,
        })
    }

    /// Whether `token` names the request that lives here now, not yet replied to.
    #[inline]
    pub fn is_live(&self, token: Token) -> bool {
        self.state.load(Acquire) & !PINS == (token.get() & !INDEX_MASK) | LIVE
    }

    /// Takes the right to reply. Only one caller ever gets it.
    #[inline]
    pub fn claim(&'static self, token: Token) -> Option<Claim> {
        // Nearly always nobody pins, and the state is known.
        let live = (token.get() & !INDEX_MASK) | LIVE;
        match self.state.compare_exchange(live, live - LIVE + REPLYING, AcqRel, Relaxed) {
            Ok(_) => Some(Claim { slot: self }),
            Err(state) => self.claim_pinned(token, state),
        }
    }

    /// The same for whatever request of that session lives here now.
    pub fn claim_of(&'static self, session: *mut c_void) -> Option<Claim> {
        // The token comes first: if the slot became another session's after it, the claim fails.
        let token = self.token()?;
        if self.session() == session { self.claim(token) } else { None }
    }

    #[cold]
    fn claim_pinned(&'static self, token: Token, mut state: u64) -> Option<Claim> {
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
        Some(Token((state & !INDEX_MASK) | u64::from(self.index.load(Relaxed))))
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
        let [opcode, _] = halves(self.asked.load(Relaxed));
        opcode
    }

    /// What the request says besides its arguments: FUSE_REQ flags.
    pub fn flags(&self) -> u32 {
        let [_, flags] = halves(self.asked.load(Relaxed));
        flags
    }

    /// What the daemon wants the reply to say besides what it is made of.
    #[inline]
    pub fn reply_flags(&self, which: ReplyFlags) -> u32 {
        self.reply_flag_word(which).load(Relaxed)
    }

    /// Sets that, for a request that is [pinned](Slot::pin): what another left behind would be the next one's.
    pub fn set_reply_flags(&self, which: ReplyFlags, flags: u32) {
        self.mark(Marks::EXTRAS);
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

    /// Who caused the request: uid, gid, pid, umask, as in C's `struct fuse_ctx`.
    pub fn ctx(&self) -> *const c_void {
        self.ctx.as_ptr().cast()
    }

    /// The pid of who caused the request.
    pub fn pid(&self) -> u32 {
        let [_, how] = &self.ctx;
        let [pid, _] = halves(how.load(Relaxed));
        pid
    }

    /// Marks of the request.
    #[inline]
    pub fn marks(&self) -> Marks {
        // Acquired: what those marks are about is seen.
        Marks::from_bits_retain(self.marks.load(Acquire))
    }

    /// Marks the request. Whether it was marked so before.
    fn mark(&self, mark: Marks) -> bool {
        self.marks.fetch_or(mark.bits(), AcqRel) & mark.bits() != 0
    }

    /// Makes the request hold an open of `ino`, which ends with it. False when it holds one already.
    pub fn hold(&self, ino: u64) -> bool {
        let first = !self.mark(Marks::HOLDS);
        if first {
            self.nodeid.store(ino, Relaxed);
        }
        first
    }

    /// Nodeid of the open that the request holds.
    pub fn held(&self) -> Option<u64> {
        self.marks().contains(Marks::HOLDS).then(|| self.nodeid())
    }

    /// Takes the open that the request holds from it.
    pub fn take_held(&self) -> Option<u64> {
        self.held()?;
        let before = Marks::from_bits_retain(self.marks.fetch_and(!Marks::HOLDS.bits(), AcqRel));
        before.contains(Marks::HOLDS).then(|| self.nodeid())
    }

    /// Whether the request was interrupted.
    pub fn interrupted(&self) -> bool {
        self.marks().contains(Marks::INTERRUPTED)
    }

    /// The kernel asks a successor for the reply. What is kept of the request is found by the slot's number, so the slot is
    /// no other request's any more.
    pub fn leave(&self) {
        self.mark(Marks::LEFT);
    }

    /// Whether it was left so.
    pub fn is_left(&self) -> bool {
        self.marks().contains(Marks::LEFT)
    }

    /// The thread `server` is done with the request: it has returned from the callback, or it ends. Whether the request ended
    /// on that very thread meanwhile, and the slot is free and this thread's to give back; whoever ends it later, or
    /// elsewhere, gives it back there.
    ///
    /// That is how nearly all requests end, and it spares the end a look at what the thread keeps.
    #[inline]
    pub fn came_home(&self, server: usize) -> bool {
        if self.server.load(Relaxed) == server | ENDED {
            self.server.store(0, Relaxed);
            return true;
        }
        // It may be another request's already, and another thread's.
        let _ = self.server.compare_exchange(server, 0, Relaxed, Relaxed);
        false
    }

    /// Whether what is being replied to ends with nothing to look after, which frees the slot.
    #[inline(always)] // a few looks and stores
    fn finish_plain(&'static self) -> bool {
        // Acquired: what was done to the request by those who pinned it is seen. Nobody can pin it any more.
        let state = self.state.load(Acquire);
        let plain = state & PINS == 0 && !self.marks().intersects(Marks::AT_END);
        if plain {
            self.release(state);
        }
        plain
    }

    /// Frees the slot if nobody pins it; otherwise the last pin will.
    fn finish(&'static self) {
        let state = self.state.load(Acquire);
        if state & PINS == 0 {
            self.free(state);
        } else {
            self.finish_pinned(state);
        }
    }

    #[cold]
    fn finish_pinned(&'static self, mut state: u64) {
        while state & PINS != 0 {
            match self.state.compare_exchange_weak(state, state | DONE, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        self.free(state);
    }

    /// The request is over, nobody has to do with it any more.
    fn free(&'static self, state: u64) {
        if self.marks().contains(Marks::EXTRAS) {
            // Before the slot can be taken again: they belong to this request.
            self.drop_extras();
        }
        if self.is_left() {
            return self.state.store((state & !INDEX_MASK) | FREE, Release);
        }
        self.release(state);
    }

    /// The slot is for others.
    #[inline(always)]
    fn release(&'static self, state: u64) {
        let here = here();
        let home = self.server.load(Relaxed) == here;
        if home {
            self.server.store(here | ENDED, Relaxed);
        }
        self.state.store((state & !INDEX_MASK) | FREE, Release);
        if !home {
            table::give_back(self);
        }
    }

    fn drop_extras(&self) {
        *self.hook.lock() = None;
        *self.extensions.lock() = None;
        for cell in &self.reply_flags {
            cell.store(0, Relaxed);
        }
    }
}

/// Two numbers as they lie in memory one after the other.
#[inline]
fn pair(first: u32, second: u32) -> u64 {
    zerocopy::transmute!([first, second])
}

#[inline]
fn halves(both: u64) -> [u32; 2] {
    zerocopy::transmute!(both)
}
