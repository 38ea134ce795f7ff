//! Who keeps the fds of a mount while the daemon is being replaced.

use nix::errno::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// What a kept fd is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The device.
    Device,
    /// The memory with the session's state.
    State,
    /// A clone of the device.
    Clone,
}

/// What was kept of a mount.
#[derive(Debug)]
pub struct Kept {
    /// The device.
    pub device: OwnedFd,
    /// The memory with the session's state.
    pub state: OwnedFd,
    /// Clones of the device.
    pub clones: Vec<OwnedFd>,
}

/// Somebody who keeps fds.
#[derive(Debug)]
pub struct Store(());

impl Store {
    /// Who keeps this process' fds, if anybody does.
    pub fn find() -> Result<Option<Self>, Errno> {
        Ok(None)
    }

    /// What was kept for this daemon, once.
    pub fn kept(&self) -> Result<Option<Kept>, Errno> {
        Ok(None)
    }

    /// Has an fd kept.
    pub fn keep(&self, _: Role, _: BorrowedFd<'_>) -> Result<(), Errno> {
        Ok(())
    }

    /// Nothing needs to be kept any more.
    pub fn forget(&self) {}

    /// The daemon mounts and cannot be replaced.
    pub fn unaware(&self) {}
}
