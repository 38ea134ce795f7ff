//! Files that the kernel reads and writes by itself. Only since 3.17, so not in so.3.

use super::attach::id_or_0;
use crate::abi::c::lowlevel::fuse_req_t;
use crate::dispatch::with_session;
use crate::session::Session;
use core::ffi::c_int;
use nix::errno::Errno;

/// Asks the device of a request's session, and logs a failure with what it is about.
fn ask<T>(
    req: fuse_req_t,
    function: &str,
    about: impl core::fmt::Display,
    f: impl FnOnce(&Session) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let answer = with_session(req, function, f).ok_or(Errno::EINVAL)?;
    answer.inspect_err(|errno| log::error!("{function}: {about}: {}", errno.desc()))
}

/// Registers an open file as one that the kernel may read and write by itself. For open and create: the id goes into
/// `backing_id` of the struct fuse_file_info that is replied.
///
/// - `fd`: the file, regular; still the caller's, and not needed any more afterwards. The kernel opens it again with
///   the credentials of the calling thread, each time that the id is used.
///
/// All opens of one inode at one time must name the same id. May be called on any thread until the reply.
/// Returns the id, greater than 0, or 0 with errno after a log line: EPERM without CAP_SYS_ADMIN, or when
/// FUSE_CAP_PASSTHROUGH is not in force, which FUSE_CAP_WRITEBACK_CACHE excludes; EBADF, EISDIR, EINVAL for a file
/// that cannot serve; ELOOP for one on a file system that is stacked too deep. Since libfuse 3.17, kernel 6.9.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_passthrough_open(req: fuse_req_t, fd: c_int) -> c_int {
    let about = format_args!("file descriptor {fd}");
    id_or_0(ask(req, "fuse_passthrough_open", about, |se| se.device_end()?.open_backing(fd)))
}
symver!(fuse_passthrough_open, "FUSE_3.17");

/// Takes a backing id back: no further open can name it. Files that are open with it stay so.
///
/// - `req`: any request of the session, not replied to yet.
/// - `backing_id`: from fuse_passthrough_open(), of any request of the session.
///
/// May be called on any thread. Returns 0, or -1 with errno after a log line: ENOENT for an id that is not in use,
/// EPERM without CAP_SYS_ADMIN. Since libfuse 3.17, kernel 6.9.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_passthrough_close(req: fuse_req_t, backing_id: c_int) -> c_int {
    let about = format_args!("backing id {backing_id}");
    let closed = ask(req, "fuse_passthrough_close", about, |se| se.device_end()?.close_backing(backing_id));
    crate::capi::result::ToC::status(closed)
}
symver!(fuse_passthrough_close, "FUSE_3.17");
