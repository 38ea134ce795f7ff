//! Our own: backing ids that the library keeps, one for each inode.
//!
//! In so.3 nothing ever offers passthrough: the programs that run on it have a `struct fuse_file_info` without a place
//! for a backing id, and speak a protocol version from before it.

use crate::abi::c::common::{FUSE_PASSTHROUGH_KILLPRIV, fi, fuse_conn_info, fuse_file_info, fuse_session};
use crate::abi::c::lowlevel::{fuse_ino_t, fuse_req_t};
use crate::capi::lowlevel::session::with_session;
use crate::capi::result::ToC;
use crate::dispatch;
use crate::session::{Session, wants};
use core::ffi::c_int;
use nix::errno::Errno;

/// Enables passthrough: with it, fuse_passthrough_attach() lets the kernel read and write files by itself. For the init
/// callback.
///
/// Wants FUSE_CAP_PASSTHROUGH and no FUSE_CAP_WRITEBACK_CACHE, with which the kernel would drop it without a word. Must
/// come after whatever else changes these, such as fuse_apply_conn_info_opts(). One log line says whether the kernel
/// agreed; fuse_session_passthrough_status() says so to the daemon.
///
/// - `conn`: what the callback got.
/// - `stack_depth`: how many file systems may lie on each other, this one included. 1: backing files are on plain file
///   systems. 2: they may be on one that is stacked itself, such as overlayfs, but nothing can be stacked on this one.
/// - `flags`: 0, or FUSE_PASSTHROUGH_KILLPRIV.
///
/// Returns 0, or a negative errno, and the daemon goes on without passthrough: -EOPNOTSUPP when the kernel does not
/// offer it, and always in libfuse3.so.3; -EINVAL after a log line for arguments that cannot be, or outside of the init
/// callback. Since fusewire 1.0,
/// kernel 6.9.
///
/// # Safety
/// `conn` is null or what the init callback got.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_enable_passthrough(
    conn: *mut fuse_conn_info,
    stack_depth: u32,
    flags: u32,
) -> c_int {
    const FUNCTION: &str = "fuse_session_enable_passthrough";
    // SAFETY: the caller vouches for the struct.
    let Some(conn) = (unsafe { conn.as_mut() }) else {
        log::error!("{FUNCTION}: null pointer");
        return Err(Errno::EINVAL).code();
    };
    if flags & !FUSE_PASSTHROUGH_KILLPRIV != 0 {
        log::error!("{FUNCTION}: unknown flags {flags:#x}");
        return Err(Errno::EINVAL).code();
    }
    wants::enable_passthrough(conn, stack_depth, flags & FUSE_PASSTHROUGH_KILLPRIV != 0).code()
}
symver!(fuse_session_enable_passthrough, "FUSEWIRE_1.0");

/// Whether passthrough is on, and why not.
///
/// - `se`: the session.
///
/// May be called on any thread. Returns 0 when it is on, else a negative errno: -ENOTCONN when the init callback did not
/// enable it, -EAGAIN as long as INIT is not answered, -EOPNOTSUPP when the kernel does not offer it, -EPERM when the
/// daemon has no CAP_SYS_ADMIN in the initial user namespace, -EBUSY when FUSE_CAP_WRITEBACK_CACHE was wanted after it,
/// -EINVAL for a null pointer. Since fusewire 1.0.
///
/// # Safety
/// `se` is null or a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_passthrough_status(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, |se| se.passthrough_status().result()) }.unwrap_or(Err(Errno::EINVAL)).code()
}
symver!(fuse_session_passthrough_status, "FUSEWIRE_1.0");

/// Makes the open that a request asks for a passthrough open: the kernel reads, writes and maps the file by itself, in
/// the backing file. For open, create and tmpfile, before the reply.
///
/// All passthrough opens of an inode share one backing id: the first one makes it, the last release closes it. Nothing
/// is to be undone: an open that ends with an error, or whose reply the kernel does not want any more, is given back by
/// itself.
///
/// - `req`: the request.
/// - `ino`: the inode that it opens, or makes.
/// - `fd`: the backing file, open; only looked at by the first open of the inode, still the caller's, and not needed
///   afterwards. The kernel opens the file anew for each open, as the calling thread without its CAP_FSETID, so that
///   writes clear set-user-ID and set-group-ID bits.
/// - `fi`: what the callback got. `backing_id` is set, `keep_cache` cleared, `cache_readdir` and `nonseekable` too: the
///   kernel refuses them together. With `direct_io`, reads and writes still come to the daemon, and mmap does not.
///
/// May be called on any thread, also for the same inode at the same time. Returns 0, or a negative errno with
/// `backing_id` 0. Then reply as if there were no passthrough: should the inode have a passthrough open by then, the
/// library makes this one alike. -EBUSY: the inode is open without passthrough, which excludes it until that is
/// released; without a log line. Others: as fuse_session_passthrough_status() when passthrough is off, without a line,
/// unless a predecessor's files are open by an id of the inode, which this open then shares;
/// -EPERM, -ELOOP (the file system of `fd` is stacked too deep), -EBADF, -EISDIR, -EINVAL (not a regular file), -EMFILE
/// and what else the kernel says, with one line for each kind in a session; -ENOTSUP, with a line, in a child that a
/// callback forked, which must not open files either, see struct fuse_lowlevel_ops; -EINVAL after a log line for a
/// request that opens no file, another inode, or is not in flight. Since fusewire 1.0, kernel 6.9.
///
/// # Safety
/// `fi` is null or points to a struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_passthrough_attach(
    req: fuse_req_t,
    ino: fuse_ino_t,
    fd: c_int,
    fi: *mut fuse_file_info,
) -> c_int {
    if fi.is_null() {
        log::error!("fuse_passthrough_attach: null pointer");
        return Err(Errno::EINVAL).code();
    }
    let attached = dispatch::attach(req, ino, fd);
    // SAFETY: the caller vouches for the struct; these members are within the 40 bytes that every program has.
    unsafe {
        (*fi).backing_id = *attached.as_ref().unwrap_or(&0);
        if attached.is_ok() {
            (*fi).bits &= !(fi::KEEP_CACHE | fi::CACHE_READDIR | fi::NONSEEKABLE);
        }
    }
    attached.map(drop).code()
}
symver!(fuse_passthrough_attach, "FUSEWIRE_1.0");

