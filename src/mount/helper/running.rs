//! A helper that was started, and what it says.

use super::{Failure, Guard};
use crate::mount::process::{self, Ended};
use crate::transport::fd;
use crate::transport::privilege::environment_is_foreign;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::spawn::PosixSpawnFileActions;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, pipe2, read};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Where distributions install it; elsewhere PATH decides.
const INSTALLED: &CStr = c"/usr/bin/fusermount3";
pub const NAME: &CStr = c"fusermount3";
const SOCKET_VARIABLE: &str = "_FUSE_COMMFD";

/// A helper at work. Dropped, it is left to end, which it does when the socket is closed, and is waited for.
pub struct Running {
    /// None once a guard has it.
    socket: Option<OwnedFd>,
    messages: OwnedFd,
    child: Pid,
}

impl Running {
    /// Starts one, with a socket to talk on and a pipe for its complaints.
    pub fn start(args: &[&CStr]) -> Result<Self, Failure> {
        let (socket, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        let (messages, stderr) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let mut files = PosixSpawnFileActions::init()?;
        // Duplicating a descriptor onto itself is how it stays open in the child, and only there.
        files.add_dup2(theirs.as_raw_fd(), theirs.as_raw_fd())?;
        // One that stays would keep a pipe open whose reader waits for a daemon to go into the background.
        silence(&mut files)?;
        files.add_dup2(stderr.as_raw_fd(), libc::STDERR_FILENO)?;
        let number = theirs.as_raw_fd().to_string();
        let environment = process::environment(Some((SOCKET_VARIABLE, &number)))?;
        let child = start(args, &environment, &files)?;
        // Our own copies of its ends are closed here: they would keep its end from showing.
        Ok(Self { socket: Some(socket), messages, child })
    }

    fn socket(&self) -> Result<&OwnedFd, Errno> {
        self.socket.as_ref().ok_or(Errno::ENOTCONN)
    }

    /// Waits for the device that it sends. The failure is with its own words.
    pub fn receive_device(&mut self) -> Result<OwnedFd, Failure> {
        match fd::receive(self.socket()?.as_fd()) {
            Ok(Some(device)) => Ok(device),
            Ok(None) => Err(self.failure(Errno::EPERM)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Tells one that waits for it to mount, and hears how that went.
    pub fn proceed(&self) -> Result<(), Errno> {
        let socket = self.socket()?;
        send(socket.as_raw_fd(), &[0], MsgFlags::MSG_NOSIGNAL)?;
        let mut status = [0; size_of::<i32>()];
        let length = loop {
            match read(socket, &mut status) {
                Err(Errno::EINTR) => {}
                heard => break heard?,
            }
        };
        match i32::from_ne_bytes(status) {
            0 if length == status.len() => Ok(()),
            negative if length == status.len() => Err(Errno::from_raw(negative.saturating_neg())),
            _ => Err(Errno::EPERM),
        }
    }

    /// What it complained about, or else how it ended: it has failed, and is waited for.
    pub fn failure(&mut self, errno: Errno) -> Failure {
        let ended = self.wait();
        let reason = self.complaints().unwrap_or_else(|| match ended {
            Some(Ended::Badly(how)) => how,
            _ => errno.desc().to_owned(),
        });
        Failure::new(errno, reason)
    }

    /// Waits for its end, and tells what it said.
    pub fn finish(mut self) -> Option<String> {
        self.wait();
        self.complaints()
    }

    /// Leaves it to wait for the end of the daemon.
    pub fn into_guard(mut self) -> Guard {
        Guard::new(self.socket.take(), self.child)
    }

    /// None when a guard has it.
    fn wait(&mut self) -> Option<Ended> {
        self.socket.take().map(|socket| {
            drop(socket);
            process::wait(self.child)
        })
    }

    /// What it has written so far, as one line without its own name.
    fn complaints(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match read(&self.messages, rest) {
                Err(Errno::EINTR) => {}
                Err(_) | Ok(0) => break,
                Ok(more) => length += more,
            }
        }
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        let lines = text.lines().map(|line| line.trim_start_matches("fusermount3: ").trim());
        let said = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        (!said.is_empty()).then_some(said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Gives a program `/dev/null` for its standard streams, where there is one.
pub fn silence(files: &mut PosixSpawnFileActions) -> Result<(), Errno> {
    if open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).is_err() {
        return Ok(());
    }
    for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        files.add_open(stream, c"/dev/null", OFlag::O_RDWR, Mode::empty())?;
    }
    Ok(())
}

/// Starts the helper that is installed.
pub fn start(args: &[&CStr], environment: &[CString], files: &PosixSpawnFileActions) -> Result<Pid, Failure> {
    let started = match process::start(INSTALLED, args, environment, files) {
        Err(first) if !environment_is_foreign() => {
            // EACCES may be about a folder in PATH that has no fusermount3 either.
            let found = process::start_from_path(NAME, args, environment, files);
            found.map_err(|second| if second == Errno::EACCES { first } else { second })
        }
        started => started,
    };
    started.map_err(|errno| match errno {
        Errno::ENOENT => Failure::new(errno, "it is not installed (package fuse3)"),
        _ => Failure::new(errno, format!("it cannot be started: {}", errno.desc())),
    })
}
