//! Kernels that do not send requests again: what the journal knows of is answered.

use super::{Session, State};
use crate::recovery::journal::{Entry, Recorded};
use nix::errno::Errno;
use std::io::IoSlice;

impl Session {
    /// Answers each request that was in flight with its recorded reply, or EIO: it waits on one of the connection's ends,
    /// which no reader will see it on again.
    #[cold]
    pub(super) fn answer_from_journal(&self, state: &State) {
        let Some(inheritance) = state.inheritance.get() else { return };
        let entries = inheritance.entries();
        log::warn!(
            "this kernel does not send requests again: {} are answered from the journal, or fail",
            entries.len()
        );
        for entry in entries {
            self.answer_unseen(&entry);
            inheritance.settle(entry.unique);
        }
        self.drained();
    }

    fn answer_unseen(&self, entry: &Entry) {
        let failed = Recorded { error: -(Errno::EIO as i32), payload: Vec::new() };
        let reply = entry.reply.as_ref().unwrap_or(&failed);
        let payload = [IoSlice::new(&reply.payload)];
        let parts: &[IoSlice<'_>] = if reply.payload.is_empty() { &[] } else { &payload };
        // Only the end that it was read from knows it; none does if the reply had been sent.
        self.ends().all().any(|end| self.send(end, entry.unique, reply.error, parts).is_ok());
    }
}
