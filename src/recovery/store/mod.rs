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

/// The process' store was found. Only once: what was passed with it is taken over then.
static FOUND: AtomicBool = AtomicBool::new(false);
static REFUSED: AtomicBool = AtomicBool::new(false);

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
    /// that cannot be understood. For a session that nobody can take over (not `recoverable`), a service manager that
    /// passed nothing of a mount is nobody: it is one of every service.
    pub fn find(recoverable: bool) -> Result<Option<Self>, Errno> {
        let keeper = Keeper::is_named();
        let systemd = if recoverable { Systemd::is_named() } else { Systemd::has_passed() };
        if !(keeper || systemd) {
            return Ok(None);
        }
        if FOUND.swap(true, Ordering::SeqCst) {
            log::warn!("this process' first mount is kept for a successor, and no other");
            return Ok(None);
        }
        let found = if keeper { Keeper::find()?.map(Who::Keeper) } else { Systemd::find()?.map(Who::Systemd) };
        Ok(found.map(Self))
    }

    /// What was kept could not be taken over: its mount is still there, and is not to be mounted over.
    pub fn refuse() {
        REFUSED.store(true, Ordering::SeqCst);
    }

    /// EBUSY after that.
    pub fn check() -> Result<(), Errno> {
        if REFUSED.load(Ordering::SeqCst) {
            log::error!("a mount is kept for this daemon and could not be taken over: nothing is mounted over it");
            return Err(Errno::EBUSY);
        }
        Ok(())
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
