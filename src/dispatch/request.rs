//! What a `fuse_req_t` leads to.

use crate::abi::c::common::cap::{FUSE_CAP_SPLICE_MOVE, FUSE_CAP_SPLICE_WRITE};
use crate::abi::c::lowlevel::fuse_req_t;
use crate::abi::opcode::Opcode;
use crate::session::inflight::{self, Claim, Marks, Slot, Token};
use crate::session::{Session, State};
use crate::transport::Channel;
use crate::transport::pipe::Outgoing;
use crate::transport::uring::Seat;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use nix::errno::Errno;
use std::io::IoSlice;
use zerocopy::{Immutable, IntoBytes};

/// A token as C carries it.
#[inline]
pub fn to_c(token: Token) -> fuse_req_t {
    core::ptr::without_provenance_mut(token.get() as usize)
}

/// The request in flight that a handle from C names. A stale handle, one that was replied to already or whose
/// session is gone, is logged with `function`'s name and gives none.
#[inline]
pub fn find(req: fuse_req_t, function: &str) -> Option<(&'static Slot, Token)> {
    let found = live(req);
    if found.is_none() {
        stale(req, function);
    }
    found
}

/// The same without a log line, for where nothing is wrong with a stale handle.
#[inline]
pub fn live(req: fuse_req_t) -> Option<(&'static Slot, Token)> {
    let token = Token::from_raw(req.addr() as u64);
    let slot = inflight::find(token)?;
    slot.is_live(token).then_some((slot, token))
}

#[cold]
fn stale(req: fuse_req_t, function: &str) {
    log::error!("{function}: request {req:p} is not in flight: it was replied to already, or its session is gone");
}

/// Lends the session of the request that `req` names to `f`, and keeps both in place meanwhile; none, and a log line,
/// when it is gone.
pub fn with_session<R>(req: fuse_req_t, function: &str, f: impl FnOnce(&Session) -> R) -> Option<R> {
    with_request(req, function, |session, _| f(session))
}

/// The same with the request's slot.
pub fn with_request<R>(req: fuse_req_t, function: &str, f: impl FnOnce(&Session, &Slot) -> R) -> Option<R> {
    let (slot, token) = find(req, function)?;
    let Some(pin) = slot.pin(token) else {
        stale(req, function);
        return None;
    };
    // SAFETY: the address is that of a Session: `arrive` stored it. The session waits for pins before it goes away
    // (`Session::destroy`), and this borrow ends before the pin.
    Some(f(unsafe { &*pin.slot().session().cast::<Session>() }, pin.slot()))
}

/// The channel that a request came in through.
///
/// # Safety
/// The request is claimed or pinned as long as the borrow lasts.
#[inline]
unsafe fn channel_of(slot: &Slot) -> &Channel {
    // SAFETY: the address is that of a Channel: `arrive` stored it. Channels are owned by the session and live as long as it
    // does, and the session waits for claims and pins before it goes away (`Session::destroy`).
    unsafe { &*slot.channel().cast::<Channel>() }
}

/// Lends the entry of io_uring to `f` that the request came through; none when it came another way, and, after a log line,
/// when it is gone.
pub fn with_seat<R>(req: fuse_req_t, function: &str, f: impl FnOnce(&Seat) -> R) -> Option<R> {
    // SAFETY: the request is pinned meanwhile.
    with_request(req, function, |_, slot| unsafe { channel_of(slot) }.as_seat().map(f)).flatten()
}

/// A request that the caller, and nobody else, has the right to reply to. Dropped unanswered, it ends without a
/// reply.
pub struct Pending {
    /// [Ended](Pending::end) by hand, so that this can be done in line.
    claim: ManuallyDrop<Claim>,
}

impl Pending {
    /// Takes the right to reply to the request that `req` names; none, and a log line, when it is gone.
    #[inline]
    pub fn claim(req: fuse_req_t, function: &str) -> Option<Self> {
        let token = Token::from_raw(req.addr() as u64);
        let claim = inflight::find(token).and_then(|slot| slot.claim(token));
        if claim.is_none() {
            stale(req, function);
        }
        claim.map(|claim| Self { claim: ManuallyDrop::new(claim) })
    }

