//! Requests in buffers that C owns.

use crate::abi::c::common::{FUSE_BUF_IS_FD, fuse_buf};
use crate::capi::common::buf::Scratch;
use crate::session::{Intake, Received, Session};
use crate::transport::{Channel, page_size};
use nix::errno::Errno;
use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Receives one request into `buf`, whose memory is allocated if there is none.
///
/// # Safety
/// `buf` is null or points to a buffer that is zeroed or from an earlier call.
pub unsafe fn receive(se: &Session, buf: *mut fuse_buf) -> Result<usize, Errno> {
    // SAFETY: the caller vouches for the buffer.
    let Some(buf) = (unsafe { buf.as_mut() }) else {
        log::error!("fuse_session_receive_buf: null pointer");
        return Err(Errno::EINVAL);
    };
    let size = se.buf_size();
    #[cfg(not(soname = "3"))]
    if !se.config().compat_file_info && !buf.mem.is_null() && (1..size).contains(&buf.mem_size) {
        // From a session that needed less.
        // SAFETY: the memory is from malloc(3), and nothing in it is needed any more.
        unsafe { libc::free(buf.mem) };
        buf.mem = core::ptr::null_mut();
    }
    if buf.mem.is_null() {
        // SAFETY: calloc either fails or gives `size` zeroed bytes.
        buf.mem = unsafe { libc::calloc(1, size) };
        if se.is_recoverable() && !buf.mem.is_null() {
            // Pages must be there when the kernel copies a request to them, see `Buffer::resident`.
            // SAFETY: each offset is within the `size` bytes.
            (0..size).step_by(page_size()).for_each(|at| unsafe { buf.mem.cast::<u8>().add(at).write_volatile(0) });
        }
        #[cfg(not(soname = "3"))]
        if !se.config().compat_file_info {
            buf.mem_size = if buf.mem.is_null() { 0 } else { size };
        }
    }
    if buf.mem.is_null() {
        log::error!("no memory for a buffer of {size} bytes");
        return Err(Errno::ENOMEM);
    }
    // SAFETY: the memory has `size` bytes at least, which are initialised.
    let memory = unsafe { core::slice::from_raw_parts_mut(buf.mem.cast::<u8>(), size) };
    match with_intake(|intake| {
        let received = se.receive_one(intake, memory)?;
        Ok((received, intake.reader().map_or(-1, |pipe| pipe.as_raw_fd())))
    })? {
        (Received::Ended, _) => (buf.size, buf.flags) = (0, 0),
        (Received::InMemory(size), _) => (buf.size, buf.flags) = (size, 0),
        (Received::Piped(size), fd) => (buf.size, buf.flags, buf.fd) = (size, FUSE_BUF_IS_FD, fd),
    }
    Ok(buf.size)
}

thread_local! {
    /// The intake of a loop of the daemon's own; its pipe is closed when the thread ends.
    static INTAKE: Cell<Intake> = Cell::default();
}

/// Lends the calling thread's intake to `f`.
fn with_intake<R>(f: impl FnOnce(&mut Intake) -> R) -> R {
    // One that is ending, or receives already, has none left: a new one has no pipe, so nothing is lost with it.
    let mut intake = INTAKE.try_with(Cell::take).unwrap_or_default();
    let result = f(&mut intake);
    let _ = INTAKE.try_with(|own| own.set(intake));
    result
}

/// Serves the request in `buf`.
///
/// # Safety
/// `buf` is null or holds what it states.
pub unsafe fn process(se: &Session, buf: *const fuse_buf) {
    // SAFETY: the caller vouches for the buffer.
    let Some(buf) = (unsafe { buf.as_ref() }).filter(|buf| !buf.mem.is_null() || buf.flags & FUSE_BUF_IS_FD != 0)
    else {
        return complain("null pointer");
    };
    let Ok(channel) = se.channel() else {
        return complain("the session is neither mounted nor connected");
    };
    if buf.flags & FUSE_BUF_IS_FD == 0 {
        // SAFETY: the caller vouches for `size` bytes.
        return se.process(channel, unsafe { core::slice::from_raw_parts(buf.mem.cast(), buf.size) });
    }
    // SAFETY: as above.
    unsafe { process_piped(se, channel, buf.fd, buf.size) };
}

#[cold]
fn complain(what: &str) {
    log::error!("fuse_session_process_buf: {what}");
}

/// Serves a request of `size` bytes in a pipe. Apart, so that one in memory does not pay for what this needs.
///
/// # Safety
/// `fd` stays open during the call.
#[inline(never)]
unsafe fn process_piped(se: &Session, channel: &Channel, fd: RawFd, size: usize) {
    if fd < 0 {
        return log::error!("fuse_session_process_buf: {fd} is no file descriptor");
    }
    // Without, the request is refused.
    let mut memory = Scratch::new(size).ok();
    // SAFETY: the caller vouches for the fd, which stays open during the call.
    let pipe = unsafe { BorrowedFd::borrow_raw(fd) };
    let worth = se.process_piped(channel, pipe, size, memory.as_mut().map_or(&mut [], Scratch::bytes));
    with_intake(|intake| {
        if intake.reader().is_some_and(|own| own.as_raw_fd() == fd) {
            intake.settle(se, worth);
        }
    });
}
