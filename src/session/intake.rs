//! Where a thread receives its next request: into memory, or into a pipe.
//!
//! A request that comes through a pipe costs two system calls more, so only the data of large writes is worth it: it
//! goes on from the pipe to a file without being copied in between. The kernel does not say beforehand what comes next,
//! but large writes come in rows. So one makes all threads expect more of them, and a few requests of another kind end
//! that. A daemon that copies data to memory receives it there: a pipe would be a detour, and where the data does not come
//! out of the page cache one copy more. So is every request of sessions without write_buf, or that do not want
//! FUSE_CAP_SPLICE_READ.

use super::Session;
use crate::abi::opcode::Opcode;
use crate::abi::wire::{InHeader, WriteIn};
use crate::decode;
use crate::transport::Channel;
use crate::transport::pipe::{self, Pipe};
use nix::errno::Errno;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use zerocopy::FromBytes;

/// A message of so many bytes, and more, is left in the pipe.
const LARGE: usize = 64 << 10;
/// So many requests after a large write another one is still expected.
const PATIENCE: u8 = 8;

/// For how many more requests a large write is expected, whichever of the session's threads receives them.
#[derive(Default)]
pub(super) struct LargeWrites(AtomicU8);

impl LargeWrites {
    fn are_expected(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// What came was one, or was not. Threads that say so at once may be taken for one: it is an expectation only.
    fn note(&self, large: bool) {
        let before = self.0.load(Ordering::Relaxed);
        let now = if large { PATIENCE } else { before.saturating_sub(1) };
        if now != before {
            self.0.store(now, Ordering::Relaxed);
        }
    }
}

/// What was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing any more: the session has ended.
    Ended,
    /// A message of so many bytes, in memory.
    InMemory(usize),
    /// A message of so many bytes, in the intake's pipe.
    Piped(usize),
}

/// One thread's choice, and its pipe.
#[derive(Default)]
pub struct Intake {
    pipe: Option<Pipe>,
    /// A message is in the pipe, or what is left of one.
    holds: bool,
    /// Splicing cannot be done here, and is not tried again.
    unfit: bool,
}

impl Intake {
    /// Receives one message, into the pipe or into `memory`, which has room for every message.
    #[inline(always)] // once for each loop: what comes of it then needs no memory
    pub fn receive(&mut self, session: &Session, channel: &Channel, memory: &mut [u8]) -> Result<Received, Errno> {
        if session.has_read_before() || session.splices_writes() {
            return self.choose(session, channel, memory);
        }
        session.receive(|| channel.recv(memory)).map(in_memory)
    }

    /// The same where there is a choice.
    #[cold] // most sessions have none, and what splicing saves is far more than a jump
    fn choose(&mut self, session: &Session, channel: &Channel, memory: &mut [u8]) -> Result<Received, Errno> {
        if let Some(size) = session.next_read_before(memory) {
            return Ok(Received::InMemory(size));
        }
        if session.splices_writes()
            && session.large_writes.are_expected()
            && self.make_ready(session.buf_size().min(memory.len()))
        {
            return self.receive_piped(session, channel, memory);
        }
        let received = session.receive(|| channel.recv(memory)).map(in_memory)?;
        if let (Received::InMemory(size), true) = (received, session.splices_writes()) {
            session.large_writes.note(size >= LARGE && is_worth_a_pipe(memory));
        }
        Ok(received)
    }

    /// Whether the pipe is there, empty and large enough.
    fn make_ready(&mut self, room: usize) -> bool {
        // The daemon's own loop may not have processed the last one yet.
        self.holds = self.holds && self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty());
        if self.holds || self.unfit {
            return false;
        }
        if self.pipe.as_ref().is_none_or(Pipe::is_shared) {
            // Out of file descriptors: perhaps not for long.
            self.pipe = Pipe::new().ok();
        }
        let Some(pipe) = &mut self.pipe else { return false };
        if !pipe.reserve(room) {
            (self.pipe, self.unfit) = (None, true);
        }
        !self.unfit
    }

    fn receive_piped(&mut self, session: &Session, channel: &Channel, memory: &mut [u8]) -> Result<Received, Errno> {
        let Some(pipe) = &self.pipe else { return Err(Errno::EINVAL) };
        let (room, unfit) = (session.buf_size().min(memory.len()), &mut self.unfit);
        let mut copied = false;
        let received = session.receive(|| {
            let spliced = channel.splice_in(pipe.writer(), room);
            // What cannot be done at all, or just now.
            copied = matches!(spliced, Err(Errno::EINVAL | Errno::EAGAIN | Errno::ENOMEM | Errno::ENOSPC));
            *unfit |= spliced == Err(Errno::EINVAL);
            if copied { channel.recv(memory) } else { spliced }
        });
        session.large_writes.note(false);
        let size = received.inspect_err(|_| self.empty_pipe())?;
        if size == 0 || copied {
            return Ok(in_memory(size));
        }
        if size >= LARGE {
            self.holds = true;
            return Ok(Received::Piped(size));
        }
        let place = memory.get_mut(..size).zip(self.reader());
        if place.is_some_and(|(into, pipe)| pipe::read_full(pipe, into) == Ok(size)) {
            if channel.as_device().is_none() {
                // The daemon's function may have put more there than it said.
                self.empty_pipe();
            }
            return Ok(Received::InMemory(size));
        }
        log::error!("reading device: a message of {size} bytes did not come whole");
        self.pipe = None;
        Err(Errno::EIO)
    }

    /// The end of the pipe that a message is read from.
    pub fn reader(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(Pipe::reader)
    }

    /// The message in the pipe is done with, whatever of it was read. `worth`: it paid to have it there.
    pub fn settle(&mut self, session: &Session, worth: bool) {
        if worth {
            session.large_writes.note(true);
        }
        self.empty_pipe();
        self.holds = false;
    }

    /// Sees to it that nothing of a message is left for the next.
    fn empty_pipe(&mut self) {
        if self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty()) {
            // To read the rest would cost more than a new pipe.
            self.pipe = None;
        }
    }
}

fn in_memory(size: usize) -> Received {
    if size == 0 { Received::Ended } else { Received::InMemory(size) }
}

/// Whether a message is a write of data that goes on to a file; where that is not known, of data that lies in the page
/// cache, as far as can be told.
pub(super) fn is_worth_a_pipe(message: &[u8]) -> bool {
    let Some((header, arguments)) = message.split_at_checked(size_of::<InHeader>()) else { return false };
    decode::header(header).is_some_and(|header| header.opcode == Opcode::Write as u32)
        && WriteIn::read_from_prefix(arguments)
            .is_ok_and(|(arg, _)| pipe::passes_on().unwrap_or(arg.flags & libc::O_DIRECT as u32 == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_writes_are_expected_for_a_few_requests() {
        let writes = LargeWrites::default();
        writes.note(false);
        assert!(!writes.are_expected());
        writes.note(true);
        for _ in 0..PATIENCE {
            assert!(writes.are_expected());
            writes.note(false);
        }
        assert!(!writes.are_expected());
    }
}
