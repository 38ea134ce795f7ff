//! Our own: daemons that are replaced under a live mount.

use crate::abi::c::common::fuse_session;
use crate::abi::c::lowlevel::{fuse_req_t, fuse_resend_ops};
use crate::abi::wire::UNIQUE_RESEND;
use crate::capi::lowlevel::session::with_session;
use crate::capi::result::ToC;
use crate::dispatch::{ResendHooks, find, with_kept};
use crate::session::Session;
use crate::transport::fd;
use core::ffi::{c_int, c_uint, c_void};
use nix::errno::Errno;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::time::Duration;

/// Lends a session to `f`; EINVAL without one.
///
/// # Safety
/// `se` is null or a session.
unsafe fn with<T>(se: *mut fuse_session, f: impl FnOnce(&Session) -> Result<T, Errno>) -> Result<T, Errno> {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, f) }.unwrap_or(Err(Errno::EINVAL))
}

/// A number for C, or a negative errno.
fn number(result: Result<usize, Errno>) -> c_int {
    result.map_or_else(|errno| -(errno as c_int), |n| c_int::try_from(n).unwrap_or(c_int::MAX))
}

/// Declares that the daemon can be replaced under its mount: it keeps nothing that a request needs in its own memory, and
/// its nodeids and file handles mean the same to another process of it.
///
/// Under `fusewire-keep`, or a service manager that keeps file descriptors, fuse_session_mount() then takes over the mount
/// of a predecessor if there is one; else it mounts and has device and state kept. Without either, whoever wants to
/// replace the daemon gets the state by fuse_session_save_state() and gives it to fuse_session_restore_state(); without
/// somebody who keeps clones of the device, clone_fd is not used then.
///
/// In a successor the init callback runs within fuse_session_mount() or fuse_session_restore_state(), not in the loop.
/// Threads that it starts do not survive a fork: daemonize before, by fuse_daemonize_early_start() for instance, or start
/// them later.
///
/// - `se`: a session that is not mounted yet.
/// - `node_bytes`: most bytes of a node's name, see fuse_node_get(); 0 for a daemon that has nodeids of its own, which must
///   be stable. 4096 at most.
///
/// Returns 0, or a negative errno after a log line: -EINVAL for other sizes, and with the mount option auto_unmount, which
/// unmounts when the process dies; -EBUSY for a session that is mounted or was declared already. Programs call it from one
/// thread. Since fusewire 1.0; works best from Linux 6.9 on, see fuse_session_has_resend().
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_set_recoverable(se: *mut fuse_session, node_bytes: usize) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { with(se, |se| se.declare_recoverable(node_bytes)) }.code()
}
symver!(fuse_session_set_recoverable, "FUSEWIRE_1.0");

/// The state of a recoverable session, for fuse_session_restore_state() of a successor.
///
/// It is memory that the session keeps up to date from the mount on, whole at every instant: an fd of it may be taken at
/// any time and stays right. May be called on any thread.
///
/// - `se`: the session.
///
/// Returns a new fd of that memory, close-on-exec, the caller's to close; else -ENOTSUP when the session was not declared
/// recoverable, -ENOTCONN when it is not mounted, or another negative errno. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_save_state(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    let fd = unsafe { with(se, Session::save_state) };
    fd.map_or_else(|errno| -(errno as c_int), OwnedFd::into_raw_fd)
}
symver!(fuse_session_save_state, "FUSEWIRE_1.0");

/// Takes over the mount of a predecessor, in the place of fuse_session_mount().
///
/// Checks that state and device belong together, calls the init callback with what the kernel offered the predecessor, has
/// the kernel send again what was in flight, and puts that in the order of its age for the loop that follows. The
/// predecessor must be gone, or have called fuse_session_detach(): nobody else can serve from the state.
///
/// init runs on the calling thread, before this returns, where a first process has it run by the loop. Threads that init
/// starts do not survive a fork: daemonize before, not by a fuse_daemonize() that follows.
///
/// - `se`: a session that was declared recoverable as its predecessor was, with the same mount options.
/// - `state_fd`: from fuse_session_save_state().
/// - `device_fd`: the device, what fuse_session_fd() said in the predecessor.
///
/// On success both are the session's; else they stay the caller's. Returns 0, or a negative errno after a log line
/// that says what is wrong, and nothing is served: -EBUSY when another process serves from the state, -EBADMSG when it is
/// damaged, -EPROTO when it is of another version, other options, or the init callback now asks for other things, -ESTALE
/// when the device is another connection's, -ENOTCONN when it is not mounted any more, -EPERM when another user mounted,
/// -ENOTSUP without fuse_session_set_recoverable(). Programs call it from one thread. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_restore_state(se: *mut fuse_session, state_fd: c_int, device_fd: c_int) -> c_int {
    let restore = |se: &Session| {
        let duplicate = |number: c_int| {
            fd::duplicate(number).inspect_err(|errno| {
                log::error!("fuse_session_restore_state: file descriptor {number}: {}", errno.desc());
            })
        };
        se.restore(duplicate(state_fd)?, duplicate(device_fd)?)?;
        // The session has its own of each.
        [state_fd, device_fd].into_iter().filter_map(fd::own).for_each(drop);
        Ok(())
    };
    // SAFETY: the caller vouches for the session.
    unsafe { with(se, restore) }.code()
}
symver!(fuse_session_restore_state, "FUSEWIRE_1.0");

