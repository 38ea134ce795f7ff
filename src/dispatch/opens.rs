//! Opens that the session counts: what a request holds of them, from its callback to its end.
//!
//! A request that opens a file holds the open from `attach` on until the reply, which hands it over to the file; one
//! that releases a file holds it from its arrival on. What a request still holds when it ends goes with it: an error
//! as the reply, or a reply that the kernel does not want, gives the open back.

use super::request::{Pending, find, needless};
use crate::abi::c::lowlevel::fuse_req_t;
use crate::abi::opcode::Opcode;
use crate::abi::wire::{EntryOut, InHeader, OpenOut, UNIQUE_RESEND};
use crate::passthrough::{Kept, Mode};
use crate::session::Session;
use crate::session::inflight::Slot;
use nix::errno::Errno;
use std::io::IoSlice;
use zerocopy::IntoBytes;

pub(super) fn is(opcode: u32, among: &[Opcode]) -> bool {
    among.iter().any(|one| *one as u32 == opcode)
}

/// The open that a request holds goes with it.
#[cold]
pub(super) fn give_back(session: &Session, slot: &Slot, ino: u64) {
    let release = is(slot.opcode(), &[Opcode::Release]);
    if let Some(state) = session.state() {
        // Before it is counted: whoever dies in between leaves one too many, which is harmless.
        let (ino, kept) = if release { (ino, Kept::Released.word()) } else { (0, 0) };
        state.journal.set_opened(slot.index(), ino, kept);
    }
    if release {
        session.released(ino);
    } else {
        session.detach(ino);
    }
}

/// An open was counted for a request in flight.
pub(super) fn note_open(session: &Session, slot: &Slot, ino: u64, mode: Mode) {
    if let Some(state) = session.state() {
        state.journal.set_opened(slot.index(), ino, Kept::Opened(mode).word());
    }
}

/// A RELEASE arrived in a session that counts opens: it holds the one that it ends.
#[cold]
pub fn release_arrived(session: &Session, req: fuse_req_t, header: &InHeader) {
    if let Some((slot, _)) = find(req, "release")
        && !was_released(session, header.unique)
    {
        slot.hold(header.nodeid);
    }
}

/// Whether a predecessor counted the RELEASE already.
fn was_released(session: &Session, unique: u64) -> bool {
    unique & UNIQUE_RESEND != 0 && session.was_released(unique)
}

impl Pending {
    /// Replies with an open file, behind the entry if it was made by the request.
    pub fn reply_open(self, entry: Option<&EntryOut>, mut open: OpenOut) -> Result<(), Errno> {
        let ino = entry.map_or(self.slot().nodeid(), |entry| entry.nodeid);
        if self.takes_none() {
            return needless(self.slot().opcode());
        }
        let directory = is(self.slot().opcode(), &[Opcode::Opendir]);
        let attached = self.take_attached(ino);
        let counted = if directory { None } else { self.session().opening(ino, attached, &mut open) };
        if let Some(mode) = counted {
            note_open(self.session(), self.slot(), ino, mode);
        }
        let open = IoSlice::new(open.as_bytes());
        let sent = match entry {
            Some(entry) => self.send(0, &[IoSlice::new(entry.as_bytes()), open]),
            None => self.send(0, &[open]),
        };
        // A successor knows of the open, and takes it back or sends the reply.
        if let (Err(_), Some(mode), false) = (sent, counted, self.slot().is_left()) {
            self.session().abandon(ino, mode);
        }
        sent
    }

    /// Gives back the open that the request holds. Before a reply that makes no open: whoever hears of that finds it done.
    pub(super) fn give_back_open(&self) {
        if let Some(ino) = self.slot().take_held() {
            give_back(self.session(), self.slot(), ino);
        }
    }

    /// The request ends, answered or not.
    #[cold]
    pub(super) fn end_marked(&self) {
        self.give_back_open();
        if let Some(state) = self.state() {
            state.settle(self.slot());
        }
    }

    /// Whether the request is attached to `ino`, whose open goes over to the file.
    fn take_attached(&self, ino: u64) -> bool {
        let Some(held) = self.slot().take_held() else { return false };
        if held != ino {
            log::error!("the reply opens nodeid {ino}, its request was attached to nodeid {held}");
            self.session().detach(held);
        }
        held == ino
    }
}
