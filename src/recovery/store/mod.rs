//! Who keeps the file descriptors of a mount while its daemon is being replaced: the supervisor `fusewire-keep`, or systemd's
//! file descriptor store.
//!
//! A process has one such store, for one mount: the first that looks for it gets it.

mod keeper;
pub mod protocol;
pub mod systemd;

use keeper::Keeper;
use nix::errno::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use systemd::Systemd;

/// What a kept file descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The device.
    Device,
    /// The memory with the session's state.
    State,
    /// A clone of the device.
    Clone,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Device, Self::State, Self::Clone];

    /// The word for it in the keeper's protocol.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::State => "state",
            Self::Clone => "clone",
        }
    }

    /// Its name in systemd's store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "fusewire-device",
            Self::State => "fusewire-state",
            Self::Clone => "fusewire-clone",
        }
    }
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

/// Somebody who keeps file descriptors. Every error is logged here.
#[derive(Debug)]
pub struct Store(Who);

#[derive(Debug)]
enum Who {
    Keeper(Keeper),
    Systemd(Systemd),
}

impl Store {
    /// Who keeps this process' file descriptors, if anybody does: the environment says so. EINVAL when it says something
    /// that cannot be understood.
    pub fn find() -> Result<Option<Self>, Errno> {
        static FOUND: AtomicBool = AtomicBool::new(false);
        let found = match Keeper::is_named() {
            true => Self::first(&FOUND).then(Keeper::find).transpose()?.flatten().map(Who::Keeper),
            false => Systemd::find()?.filter(|_| Self::first(&FOUND)).map(Who::Systemd),
        };
        Ok(found.map(Self))
    }

    fn first(found: &AtomicBool) -> bool {
        let first = !found.swap(true, Ordering::SeqCst);
        if !first {
            log::warn!("this process' first mount is kept for a successor, and no other");
        }
        first
    }

    /// What was kept for this daemon, once. Under a keeper this waits until the predecessor is gone.
    pub fn kept(&self) -> Result<Option<Kept>, Errno> {
        match &self.0 {
            Who::Keeper(keeper) => keeper.kept(),
            Who::Systemd(systemd) => systemd.kept(),
        }
    }

    /// Has a file descriptor kept. Of the device and the state, the one that was named last.
    pub fn keep(&self, role: Role, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        match &self.0 {
            Who::Keeper(keeper) => keeper.keep(role, fd),
            Who::Systemd(systemd) => systemd.store(role.name(), fd),
        }
    }

    /// Nothing needs to be kept any more.
    pub fn forget(&self) {
        match &self.0 {
            Who::Keeper(keeper) => keeper.forget(),
            Who::Systemd(systemd) => systemd.forget(),
        }
    }

    /// The daemon mounts and cannot be replaced. ENOTSUP, without a log line, when a mount is kept: it has to be left to one
    /// that can take it over.
    pub fn unaware(&self) -> Result<(), Errno> {
        match &self.0 {
            Who::Keeper(keeper) => keeper.unaware(),
            Who::Systemd(systemd) => match systemd.kept()? {
                Some(_) => Err(Errno::ENOTSUP),
                None => Ok(()),
            },
        }
    }
}