/// Gives the passthrough open that a request holds back now, instead of at the request's end.
///
/// In release: what the file held. With the last one the inode's backing id is closed. Not calling it is no mistake: the
/// reply to the release does the same. Before the reply to open, create or tmpfile: what fuse_passthrough_attach() made;
/// the open then goes on without passthrough.
///
/// - `req`: the request.
/// - `ino`: the inode.
/// - `fi`: what the callback got; `backing_id` is cleared.
///
/// May be called on any thread. Returns 0; -ENOENT when the request holds no open of the inode (any more), which does no
/// harm; -EINVAL after a log line for a null pointer or a request that is not in flight. Since fusewire 1.0.
///
/// # Safety
/// `fi` is null or points to a struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_passthrough_detach(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info) -> c_int {
    if fi.is_null() {
        log::error!("fuse_passthrough_detach: null pointer");
        return Err(Errno::EINVAL).code();
    }
    // SAFETY: the caller vouches for the struct; the member is within the 40 bytes that every program has.
    unsafe { (*fi).backing_id = 0 };
    dispatch::detach(req, ino).code()
}
symver!(fuse_passthrough_detach, "FUSEWIRE_1.0");

/// Asks the device of a session, and logs a failure with what it is about.
///
/// # Safety
/// `se` is null or a session.
unsafe fn ask<T>(
    se: *mut fuse_session,
    function: &str,
    about: impl core::fmt::Display,
    f: impl FnOnce(&Session) -> Result<T, Errno>,
) -> Result<T, Errno> {
    // SAFETY: the caller vouches for the session.
    let answer = unsafe { with_session(se, f) }.unwrap_or(Err(Errno::EINVAL));
    answer.inspect_err(|errno| log::error!("{function}: {about}: {}", errno.desc()))
}

/// An id, or 0 with errno set.
pub(super) fn id_or_0(id: Result<c_int, Errno>) -> c_int {
    id.unwrap_or_else(|errno| {
        errno.set();
        0
    })
}

/// As fuse_passthrough_open(), without a request: for files that are registered before they are opened.
///
/// - `se`: the session, INIT answered.
/// - `fd`: the file, regular; still the caller's, and not needed any more afterwards. The kernel opens it again for each
///   use of the id, as the calling thread without its CAP_FSETID.
///
/// The id is the caller's to close. Do not mix it with fuse_passthrough_attach() on one inode. May be called on any
/// thread. Returns the id, greater than 0, or 0 with errno after a log line, as fuse_passthrough_open() does; ENOTCONN
/// before the mount, EINVAL for a null pointer. Since fusewire 1.0, kernel 6.9.
///
/// # Safety
/// `se` is null or a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_passthrough_open(se: *mut fuse_session, fd: c_int) -> c_int {
    let about = format_args!("file descriptor {fd}");
    // SAFETY: as the caller vouches.
    let id = unsafe { ask(se, "fuse_session_passthrough_open", about, |se| se.open_backing_for_others(fd)) };
    id_or_0(id)
}
symver!(fuse_session_passthrough_open, "FUSEWIRE_1.0");

/// As fuse_passthrough_close(), without a request.
///
/// - `se`: the session.
/// - `backing_id`: from fuse_session_passthrough_open() or fuse_passthrough_open().
///
/// May be called on any thread. Returns 0, or -1 with errno after a log line: ENOENT for an id that is not in use,
/// EINVAL for one that is not greater than 0 or a null pointer, EPERM without CAP_SYS_ADMIN. Since fusewire 1.0, kernel
/// 6.9.
///
/// # Safety
/// `se` is null or a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_passthrough_close(se: *mut fuse_session, backing_id: c_int) -> c_int {
    let about = format_args!("backing id {backing_id}");
    // SAFETY: as the caller vouches.
    unsafe { ask(se, "fuse_session_passthrough_close", about, |se| se.device_end()?.close_backing(backing_id)) }
        .status()
}
symver!(fuse_session_passthrough_close, "FUSEWIRE_1.0");
