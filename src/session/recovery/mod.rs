//! Sessions that outlive their process: what they keep for a successor, and how that takes over.
//!
//! A session that was declared recoverable has a [`State`] from the mount on. Requests in flight are in its journal,
//! nodeids in its table; [`saved`] is the rest. [`takeover`] makes a session of what a predecessor left, [`resent`]
//! serves what the kernel sends once more.

mod fallback;
mod keeping;
mod resent;
mod saved;
mod takeover;

pub use resent::{COUNTED, Hooks, Verdict};

use super::detour::Why;
use super::{Session, inflight};
use crate::abi::wire::{InHeader, UNIQUE_RESEND};
use crate::decode::{Operation, Request};
use crate::recovery::journal::{Inheritance, Journal};
use crate::recovery::memory::{self, Memory};
use crate::recovery::nodes::Nodes;
use crate::recovery::store::Store;
use inflight::Slot;
use nix::errno::Errno;
use parking_lot::Mutex;
use resent::Queue;
use saved::Saved;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

/// What a session has of this.
#[derive(Default)]
pub(super) struct Recovery {
    /// Most bytes of a node's name, once the session was declared recoverable.
    declared: OnceLock<usize>,
    state: OnceLock<State>,
    hooks: OnceLock<Box<dyn Hooks>>,
    queue: Queue,
    /// Who keeps the fds.
    store: OnceLock<Store>,
}

/// What a successor takes over.
pub struct State {
    memory: Memory,
    /// Requests in flight.
    pub journal: Journal,
    /// Inodes that the kernel knows, if the daemon has them counted.
    pub nodes: Option<Nodes>,
    saved: Mutex<Saved>,
    inheritance: OnceLock<Inheritance>,
    /// Nobody else serves from the memory while this is open.
    lock: Mutex<Option<OwnedFd>>,
}

impl State {
    /// In new memory, of a session that is not connected yet.
    fn create(node_bytes: usize) -> Result<Self, Errno> {
        let memory = Memory::create(node_bytes)?;
        let lock = memory.lock()?;
        let nodes = (node_bytes > 0).then(|| Nodes::create(memory.clone())).transpose()?;
        Ok(Self::new(memory, lock, nodes, Saved::default()))
    }

    fn new(memory: Memory, lock: OwnedFd, nodes: Option<Nodes>, saved: Saved) -> Self {
        let (journal, inheritance) = (Journal::new(memory.clone()), OnceLock::new());
        Self { memory, journal, nodes, saved: Mutex::new(saved), inheritance, lock: Mutex::new(Some(lock)) }
    }

    /// The memory, for tables of others in it.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A reply to the request in `slot` was sent, or could not be. Where the connection was given up meanwhile the kernel did
    /// not hear of it, and asks a successor. By any other error the request is over.
    #[inline]
    pub fn sent(&self, slot: &Slot, sent: Result<(), Errno>) {
        if sent == Err(Errno::EBADF) {
            slot.leave();
        }
    }

    /// The request in `slot` is over, unless it was left to a successor.
    #[inline]
    pub fn settle(&self, slot: &Slot) {
        if slot.is_left() {
            return;
        }
        self.journal.free(slot.index());
        if slot.unique() & UNIQUE_RESEND != 0 {
            self.settle_inherited(slot.unique());
        }
    }

    #[cold]
    fn settle_inherited(&self, unique: u64) {
        if let Some(inheritance) = self.inheritance.get() {
            inheritance.settle(unique & !UNIQUE_RESEND);
        }
    }

    /// A request is about to be in flight in `slot`, or is one that no successor ever sees: a forget is done at once.
    pub(super) fn note(&self, slot: &Slot, request: &Request<'_>) {
        let InHeader { unique, opcode, nodeid, .. } = *request.header;
        match &request.operation {
            Operation::Forget { .. } | Operation::BatchForget { .. } => {
                if unique & COUNTED == 0 {
                    self.count_forgets(request);
                }
            }
            Operation::NotifyReply { .. } => {}
            _ if unique & UNIQUE_RESEND != 0 && self.note_again(slot, request.header) => {}
            _ => self.journal.take(slot.index(), unique & !UNIQUE_RESEND, opcode, nodeid),
        }
    }

    /// Takes back the lookups that the kernel forgets by this request. False when it is of another kind.
    fn count_forgets(&self, request: &Request<'_>) -> bool {
        let forget = |nodeid: u64, count: u64| {
            if let Some(nodes) = &self.nodes {
                forget(nodes, nodeid, count);
            }
        };
        match &request.operation {
            Operation::Forget { nlookup } => forget(request.header.nodeid, *nlookup),
            Operation::BatchForget { entries } => entries.iter().for_each(|one| forget(one.nodeid, one.nlookup)),
            _ => return false,
        }
        true
    }

    /// The same for a request that comes once more, with what a predecessor noted of it. False when none did.
    #[cold]
    fn note_again(&self, slot: &Slot, header: &InHeader) -> bool {
        let unique = header.unique & !UNIQUE_RESEND;
        let pass_on = |from: &Inheritance| from.pass_on(unique, header.opcode, &self.journal, slot.index());
        self.inheritance.get().is_some_and(pass_on)
    }
}

fn forget(nodes: &Nodes, nodeid: u64, count: u64) {
    if nodes.forget(nodeid, count).is_err() {
        log::warn!("the kernel forgets nodeid {nodeid}, which is not in the table");
    }
}

impl Session {
    /// Has the session outlive its process from the mount on. `node_bytes`: most bytes of a node's name, 0 for no nodes.
    pub fn declare_recoverable(&self, node_bytes: usize) -> Result<(), Errno> {
        let refuse = |errno: Errno, why: &str| {
            log::error!("the session cannot be made recoverable: {why}");
            Err(errno)
        };
        if !memory::node_bytes_fit(node_bytes) {
            return refuse(Errno::EINVAL, "names of nodes would be too long");
        }
        if self.is_taken() {
            return refuse(Errno::EBUSY, "it is connected already");
        }
        if self.mount_options.auto_unmount() {
            return refuse(Errno::EINVAL, "auto_unmount would unmount when the process dies");
        }
        if self.recovery.declared.set(node_bytes).is_err() {
            return refuse(Errno::EBUSY, "it is so already");
        }
        Ok(())
    }

    /// Whether the session was declared recoverable.
    pub fn is_recoverable(&self) -> bool {
        self.recovery.declared.get().is_some()
    }

    /// What the session keeps for a successor, if it does.
    #[inline]
    pub fn state(&self) -> Option<&State> {
        // It is this session's to use from the mount until it is left to a successor.
        if self.detour.why().contains(Why::KEPT) { self.recovery.state.get() } else { None }
    }

    /// The state is there. False when there was one already.
    fn begin_state(&self, state: State) -> bool {
        let first = self.recovery.state.set(state).is_ok();
        self.detour.set(Why::KEPT, true);
        first
    }

    /// The state is a successor's from now on. Nothing in flight may be using it.
    pub(super) fn leave_state(&self) {
        self.detour.set(Why::KEPT, false);
        if let Some(state) = self.recovery.state.get() {
            *state.lock.lock() = None;
        }
    }
}
