//! A helper that stays to unmount when the daemon is gone (auto_unmount).

use super::running::{NAME, Running};
use super::{Failure, knows};
use crate::mount::process;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::Pid;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a helper that has nothing left to do may take to end before it is left on its own.
const GOODBYE: Duration = Duration::from_secs(1);

/// Whether the helper can guard a mount that it did not make (libfuse 3.15).
pub fn can_guard() -> bool {
    knows(c"--auto-unmount")
}

/// Has a helper guard a mount; a failure is logged.
pub fn guard(path: &CStr) -> Result<Guard, Errno> {
    let running = Running::start(&[NAME, c"--auto-unmount", c"--", path]);
    running.map(Running::into_guard).map_err(|failure: Failure| failure.log("guard", path))
}

/// Whether the other end of a socket is closed in time, whatever signals come.
fn ends_within(socket: BorrowedFd<'_>, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket, PollFlags::empty())], timeout) {
            Err(Errno::EINTR) => {}
            ended => return ended == Ok(1),
        }
    }
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
        if ends_within(socket.as_fd(), GOODBYE) {
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
