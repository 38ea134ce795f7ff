//! What the keeper itself has kept, by systemd, so that it can be replaced under a daemon that goes on.

use crate::daemon::Daemon;
use crate::hold::Hold;
use fusewire::recovery::store::Role;
use fusewire::recovery::store::systemd::Systemd;
use nix::errno::Errno;
use std::os::fd::BorrowedFd;

/// The daemon's process.
const PROCESS: &str = "fusewire-keep-process";
/// The keeper's end of the socket to it.
const SOCKET: &str = "fusewire-keep-socket";

/// systemd's store, if there is one.
#[derive(Debug)]
pub struct Depot(Option<Systemd>);

impl Depot {
    /// Finds the store.
    pub fn find() -> Result<Self, Errno> {
        let [device, state, clone] = Role::ALL.map(Role::name);
        Ok(Self(Systemd::find_named(&[device, state, clone, PROCESS, SOCKET])?))
    }

    /// What an earlier keeper left.
    pub fn take_back(&self) -> Result<(Hold, Option<Daemon>), Errno> {
        let Some(systemd) = &self.0 else { return Ok((Hold::default(), None)) };
        let hold = systemd.kept()?.map(Hold::taken_back).unwrap_or_default();
        let socket = systemd.take(SOCKET).pop();
        let daemon = systemd.take(PROCESS).pop().map(|process| Daemon::taken_back(process, socket));
        Ok((hold, daemon))
    }

    /// Has something of the mount kept. A device is that of a new mount.
    pub fn keep(&self, role: Role, fd: BorrowedFd<'_>) {
        if let Some(systemd) = &self.0 {
            let replaced: &[Role] = match role {
                Role::Device => &[Role::Device, Role::Clone],
                Role::State => &[Role::State],
                Role::Clone => &[],
            };
            replaced.iter().for_each(|role| systemd.remove(role.name()));
            // What there is to say was logged: without it, the mount depends on this process.
            let _ = systemd.store(role.name(), fd);
        }
    }

    /// A mount is served.
    pub fn ready(&self) {
        if let Some(systemd) = &self.0 {
            let _ = systemd.notify("READY=1", &[]);
        }
    }

    /// Nothing of the mount needs to be kept.
    pub fn forget(&self) {
        if let Some(systemd) = &self.0 {
            systemd.forget();
        }
    }

    /// This is the daemon now; or there is none.
    pub fn set_daemon(&self, daemon: Option<&Daemon>) {
        let Some(systemd) = &self.0 else { return };
        for name in [PROCESS, SOCKET] {
            systemd.remove(name);
        }
        if let Some(daemon) = daemon {
            let _ = systemd.store(PROCESS, daemon.pidfd());
            let _ = daemon.socket().map(|socket| systemd.store(SOCKET, socket));
        }
    }
}