    /// The request's slot.
    #[inline]
    pub fn slot(&self) -> &'static Slot {
        self.claim.slot()
    }

    /// The session that it came in through.
    #[inline]
    pub fn session(&self) -> &Session {
        // SAFETY: the address is that of a Session: `arrive` stored it. The session waits for claims before it goes
        // away (`Session::destroy`), and this borrow ends with the claim.
        unsafe { &*self.slot().session().cast::<Session>() }
    }

    #[inline]
    fn channel(&self) -> &Channel {
        // SAFETY: the claim is there as long as the borrow.
        unsafe { channel_of(self.slot()) }
    }

    /// Where the payload of a reply over io_uring goes, so that it can be read there straight away. It is the caller's until
    /// the reply.
    pub fn room(&self) -> Option<NonNull<[u8]>> {
        self.channel().as_seat()?.room()
    }

    /// Replies with `parts` as the payload, which goes out as one message. `error` is 0 or a negative errno. A request
    /// that is owed no reply gets none, as the kernel would not know what it is for: ENOENT, after a log line.
    #[inline(never)] // once for all replies: what goes before is small
    pub fn reply(self, error: i32, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        let pending = ManuallyDrop::new(self);
        let sent = if pending.slot().marks().is_empty() {
            pending.send_now(error, parts)
        } else {
            pending.reply_marked(error, parts)
        };
        // As the drop would, but in place.
        pending.end();
        sent
    }

    /// The same with a payload of one piece, which what is asked for most is answered with: in line.
    #[inline(always)]
    pub fn reply_bytes(self, payload: &[u8]) -> Result<(), Errno> {
        let pending = ManuallyDrop::new(self);
        let sent = if pending.slot().marks().is_empty() {
            pending.send_now(0, &[IoSlice::new(payload)])
        } else {
            pending.reply_marked_bytes(payload)
        };
        pending.end();
        sent
    }

    #[inline(always)] // a few looks in the claim
    fn end(&self) {
        if !self.claim.end_plain() {
            self.end_marked();
            self.claim.end();
        }
    }

    #[cold]
    fn reply_marked_bytes(&self, payload: &[u8]) -> Result<(), Errno> {
        self.reply_marked(0, &[IoSlice::new(payload)])
    }

    #[cold]
    fn reply_marked(&self, error: i32, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        self.give_back_open();
        if self.takes_none() {
            return needless(self.slot().opcode());
        }
        self.send(error, parts)
    }

    /// Whether the request takes no reply.
    pub(super) fn takes_none(&self) -> bool {
        self.slot().marks().contains(Marks::NO_REPLY)
    }

    pub(super) fn send(&self, error: i32, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        match self.state() {
            None => self.send_now(error, parts),
            Some(state) => self.send_kept(state, error, parts),
        }
    }

    /// What the session keeps of the request for a successor, if it does.
    pub(super) fn state(&self) -> Option<&State> {
        if self.slot().marks().contains(Marks::WATCHED) { self.session().state() } else { None }
    }

    #[inline(always)] // as `Session::send`
    pub(super) fn send_now(&self, error: i32, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        self.session().send(self.channel(), self.slot().unique(), error, parts)
    }

    /// Replies with a payload of so many bytes that is in a pipe. See [`Session::send_piped`].
    pub fn reply_piped(&self, payload: usize, message: &mut Outgoing, moves: bool) -> Result<(), Errno> {
        let sent = self.session().send_piped(self.channel(), self.slot().unique(), payload, message, moves);
        sent.inspect_err(|_| self.unsent(sent))
    }

    #[cold]
    fn unsent(&self, sent: Result<(), Errno>) {
        if let Some(state) = self.state() {
            state.sent(self.slot(), sent);
        }
    }

    /// Whether the reply may go through a pipe.
    pub fn may_be_piped(&self) -> bool {
        let wanted = self.session().wants() & FUSE_CAP_SPLICE_WRITE != 0;
        wanted && self.channel().splices_out() && !self.takes_none() && !self.must_be_seen()
    }

    /// Whether the pages of such a reply may become the kernel's.
    pub fn may_be_moved(&self) -> bool {
        self.session().wants() & FUSE_CAP_SPLICE_MOVE != 0
    }

    /// Replies with one struct.
    #[inline]
    pub fn reply_with<T: IntoBytes + Immutable>(self, value: &T) -> Result<(), Errno> {
        self.reply_bytes(value.as_bytes())
    }

    /// Replies with an errno.
    #[inline]
    pub fn reply_error(self, errno: Errno) -> Result<(), Errno> {
        self.reply(-(errno as i32), &[])
    }

    /// Ends a request that is owed no reply.
    #[inline(always)] // forgets come in crowds
    pub fn finish(self) {
        ManuallyDrop::new(self).end();
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.end();
    }
}

#[cold]
pub(super) fn needless(opcode: u32) -> Result<(), Errno> {
    let name = Opcode::from_wire(opcode).map_or("unknown opcode", Opcode::name);
    log::error!("a reply to {name} is not sent: it takes none but fuse_reply_none()");
    Err(Errno::ENOENT)
}

/// Answers in the daemon's place with an errno.
#[cold]
pub fn refuse(req: fuse_req_t, errno: Errno) {
    if let Some(pending) = Pending::claim(req, "a refusal in the daemon's place") {
        // A failure is logged where the reply is sent.
        let _ = pending.reply_error(errno);
    }
}

/// Ends, in the daemon's place, a request that is owed no reply.
pub fn finish(req: fuse_req_t) {
    if let Some(pending) = Pending::claim(req, "an end in the daemon's place") {
        pending.finish();
    }
}
