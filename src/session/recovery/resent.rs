//! Requests that the kernel sends once more: asked for, put in order, answered or served.

use super::{Session, State};
use crate::abi::opcode::{Opcode, Reply, makes_entry};
use crate::abi::wire::{EntryOut, InHeader, UNIQUE_RESEND};
use crate::decode::{self, Dialect};
use crate::encode::Notification;
use crate::passthrough::Kept;
use crate::recovery::journal::{Entry, Recorded};
use crate::session::Stage;
use crate::session::inflight::{self, Token};
use crate::transport::{Buffer, Channel};
use nix::errno::Errno;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use zerocopy::{FromBytes, IntoBytes};

/// Set in `unique` of a forget that was counted when it was read, and that the daemon is still to hear of. The kernel's own
/// numbers do not get there.
pub const COUNTED: u64 = 1 << 62;

/// What is to be done with a resent request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The daemon serves it, as if it came for the first time.
    Handle,
    /// The recorded reply is sent, if there is one; else as above.
    Answer,
    /// It fails.
    Fail(Errno),
}

/// What the daemon has to say of resent requests.
pub trait Hooks: Send + Sync {
    /// Decides on one.
    fn classify(&self, token: Token, opcode: u32, nodeid: u64) -> Verdict;

    /// So many were resent, and all of them have been delivered.
    fn drained(&self, count: usize);
}

/// What was read before the loops began.
#[derive(Default)]
pub(super) struct Queue {
    /// Whether to look at the messages at all.
    filled: AtomicBool,
    messages: Mutex<VecDeque<Vec<u8>>>,
    /// Resent requests that were not delivered yet, and how many there were.
    left: AtomicUsize,
    total: AtomicUsize,
}

/// Where a message belongs among others: resent requests by age, each with the interrupt for it behind it; then what was
/// never read before, as it came.
fn rank(header: &InHeader) -> u64 {
    if header.unique & UNIQUE_RESEND != 0 { header.unique & !UNIQUE_RESEND } else { u64::MAX }
}

fn is_interrupt(header: &InHeader) -> bool {
    header.opcode == Opcode::Interrupt as u32
}

/// A resent request, and not an interrupt for one.
fn is_resent(header: &InHeader) -> bool {
    header.unique & UNIQUE_RESEND != 0 && !is_interrupt(header)
}

impl Session {
    /// Says what is to become of resent requests. EBUSY when that was said already.
    pub fn set_resend_hooks(&self, hooks: Box<dyn Hooks>) -> Result<(), Errno> {
        self.recovery.hooks.set(hooks).map_err(|_| Errno::EBUSY)
    }

    /// Asks the kernel to send again what was read and not answered.
    pub fn ask_for_resend(&self) -> Result<(), Errno> {
        self.notify(&Notification::Resend, &[])
    }

    /// A successor's first act: has requests in flight sent again, reads them, and puts them in order for the loops.
    pub(super) fn ask_again(&self, channel: &Channel) -> Result<(), Errno> {
        let Some(state) = self.state() else { return Ok(()) };
        self.end_any_pause()?;
        match self.ask_for_resend() {
            Ok(()) => {}
            Err(Errno::EINVAL) => {
                self.note_init(false);
                self.answer_from_journal(state);
                return Ok(());
            }
            Err(errno) => {
                log::error!("the kernel does not send requests again: {}", errno.desc());
                return Err(errno);
            }
        }
        channel.set_nonblocking(true)?;
        let read = self.read_resent(channel, state);
        channel.set_nonblocking(false)?;
        let mut messages = read?;
        messages.sort_by_key(|(header, _)| rank(header));
        let resent = messages.iter().filter(|(header, _)| is_resent(header));
        let uniques: HashSet<u64> = resent.map(|(header, _)| header.unique & !UNIQUE_RESEND).collect();
        drop_answered(state, &uniques);
        self.note_init(messages.iter().any(|(header, _)| header.opcode == Opcode::Init as u32));
        let queue = &self.recovery.queue;
        queue.total.store(uniques.len(), Ordering::SeqCst);
        queue.left.store(uniques.len(), Ordering::SeqCst);
        *queue.messages.lock() = messages.into_iter().map(|(_, message)| message).collect();
        queue.filled.store(true, Ordering::SeqCst);
        log::info!("taken over: {} requests were in flight", uniques.len());
        if uniques.is_empty() {
            self.drained();
        }
        Ok(())
    }

