//! What a loop receives into.

use super::Session;
use super::intake::{Intake, Received};
use crate::decode::{self, PIPED_HEAD};
use crate::transport::{Buffer, Channel, page_size};
use nix::errno::Errno;

/// Memory for one message, and the intake that decides whether the message comes to lie there.
pub(super) struct Inbox {
    memory: Buffer,
    intake: Intake,
    received: Received,
}

impl Inbox {
    /// Has room for every message of the session's.
    pub(super) fn new(session: &Session) -> Result<Self, Errno> {
        // So that the data of a write fills whole pages, as files opened with O_DIRECT want it.
        let before = page_size() - PIPED_HEAD;
        let size = session.buf_size().checked_add(before).ok_or(Errno::ENOMEM)?;
        let memory = if session.is_recoverable() { Buffer::resident(size) } else { Buffer::new(size) }?;
        Ok(Self { memory: memory.behind(before)?, intake: Intake::default(), received: Received::Ended })
    }

    /// Receives one message; false at the session's end.
    #[inline(always)] // once for each loop
    pub(super) fn receive(&mut self, session: &Session, channel: &Channel) -> Result<bool, Errno> {
        let memory = self.memory.bytes();
        session.poll_busily(channel);
        self.received = self.intake.receive(session, channel, memory)?;
        Ok(self.received != Received::Ended)
    }

    /// The opcode of what was received; 0 if that is in the pipe.
    pub(super) fn opcode(&mut self) -> u32 {
        let Received::InMemory(_) = self.received else { return 0 };
        decode::header(self.memory.bytes()).map_or(0, |header| header.opcode)
    }

    /// Serves what was received.
    #[inline]
    pub(super) fn process(&mut self, session: &Session, channel: &Channel) {
        match self.received {
            Received::Ended => {}
            Received::InMemory(size) => session.process(channel, self.memory.bytes().get(..size).unwrap_or_default()),
            Received::Piped(size) => self.process_piped(session, channel, size),
        }
    }

    #[cold]
    fn process_piped(&mut self, session: &Session, channel: &Channel, size: usize) {
        let Some(pipe) = self.intake.reader() else { return };
        let worth = session.process_piped(channel, pipe, size, self.memory.bytes());
        self.intake.settle(session, worth);
    }
}
