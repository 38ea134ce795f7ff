//! Replies of sessions that outlive their process: written down before they are sent, the lookups that they make the
//! kernel count counted before, too.

use super::opens::is;
use super::request::Pending;
use crate::abi::opcode::{Opcode, makes_entry};
use crate::abi::wire::{Dirent, EntryOut};
use crate::recovery::nodes::Nodes;
use crate::session::State;
use nix::errno::Errno;
use std::borrow::Cow;
use std::io::IoSlice;
use zerocopy::FromBytes;

/// Nodeids in a reply: one in nearly all, which takes no memory.
enum Named {
    One([u64; 1]),
    Many(Vec<u64>),
}

impl Named {
    const NONE: Self = Self::Many(Vec::new());

    fn nodeids(&self) -> &[u64] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

impl Pending {
    /// Whether the library has to see the reply's bytes.
    pub(super) fn must_be_seen(&self) -> bool {
        let counts = || self.session().state().is_some_and(|state| state.nodes.is_some());
        is(self.slot().opcode(), &[Opcode::Readdirplus]) && counts()
    }

    #[inline(never)] // what others do not need stands apart from what all need
    pub(super) fn send_kept(&self, state: &State, error: i32, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        let (slot, opcode) = (self.slot(), self.slot().opcode());
        let counts = error == 0 && state.nodes.is_some();
        let named = if counts { named(opcode, parts) } else { Named::NONE };
        if let Some(nodes) = &state.nodes
            && let Err(nodeid) = count_all(nodes, named.nodeids())
        {
            return self.refuse_unknown(state, nodeid);
        }
        let recorded = state.journal.execute(slot.index(), opcode, error, parts);
        let sent = self.send_now(error, parts);
        state.sent(slot, sent);
        // A successor sends what was recorded, and the kernel counts it then.
        let comes_later = recorded && slot.is_left();
        if let (Err(_), Some(nodes), false) = (sent, &state.nodes, comes_later) {
            take_back(nodes, named.nodeids());
        }
        sent
    }

    #[cold]
    fn refuse_unknown(&self, state: &State, nodeid: u64) -> Result<(), Errno> {
        log::error!("the reply names nodeid {nodeid}, which is not in the session's table of nodes");
        state.sent(self.slot(), self.send_now(-(Errno::EIO as i32), &[]));
        Err(Errno::EINVAL)
    }
}

/// Counts a lookup of each. The nodeid that is not in the table, if there is one; nothing is counted then.
fn count_all(nodes: &Nodes, nodeids: &[u64]) -> Result<(), u64> {
    for (at, nodeid) in nodeids.iter().enumerate() {
        if nodes.look_up(*nodeid).is_err() {
            take_back(nodes, nodeids.get(..at).unwrap_or_default());
            return Err(*nodeid);
        }
    }
    Ok(())
}

fn take_back(nodes: &Nodes, nodeids: &[u64]) {
    for nodeid in nodeids {
        // It is there: its lookup was just counted.
        let _ = nodes.forget(*nodeid, 1);
    }
}

/// The nodeids that the kernel counts a lookup of when it gets this reply.
fn named(opcode: u32, parts: &[IoSlice<'_>]) -> Named {
    let Some(first) = parts.first() else { return Named::NONE };
    if makes_entry(opcode) {
        return match EntryOut::read_from_prefix(first) {
            Ok((entry, _)) if entry.nodeid != 0 => Named::One([entry.nodeid]),
            _ => Named::NONE,
        };
    }
    if !is(opcode, &[Opcode::Readdirplus]) {
        return Named::NONE;
    }
    let whole = match parts {
        [one] => Cow::Borrowed(&**one),
        many => Cow::Owned(many.iter().flat_map(|part| part.iter().copied()).collect()),
    };
    Named::Many(entries(&whole).filter(|nodeid| *nodeid != 0).collect())
}

/// Nodeids of directory entries, as far as the kernel looks at them: all but `.` and `..`.
fn entries(mut bytes: &[u8]) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        loop {
            let (entry, rest) = EntryOut::read_from_prefix(bytes).ok()?;
            let (dirent, rest) = Dirent::read_from_prefix(rest).ok()?;
            let (name, _) = rest.split_at_checked(dirent.namelen as usize)?;
            bytes = rest.get((dirent.namelen as usize).next_multiple_of(8)..).unwrap_or_default();
            if name != b"." && name != b".." {
                return Some(entry.nodeid);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn found(opcode: Opcode, parts: &[IoSlice<'_>]) -> Vec<u64> {
        named(opcode as u32, parts).nodeids().to_vec()
    }

    fn direntplus(nodeid: u64, name: &[u8]) -> Vec<u8> {
        let entry = EntryOut { nodeid, ..EntryOut::default() };
        let dirent = Dirent { namelen: name.len() as u32, ..Dirent::default() };
        let mut bytes = [entry.as_bytes(), dirent.as_bytes(), name].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn every_entry_but_the_two_dots_and_those_without_a_node_counts() {
        let all = [(1, &b"."[..]), (1, b".."), (5, b"a"), (0, b"unknown"), (6, b"eightbyt"), (7, b"ninebytes")];
        let whole: Vec<u8> = all.iter().flat_map(|(nodeid, name)| direntplus(*nodeid, name)).collect();
        let (first, second) = whole.split_at(200);
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        assert_eq!(found(Opcode::Readdirplus, &parts), [5, 6, 7]);
        assert_eq!(found(Opcode::Readdirplus, &[IoSlice::new(&whole[..whole.len() - 1])]), [5, 6, 7]);
        assert_eq!(found(Opcode::Readdir, &parts), [] as [u64; 0]);
        assert_eq!(found(Opcode::Readdirplus, &[]), [] as [u64; 0]);
    }

    #[test]
    fn an_entry_counts_unless_it_says_that_there_is_none() {
        let entry = EntryOut { nodeid: 9, ..EntryOut::default() };
        let parts = [IoSlice::new(entry.as_bytes()), IoSlice::new(b"the open file")];
        assert_eq!(found(Opcode::Create, &parts), [9]);
        assert_eq!(found(Opcode::Lookup, &[IoSlice::new(EntryOut::default().as_bytes())]), [] as [u64; 0]);
        assert_eq!(found(Opcode::Getattr, &parts[..1]), [] as [u64; 0]);
    }
}