    /// INIT was answered by a predecessor as far as the state knows. Where it `comes` again, the kernel does not.
    fn note_init(&self, comes: bool) {
        if self.stage() == Stage::SERVING && !comes {
            self.init_answered();
        }
    }

    /// Reads until a request comes that nobody read before: resent ones stand before it, but not in order, and forgets and
    /// interrupts come in between.
    fn read_resent(&self, channel: &Channel, state: &State) -> Result<Vec<(InHeader, Vec<u8>)>, Errno> {
        let mut buffer = Buffer::resident(self.buf_size())?;
        let mut messages = Vec::new();
        loop {
            let size = match channel.recv(buffer.bytes()) {
                Ok(size) => size,
                Err(Errno::EAGAIN) => return Ok(messages),
                Err(Errno::EINTR | Errno::ENOENT) => continue,
                Err(errno) => {
                    log::error!("reading device: {}", errno.desc());
                    return Err(errno);
                }
            };
            let message = buffer.bytes().get_mut(..size).unwrap_or_default();
            let Some(header) = decode::header(message) else { continue };
            state.count_early(message);
            messages.push((header, message.to_vec()));
            let unread = header.unique & UNIQUE_RESEND == 0 && Opcode::reply_to(header.opcode) == Reply::Needed;
            if unread {
                return Ok(messages);
            }
        }
    }

    /// Whether there are messages that were read before the loops began, from the session's own channel.
    #[inline]
    pub(in crate::session) fn has_read_before(&self) -> bool {
        self.recovery.queue.filled.load(Ordering::Relaxed)
    }

    /// A message that was read before the loops began, copied into `memory`; its size.
    #[inline]
    pub(in crate::session) fn next_read_before(&self, memory: &mut [u8]) -> Option<usize> {
        if self.has_read_before() { self.next_in_queue(memory) } else { None }
    }

    /// How many of them are left.
    pub(in crate::session) fn left_read_before(&self) -> usize {
        self.recovery.queue.messages.lock().len()
    }

    #[cold]
    fn next_in_queue(&self, memory: &mut [u8]) -> Option<usize> {
        let mut messages = self.recovery.queue.messages.lock();
        let message = messages.pop_front();
        self.recovery.queue.filled.store(!messages.is_empty(), Ordering::Relaxed);
        let message = message?;
        memory.get_mut(..message.len())?.copy_from_slice(&message);
        Some(message.len())
    }

    /// Whether the daemon is to serve a resent request that is in flight; else it has been answered, through the channel that
    /// it came by: the kernel knows it at no other end.
    #[cold]
    pub(in crate::session) fn judge(&self, channel: &Channel, token: Token, header: &InHeader) -> bool {
        let InHeader { unique, opcode, nodeid, .. } = *header;
        let entry = self.state().and_then(|state| state.inherited(unique)).filter(|entry| entry.opcode == opcode);
        let hooks = self.recovery.hooks.get();
        let verdict = hooks.map_or(Verdict::Answer, |hooks| hooks.classify(token, opcode, nodeid));
        let reply = entry.as_ref().and_then(|entry| entry.reply.clone());
        match (verdict, reply) {
            (Verdict::Answer, Some(reply)) => self.answer_resent(channel, token, &reply),
            (Verdict::Fail(errno), _) => {
                self.undo(token, entry.as_ref());
                self.answer_resent(channel, token, &Recorded { error: -(errno as i32), payload: Vec::new() });
            }
            _ => {
                self.undo(token, entry.as_ref());
                return true;
            }
        }
        false
    }

    /// Takes back what was counted for a reply that is not going to be sent. Before anything is, it is no longer noted: whoever
    /// dies in between leaves one too many, which is harmless, and another successor does not take it back once more.
    fn undo(&self, token: Token, entry: Option<&Entry>) {
        let (Some(entry), Some(state), Some(slot)) = (entry, self.state(), inflight::find(token)) else { return };
        state.retract(entry.unique);
        if let Some((ino, mode)) = entry.opened
            && let Some(Kept::Opened(mode)) = Kept::from_word(mode)
        {
            state.journal.set_opened(slot.index(), 0, 0);
            self.abandon(ino, mode);
        }
        if let (Some(nodes), Some(nodeid)) = (&state.nodes, entry.reply.as_ref().and_then(|r| counted(entry.opcode, r)))
        {
            let _ = nodes.forget(nodeid, 1);
        }
    }