/// Gives the connection up without unmounting, for a planned replacement: the mount lives on, and what is in flight is
/// the successor's to answer. The destroy callback is not called.
///
/// Loops that are running, or paused, end. What they have just received that has no reply, such as a forget, is done
/// before, if that takes less than 0.1 s. Requests that the daemon still holds become stale. What is left is
/// fuse_session_destroy(); fuse_session_unmount() does nothing any more.
///
/// - `se`: a recoverable session, preferably after fuse_session_pause().
///
/// Returns 0, -ENOTSUP when it was not declared recoverable, -ENOTCONN when it is not mounted. May be called on any thread
/// but in a callback. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_detach(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { with(se, Session::detach_connection) }.code()
}
symver!(fuse_session_detach, "FUSEWIRE_1.0");

/// Stops receiving requests and waits for those in flight. Applications wait meanwhile.
///
/// - `se`: a session that is mounted.
/// - `timeout_ms`: how long to wait, in milliseconds.
///
/// Returns how many requests are left, 0 when all were answered: the loops wait then, until fuse_session_resume(), an exit
/// or fuse_session_detach(). A negative errno: -ENOTCONN when the session is not mounted, -ENOTSUP with I/O functions of
/// the daemon's own (fuse_session_custom_io()). While it is paused, fuse_session_receive_buf() returns -EAGAIN. A request
/// that it returned before and that fuse_session_process_buf() was not called with yet is not counted: a loop of the
/// daemon's own must not be between the two when it is paused. May be called on any thread; one that serves a request waits
/// for itself, as long as it may. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_pause(se: *mut fuse_session, timeout_ms: c_uint) -> c_int {
    // SAFETY: the caller vouches for the session.
    number(unsafe { with(se, |se| se.pause(Duration::from_millis(timeout_ms.into()))) })
}
symver!(fuse_session_pause, "FUSEWIRE_1.0");

/// Goes on after fuse_session_pause(). A device that the daemon made non-blocking before it stays so.
///
/// - `se`: the session.
///
/// Returns 0, or -ENOTCONN when it is not mounted. May be called on any thread. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_resume(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { with(se, Session::resume) }.code()
}
symver!(fuse_session_resume, "FUSEWIRE_1.0");

/// Has the kernel send again every request that was read from the connection and not answered. They come with
/// FUSE_REQ_RESEND, before all others but in no order; replies under their old number fail with -ENOENT.
///
/// fuse_session_restore_state() does that by itself. A process that calls it while it still holds requests gets them twice.
///
/// - `se`: the session.
///
/// Returns 0, -ENOSYS when fuse_session_has_resend() says 0, or another negative errno of the kernel's. May be called on any
/// thread. Since fusewire 1.0, Linux 6.9.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_resend(se: *mut fuse_session) -> c_int {
    let resend = |se: &Session| match se.has_resend() {
        true => se.ask_for_resend(),
        false => Err(Errno::ENOSYS),
    };
    // SAFETY: the caller vouches for the session.
    unsafe { with(se, resend) }.code()
}
symver!(fuse_lowlevel_notify_resend, "FUSEWIRE_1.0");

/// Whether the kernel can send requests again: 1 if it said so in INIT, else 0, and before INIT. Where it cannot, a
/// successor answers requests in flight from the journal, or with EIO. May be called on any thread. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_has_resend(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, Session::has_resend) }.unwrap_or(false).into()
}
symver!(fuse_session_has_resend, "FUSEWIRE_1.0");

