//! Messages that the daemon sends on its own: the head's `error` is a code, its unique 0.

use crate::abi::wire::{
    NotifyDeleteOut, NotifyInvalEntryOut, NotifyInvalInodeOut, NotifyPollWakeupOut, NotifyPruneOut, NotifyRetrieveOut,
    NotifyStoreOut,
};
use zerocopy::IntoBytes;

/// A notification's fixed part.
#[derive(Clone, Copy, Debug)]
pub enum Notification {
    /// The file behind a poll handle is ready.
    Poll(NotifyPollWakeupOut),
    /// An inode's attributes or pages are stale.
    InvalInode(NotifyInvalInodeOut),
    /// A name is stale; the name follows.
    InvalEntry(NotifyInvalEntryOut),
    /// Data for the page cache; the data follows.
    Store(NotifyStoreOut),
    /// Asks for data of the page cache.
    Retrieve(NotifyRetrieveOut),
    /// A name was deleted; the name follows.
    Delete(NotifyDeleteOut),
    /// Every cached entry of the connection is stale (since 7.44).
    IncEpoch,
    /// What was read and not answered is to be sent again (since 7.40).
    Resend,
    /// Inodes that the kernel should forget if it can; their nodeids follow (since 7.45).
    Prune(NotifyPruneOut),
}

impl Notification {
    /// The protocol's code.
    pub fn code(&self) -> i32 {
        match self {
            Self::Poll(_) => 1,
            Self::InvalInode(_) => 2,
            Self::InvalEntry(_) => 3,
            Self::Store(_) => 4,
            Self::Retrieve(_) => 5,
            Self::Delete(_) => 6,
            Self::Resend => 7,
            Self::IncEpoch => 8,
            Self::Prune(_) => 9,
        }
    }

    /// The fixed part's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Poll(out) => out.as_bytes(),
            Self::InvalInode(out) => out.as_bytes(),
            Self::InvalEntry(out) => out.as_bytes(),
            Self::Store(out) => out.as_bytes(),
            Self::Retrieve(out) => out.as_bytes(),
            Self::Delete(out) => out.as_bytes(),
            Self::IncEpoch | Self::Resend => &[],
            Self::Prune(out) => out.as_bytes(),
        }
    }
}