    /// Answers a request in the daemon's place.
    fn answer_resent(&self, channel: &Channel, token: Token, reply: &Recorded) {
        let Some(claim) = inflight::find(token).and_then(|slot| slot.claim(token)) else { return };
        let (slot, payload) = (claim.slot(), [IoSlice::new(&reply.payload)]);
        let parts: &[IoSlice<'_>] = if reply.payload.is_empty() { &[] } else { &payload };
        let sent = self.send(channel, slot.unique(), reply.error, parts);
        if let Some(state) = self.state() {
            state.sent(slot, sent);
            state.settle(slot);
        }
    }

    /// A resent request was delivered.
    #[cold]
    pub(in crate::session) fn delivered(&self, header: &InHeader) {
        let one_less = |left: usize| left.checked_sub(1);
        let left = &self.recovery.queue.left;
        if is_resent(header) && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) == Ok(1) {
            self.drained();
        }
    }

    pub(super) fn drained(&self) {
        if let Some(hooks) = self.recovery.hooks.get() {
            hooks.drained(self.recovery.queue.total.load(Ordering::SeqCst));
        }
    }

    /// An INIT that was answered as far as the state knows, but not as far as the kernel does.
    #[cold]
    pub(in crate::session) fn answer_init_again(&self, channel: &Channel, unique: u64) -> bool {
        let Some(state) = self.state().filter(|_| self.stage() == Stage::SERVING) else {
            return false;
        };
        let fixed = state.saved.lock().fixed;
        if fixed.negotiated != 0 && unique & UNIQUE_RESEND != 0 {
            if self.send(channel, unique, 0, &[IoSlice::new(fixed.reply.as_bytes())]).is_ok() {
                self.init_answered();
            }
            return true;
        }
        false
    }

    /// Whether a predecessor counted a RELEASE already that is being served again.
    pub fn was_released(&self, unique: u64) -> bool {
        let entry = self.state().filter(|_| unique & UNIQUE_RESEND != 0).and_then(|state| state.inherited(unique));
        entry.and_then(|entry| entry.opened).is_some_and(|(_, mode)| Kept::from_word(mode) == Some(Kept::Released))
    }
}

/// The nodeid that a reply of this kind makes the kernel count.
fn counted(opcode: u32, reply: &Recorded) -> Option<u64> {
    let succeeded = makes_entry(opcode) && reply.error == 0;
    let (entry, _) = EntryOut::read_from_prefix(&reply.payload).ok().filter(|_| succeeded)?;
    (entry.nodeid != 0).then_some(entry.nodeid)
}

/// Requests that were not sent again had been answered.
fn drop_answered(state: &State, resent: &HashSet<u64>) {
    let Some(inheritance) = state.inheritance.get() else { return };
    for entry in inheritance.entries().iter().filter(|entry| !resent.contains(&entry.unique)) {
        inheritance.settle(entry.unique);
    }
}

impl State {
    /// Counts forgets at once, and says so in the message: the kernel does not send them again, and this process may be gone
    /// before its loop comes to them.
    fn count_early(&self, message: &mut [u8]) {
        let counted = decode::request(message, Dialect::default()).is_ok_and(|request| self.count_forgets(&request));
        if counted && let Ok((header, _)) = InHeader::mut_from_prefix(message) {
            header.unique |= COUNTED;
        }
    }

    fn inherited(&self, unique: u64) -> Option<Entry> {
        self.inheritance.get()?.find(unique & !UNIQUE_RESEND)
    }

    fn retract(&self, unique: u64) {
        if let Some(inheritance) = self.inheritance.get() {
            inheritance.retract(unique);
        }
    }

    /// What a predecessor noted of a resent request.
    pub fn inherited_cookie(&self, unique: u64) -> Option<Vec<u8>> {
        self.inherited(unique).map(|entry| entry.cookie).filter(|cookie| !cookie.is_empty())
    }
}