/// Whether the kernel sent the request before: 1 if so, else 0. fuse_req_flags() says the same by FUSE_REQ_RESEND.
///
/// 0 after a log line when the request is not in flight. May be called on any thread until the reply. Since fusewire 1.0,
/// Linux 6.9.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_is_resend(req: fuse_req_t) -> c_int {
    find(req, "fuse_req_is_resend").is_some_and(|(slot, _)| slot.unique() & UNIQUE_RESEND != 0).into()
}
symver!(fuse_req_is_resend, "FUSEWIRE_1.0");

/// Says what is to become of requests that are sent once more.
///
/// - `se`: a session, before fuse_session_mount() or fuse_session_restore_state().
/// - `ops`: the functions, copied.
///
/// Returns 0; -EINVAL after a log line for a null pointer or a size that cannot be; -EBUSY when it was called before.
/// Programs call it from one thread. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session, `ops` points to as many bytes as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_set_resend_ops(se: *mut fuse_session, ops: *const fuse_resend_ops) -> c_int {
    // SAFETY: the caller vouches for the struct, which has its size in any version.
    let size = if ops.is_null() { 0 } else { unsafe { (&raw const (*ops).size).read() } };
    if size < size_of::<usize>() {
        log::error!("fuse_session_set_resend_ops: no functions are given, or they have no size");
        return Err(Errno::EINVAL).code();
    }
    let mut known = fuse_resend_ops { size, classify: None, drained: None };
    // Whole members only: a part of an address cannot be called.
    let bytes = size.min(size_of::<fuse_resend_ops>()) / size_of::<usize>() * size_of::<usize>();
    // SAFETY: the caller vouches for `size` bytes; the target is as large as `bytes` at least, its members functions.
    unsafe { core::ptr::copy_nonoverlapping(ops.cast::<u8>(), (&raw mut known).cast::<u8>(), bytes) };
    // SAFETY: the caller vouches for the session.
    unsafe { with(se, |se| se.set_resend_hooks(Box::new(ResendHooks::new(known, se.userdata())))) }.code()
}
symver!(fuse_session_set_resend_ops, "FUSEWIRE_1.0");

/// Notes something with a request, for a successor that gets it once more: what the daemon is about to do, so that the
/// successor can tell whether it was done. To be called before that; no system call is made.
///
/// - `req`: a request of a recoverable session.
/// - `cookie`: `len` bytes, copied; 48 at most. A later call replaces them.
///
/// Returns 0; -ENOTSUP when the session is not recoverable; -EMSGSIZE when there are too many bytes; -EINVAL after a log
/// line when the request is not in flight. May be called on any thread until the reply. Since fusewire 1.0.
///
/// # Safety
/// `cookie` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_req_journal(req: fuse_req_t, cookie: *const c_void, len: usize) -> c_int {
    if len > crate::recovery::journal::COOKIE_BYTES {
        return Err(Errno::EMSGSIZE).code();
    }
    // SAFETY: the caller vouches for `len` bytes.
    let bytes = if len == 0 { &[] } else { unsafe { core::slice::from_raw_parts(cookie.cast::<u8>(), len) } };
    let note = with_kept(req, "fuse_req_journal", |state, slot| state.journal.set_cookie(slot.index(), bytes));
    note.and_then(|noted| if noted { Ok(()) } else { Err(Errno::ENOMEM) }).code()
}
symver!(fuse_req_journal, "FUSEWIRE_1.0");

/// What a predecessor noted with a request that is sent once more, by fuse_req_journal().
///
/// - `req`: a request of a recoverable session.
/// - `cookie`: room for `size` bytes; may be NULL where `size` is 0.
///
/// Returns how many bytes were noted, of which no more than `size` are copied; 0 when nothing was, and for a request that
/// comes for the first time; -ENOTSUP when the session is not recoverable; -EINVAL after a log line when the request is
/// not in flight. May be called on any thread until the reply. Since fusewire 1.0.
///
/// # Safety
/// `cookie` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_req_journaled(req: fuse_req_t, cookie: *mut c_void, size: usize) -> c_int {
    let noted = with_kept(req, "fuse_req_journaled", |state, slot| state.inherited_cookie(slot.unique()));
    let copy = |bytes: Vec<u8>| {
        let size = if cookie.is_null() { 0 } else { bytes.len().min(size) };
        // SAFETY: the caller vouches for the room.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), cookie.cast::<u8>(), size) };
        bytes.len()
    };
    number(noted.map(|noted| noted.map_or(0, copy)))
}
symver!(fuse_req_journaled, "FUSEWIRE_1.0");
