//! Processes that are children of the keeper, by birth or because their parents died.

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getsid};
use std::fmt;
use std::fs;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It was no child of this keeper, but of an earlier one.
    Unknown,
}

impl End {
    /// The status that the keeper passes on, as shells do. `fine`: that of an end of which nothing is known.
    pub fn status(self, fine: bool) -> u8 {
        match self {
            Self::Exited(status) => status as u8,
            Self::Killed(signal) => 128_u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
            Self::Unknown => u8::from(!fine),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "ended with status {status}"),
            Self::Killed(signal) => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {signal}"),
            },
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// Sees to it that children leave a status. Who starts the keeper may ignore SIGCHLD, which lasts through exec, and then
/// they leave none. Daemons inherit the default instead: they wait for children of their own, such as fusermount3.
#[expect(unsafe_code, reason = "nix has no safe form for the dispositions that are no handlers")]
pub fn leave_statuses() -> Result<(), Errno> {
    // SAFETY: no handler is installed.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map(drop)
}

/// Takes the statuses of all children that have ended.
pub fn reap() -> Vec<(Pid, End)> {
    let mut ended = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(status) => match end(status) {
                Some(end) => ended.push(end),
                None => return ended,
            },
            // A real-time signal has no name there; the process is gone all the same, and its pidfd says so.
            Err(Errno::EINTR | Errno::EINVAL) => {}
            Err(_) => return ended,
        }
    }
}

/// Takes the status of a child that has ended; none if it was no child.
pub fn status(pid: Pid) -> Option<End> {
    waitpid(pid, Some(WaitPidFlag::WNOHANG)).ok().and_then(end).map(|(_, end)| end)
}

fn end(status: WaitStatus) -> Option<(Pid, End)> {
    match status {
        WaitStatus::Exited(pid, status) => Some((pid, End::Exited(status))),
        WaitStatus::Signaled(pid, signal, _) => Some((pid, End::Killed(signal as i32))),
        _ => None,
    }
}

/// The children that there are now. None where the kernel does not tell.
pub fn list() -> Vec<Pid> {
    let own = nix::unistd::getpid();
    let text = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

/// The child that went to the background, in a session of its own, and has the socket with this inode number open.
pub fn in_background(inode: u64) -> Option<Pid> {
    let name = format!("socket:[{inode}]");
    let session = getsid(None);
    list().into_iter().filter(|pid| getsid(Some(*pid)) != session).find(|pid| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|link| link.as_os_str() == name.as_str())
    })
}
