//! A helper that stays to unmount when the daemon is gone (auto_unmount).

use super::running::{NAME, Running};
use super::{Failure, knows};
use crate::mount::process;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::Pid;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

/// How long a helper that has nothing left to do may take to end, in milliseconds, before it is left on its own.
const GOODBYE: u16 = 1000;

/// Whether the helper can guard a mount that it did not make (libfuse 3.15).
pub fn can_guard() -> bool {
    knows(c"--auto-unmount")
}

/// Has a helper guard a mount; a failure is logged.
pub fn guard(path: &CStr) -> Result<Guard, Errno> {
    let running = Running::start(&[NAME, c"--auto-unmount", c"--", path]);
    running.map(Running::into_guard).map_err(|failure: Failure| failure.log("guard", path))
}

/// A helper that unmounts when this is closed, which the death of the process does, too.
#[derive(Debug)]
pub struct Guard {
    /// None only for a helper that has ended.
    socket: Option<OwnedFd>,
    child: Pid,
    /// Who started the helper: after a fork its number is that of someone else's child, or of no one.
    parent: Pid,
}

impl Guard {
    pub(super) fn new(socket: Option<OwnedFd>, child: Pid) -> Self {
        Self { socket, child, parent: Pid::this() }
    }

    /// Lets the helper end, with the mount it guards gone already, and leaves no zombie if it is quick.
    pub fn dismiss(self) {
        let Some(socket) = self.socket else { return };
        // Not just closed: a process that was forked meanwhile may hold a copy.
        if shutdown(socket.as_raw_fd(), Shutdown::Write).is_err() || self.parent != Pid::this() {
            return;
        }
        let mut ended = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        if matches!(poll(&mut ended, GOODBYE), Ok(1)) {
            process::wait(self.child);
        }
    }

    /// Leaves the mount guarded until this process is gone, and every program that it starts or becomes.
    pub fn bequeath(self) -> Result<(), Errno> {
        let Some(socket) = self.socket else { return Ok(()) };
        fcntl(&socket, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let _ = socket.into_raw_fd();
        Ok(())
    }
}
