//! fusermount3: mounts and unmounts for users who may not, being set-user-id root.
//!
//! It learns from the environment on which socket to send the device it opened and mounted. Asked for auto_unmount,
//! it then stays until the socket is closed, be it by a dying daemon, and unmounts.

use super::options::Options;
use super::process;
use super::target::Target;
use crate::transport::fd;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, poll};
use nix::spawn::PosixSpawnFileActions;
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, pipe2, read};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Where distributions install it; elsewhere PATH decides.
const INSTALLED: &CStr = c"/usr/bin/fusermount3";
const NAME: &CStr = c"fusermount3";
const SOCKET_VARIABLE: &str = "_FUSE_COMMFD";

/// How long a helper that has nothing left to do may take to end, in milliseconds, before it is left on its own.
const GOODBYE: u16 = 1000;

/// Mounts through the helper; what it complains about is logged.
pub fn mount(target: &Target, options: &Options) -> Result<(OwnedFd, Option<Guard>), Errno> {
    if options.has_third_party() {
        // Helpers before libfuse 3.17 know no x-* options. Whatever else is wrong shows again without.
        if let Ok(mounted) = try_mount(target, options, true) {
            return Ok(mounted);
        }
    }
    try_mount(target, options, false).map_err(|failure| {
        let path = target.path.to_string_lossy();
        log::error!("cannot mount {path} through fusermount3: {}", failure.reason);
        failure.errno
    })
}

struct Failure {
    errno: Errno,
    reason: String,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self { errno, reason: errno.desc().to_owned() }
    }
}

fn try_mount(target: &Target, options: &Options, third_party: bool) -> Result<(OwnedFd, Option<Guard>), Failure> {
    let options_list = options.for_helper(third_party)?;
    let args = [NAME, c"-o", &options_list, c"--", &target.path];
    let cloexec = SockFlag::SOCK_CLOEXEC;
    let (socket, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, cloexec)?;
    let (messages, stderr) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let mut files = PosixSpawnFileActions::init()?;
    // Duplicating a descriptor onto itself is how it stays open in the child, and only there.
    files.add_dup2(theirs.as_raw_fd(), theirs.as_raw_fd())?;
    files.add_dup2(stderr.as_raw_fd(), libc::STDERR_FILENO)?;
    // A helper that stays would keep a pipe open whose reader waits for a daemon to go into the background.
    let null = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    files.add_dup2(null.as_raw_fd(), libc::STDIN_FILENO)?;
    files.add_dup2(null.as_raw_fd(), libc::STDOUT_FILENO)?;
    let number = theirs.as_raw_fd().to_string();
    let environment = process::environment(Some((SOCKET_VARIABLE, &number)))?;
    let child = start(&args, &environment, &files)?;
    // Else our own copy would keep the end of the helper from showing.
    drop((theirs, stderr));

    let received = fd::receive(socket.as_fd());
    let stays = options.auto_unmount() && matches!(received, Ok(Some(_)));
    let guard = if stays {
        Some(Guard { socket, child, parent: Pid::this() })
    } else {
        drop(socket);
        process::wait(child);
        None
    };
    let said = complaints(&messages);
    match received? {
        Some(device) => {
            if !said.is_empty() {
                log::warn!("fusermount3: {said}");
            }
            Ok((device, guard))
        }
        None if said.is_empty() => Err(Errno::EPERM.into()),
        None => Err(Failure { errno: Errno::EPERM, reason: said }),
    }
}

fn start(args: &[&CStr], environment: &[CString], files: &PosixSpawnFileActions) -> Result<Pid, Failure> {
    let started = match process::start(INSTALLED, args, environment, files) {
        Err(first) if !process::environment_is_foreign() => {
            // EACCES may be about a folder in PATH that has no fusermount3 either.
            let found = process::start_from_path(NAME, args, environment, files);
            found.map_err(|second| if second == Errno::EACCES { first } else { second })
        }
        started => started,
    };
    started.map_err(|errno| match errno {
        Errno::ENOENT => Failure { errno, reason: "it is not installed (package fuse3)".to_owned() },
        _ => Failure { errno, reason: format!("it cannot be started: {}", errno.desc()) },
    })
}

/// What the helper has written so far, as one line without its own name.
fn complaints(messages: &OwnedFd) -> String {
    let mut buffer = [0; 4096];
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match read(messages, rest) {
            Err(Errno::EINTR) => {}
            Err(_) | Ok(0) => break,
            Ok(more) => length += more,
        }
    }
    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
    let lines = text.lines().map(|line| line.trim_start_matches("fusermount3: ").trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Unmounts through the helper, lazily; a failure is logged.
pub fn unmount(path: &CStr) {
    let reason = match run(&[NAME, c"-u", c"-q", c"-z", c"--", path]) {
        // The helper, told to be quiet, does not say why.
        Ok(Some(false)) => "it refused".to_owned(),
        Ok(_) => return,
        Err(failure) => failure.reason,
    };
    log::error!("cannot unmount {} through fusermount3: {reason}", path.to_string_lossy());
}

/// Lets the helper write its version to stdout; a failure is logged.
pub fn print_version() {
    match run(&[NAME, c"--version"]) {
        Ok(Some(false)) => log::error!("'fusermount3 --version' failed"),
        Ok(_) => {}
        Err(failure) => log::error!("cannot ask fusermount3 for its version: {}", failure.reason),
    }
}

/// Runs the helper to its end, with our standard streams, and says whether it reports success, if that is known.
fn run(args: &[&CStr]) -> Result<Option<bool>, Failure> {
    let files = PosixSpawnFileActions::init()?;
    let child = start(args, &process::environment(None)?, &files)?;
    Ok(process::wait(child))
}

/// A helper that unmounts when this is closed, which the death of the process does, too.
#[derive(Debug)]
pub struct Guard {
    socket: OwnedFd,
    child: Pid,
    /// Who started the helper: after a fork its number is that of someone else's child, or of no one.
    parent: Pid,
}

impl Guard {
    /// Lets the helper end, with the mount it guards gone already, and leaves no zombie if it is quick.
    pub fn dismiss(self) {
        // Not just closed: a process that was forked meanwhile may hold a copy.
        if shutdown(self.socket.as_raw_fd(), Shutdown::Write).is_err() || self.parent != Pid::this() {
            return;
        }
        let mut ended = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
        if matches!(poll(&mut ended, GOODBYE), Ok(1)) {
            process::wait(self.child);
        }
    }
}
