//! The daemon's own I/O functions, behind safe methods.

use super::channel::Splice;
use crate::abi::c::lowlevel::fuse_custom_io;
use core::ffi::c_void;
use nix::errno::Errno;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Functions that the daemon gave to fuse_session_custom_io(), and the session's userdata, which they are passed.
#[derive(Clone, Copy, Debug)]
pub struct CustomIo {
    functions: fuse_custom_io,
    userdata: *mut c_void,
}

// SAFETY: the functions and their userdata are the daemon's, which by the C interface's contract may be called from
// every thread of the session's loops.
unsafe impl Send for CustomIo {}
// SAFETY: as above.
unsafe impl Sync for CustomIo {}

impl CustomIo {
    /// Takes the functions; `read` and `writev` are required.
    pub fn new(functions: fuse_custom_io, userdata: *mut c_void) -> Result<Self, Errno> {
        if functions.read.is_none() || functions.writev.is_none() {
            return Err(Errno::EINVAL);
        }
        Ok(Self { functions, userdata })
    }

    /// Receives one message.
    pub(super) fn read(&self, fd: RawFd, buf: &mut [u8]) -> Result<usize, Errno> {
        let read = self.functions.read.ok_or(Errno::ENOSYS)?;
        // SAFETY: the pointer and length are those of a live mutable slice.
        let got = unsafe { read(fd, buf.as_mut_ptr().cast(), buf.len(), self.userdata) };
        // What lies beyond the buffer is not ours to read, whatever the function says.
        length(got).map(|n| n.min(buf.len()))
    }

    /// Sends one message.
    pub(super) fn writev(&self, fd: RawFd, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        let writev = self.functions.writev.ok_or(Errno::ENOSYS)?;
        let count = i32::try_from(parts.len()).map_err(|_| Errno::EINVAL)?;
        // SAFETY: IoSlice is guaranteed to be laid out as iovec; the function reads the pieces and keeps none.
        let sent = unsafe { writev(fd, parts.as_ptr().cast_mut().cast(), count, self.userdata) };
        length(sent).map(drop)
    }

    /// Whether messages can be received into a pipe.
    pub(super) fn splices_in(&self) -> bool {
        self.functions.splice_receive.is_some()
    }

    /// Whether messages can be sent from a pipe.
    pub(super) fn splices_out(&self) -> bool {
        self.functions.splice_send.is_some()
    }

    /// Receives one message of at most `len` bytes into a pipe.
    pub(super) fn splice_in(&self, fd: RawFd, pipe: BorrowedFd<'_>, len: usize) -> Result<usize, Errno> {
        let splice = self.functions.splice_receive.ok_or(Errno::ENOSYS)?;
        let nowhere = core::ptr::null_mut();
        // SAFETY: the function takes numbers, and no offsets.
        length(unsafe { splice(fd, nowhere, pipe.as_raw_fd(), nowhere, len, 0, self.userdata) })
    }

    /// Sends the message of `len` bytes that is in a pipe.
    pub(super) fn splice_out(&self, fd: RawFd, pipe: BorrowedFd<'_>, len: usize, how: Splice) -> Result<usize, Errno> {
        let splice = self.functions.splice_send.ok_or(Errno::ENOSYS)?;
        let nowhere = core::ptr::null_mut();
        // SAFETY: the function takes numbers, and no offsets.
        length(unsafe { splice(pipe.as_raw_fd(), nowhere, fd, nowhere, len, how.bits(), self.userdata) })
    }

    /// Another fd of the same connection, new and the caller's.
    pub(super) fn clone_fd(&self, master: RawFd) -> Result<RawFd, Errno> {
        let clone_fd = self.functions.clone_fd.ok_or(Errno::ENOTSUP)?;
        // SAFETY: the function takes a number.
        let fd = unsafe { clone_fd(master) };
        length(fd as isize).map(|_| fd)
    }
}

/// What an I/O function returned: a length, -1 with errno, or another negative number that is an errno itself. A failure
/// that names no errno is EIO.
fn length(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| failure(result))
}

#[cold]
fn failure(result: isize) -> Errno {
    let failed = match result {
        -1 => Errno::last(),
        n => Errno::from_raw(i32::try_from(n.unsigned_abs()).unwrap_or(0)),
    };
    if failed == Errno::UnknownErrno { Errno::EIO } else { failed }
}
