//! Pipes of the library's own, through which messages are spliced from and to the device.
//!
//! Whoever uses a pipe owns it, and hands it on only when it is known to be empty: one that may hold bytes of a message
//! is dropped, so that they never become part of another. A pipe that cannot be made or made large enough is no error:
//! the message is copied then.

mod outgoing;

pub use outgoing::Outgoing;

use super::fork::Made;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// A pipe, both ends of it: close-on-exec and non-blocking, since nobody else reads what would have to be waited for.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    /// Bytes that fit, in whole pages.
    room: usize,
    /// The least that the system was asked for in vain.
    refused: usize,
    made: Made,
}

impl Pipe {
    /// An empty pipe of the system's usual size.
    pub fn new() -> Result<Self, Errno> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Self { reader, writer, room: 0, refused: usize::MAX, made: Made::now() })
    }

    /// Makes room for `bytes`, each piece of them counted in whole pages; false when the system does not allow that much
    /// (/proc/sys/fs/pipe-max-size and the limits of the user).
    pub fn reserve(&mut self, bytes: usize) -> bool {
        if self.room == 0 {
            self.room = fcntl(&self.writer, FcntlArg::F_GETPIPE_SZ).map_or(0, i32::unsigned_abs) as usize;
        }
        if bytes <= self.room {
            return true;
        }
        if bytes >= self.refused {
            return false;
        }
        let grown = i32::try_from(bytes).map_err(|_| Errno::EINVAL);
        match grown.and_then(|size| fcntl(&self.writer, FcntlArg::F_SETPIPE_SZ(size))) {
            Ok(room) => self.room = room.unsigned_abs() as usize,
            Err(_) => self.refused = bytes,
        }
        bytes <= self.room
    }

    /// Whether another process may have it, too: then it is not to be used any more.
    pub fn is_shared(&self) -> bool {
        self.made.is_shared()
    }

    /// The end to read from.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// The end to write to.
    pub fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        let mut waiting = 0;
        // SAFETY: FIONREAD stores one int, which outlives the call.
        let asked = unsafe { libc::ioctl(self.reader.as_raw_fd(), libc::FIONREAD, &raw mut waiting) };
        asked == 0 && waiting == 0
    }
}

/// Where the daemon copied a large amount of data last: one of these.
static COPIED_TO: AtomicU8 = AtomicU8::new(NOWHERE);
const NOWHERE: u8 = 0;
const MEMORY: u8 = 1;
const FILE: u8 = 2;

/// The daemon has copied a large amount of data to a file, or to memory.
pub fn note_copied(to_file: bool) {
    let to = if to_file { FILE } else { MEMORY };
    if COPIED_TO.load(Ordering::Relaxed) != to {
        COPIED_TO.store(to, Ordering::Relaxed);
    }
}

/// Whether what the daemon copied last went to a file; none before it did so.
pub fn passes_on() -> Option<bool> {
    let to = COPIED_TO.load(Ordering::Relaxed);
    (to != NOWHERE).then_some(to == FILE)
}

/// Reads as many bytes from a pipe as `into` has room for; what is shorter than that has ended early.
pub fn read_full(pipe: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match read(pipe, rest) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::EINTR) => {}
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}
