//! Sessions.

use super::options::Options;
#[cfg(not(soname = "3"))]
use crate::abi::c::common::libfuse_version;
use crate::abi::c::common::{fuse_buf, fuse_session};
use crate::abi::c::lowlevel::{fuse_custom_io, fuse_lowlevel_ops};
use crate::abi::c::opt::fuse_args;
use crate::capi::common::version;
use crate::capi::log;
use crate::capi::opt::args;
use crate::capi::result::ToC;
use crate::dispatch::CTable;
use crate::opt::Args;
use crate::session::{Config, Handler, Kind, Session};
use crate::transport::CustomIo;
use core::ffi::{CStr, c_char, c_int, c_void};
use nix::errno::Errno;
use std::sync::Arc;

/// Lends a session from C to `f`; a null pointer is a log line and none.
///
/// # Safety
/// `se` is null or a session that exists until the call returns.
pub unsafe fn with_session<R>(se: *const fuse_session, f: impl FnOnce(&Session) -> R) -> Option<R> {
    // SAFETY: the caller vouches for the session, which `into_c` made of an Arc.
    let session = unsafe { se.cast::<Session>().as_ref() };
    if session.is_none() {
        // There may never have been a session that did so.
        log::install();
        ::log::error!("the session is a null pointer");
    }
    session.map(f)
}

/// What a session is made of, besides its arguments.
pub struct Plan {
    /// What it serves.
    pub kind: Kind,
    /// Who answers.
    pub handler: Box<dyn Handler>,
    /// The daemon's pointer.
    pub userdata: *mut c_void,
    /// The program was built before 3.17, see [`Config`].
    pub compat: bool,
}

/// Makes a session, and takes its options out of the list, in which only the program's name stays.
pub fn make(list: &mut Args, plan: Plan) -> Result<Arc<Session>, Errno> {
    if list.program().is_none() {
        ::log::error!("a session's argument list is empty, not even the program's name is there");
        return Err(Errno::EINVAL);
    }
    let options = Options::take(list)?;
    if options.debug {
        let (libfuse, own) = (version::TEXT.to_string_lossy(), env!("CARGO_PKG_VERSION"));
        ::log::debug!("FUSE library version: {libfuse} (fusewire {own})");
    }
    let config = Config {
        debug: options.debug,
        deny_others: options.mount.allow_root(),
        max_read: options.mount.max_read().unwrap_or(0),
        compat_file_info: plan.compat,
        io_uring: options.io_uring.depth(),
        busy_poll: options.busy_poll,
        userdata: plan.userdata.expose_provenance(),
    };
    Ok(Session::new(config, plan.kind, plan.handler, options.mount))
}

/// Makes a session of what C passed.
///
/// # Safety
/// `arguments` points to an argument list.
pub unsafe fn create(arguments: *mut fuse_args, plan: Plan) -> Result<*mut fuse_session, Errno> {
    // SAFETY: the caller vouches for the list.
    let mut list = unsafe { args::read(arguments) }?;
    let session = make(&mut list, plan)?;
    // SAFETY: as above.
    unsafe { args::write_back(arguments, &list) }?;
    Ok(into_c(session))
}

/// Gives a session to C, which frees it with fuse_session_destroy().
pub fn into_c(session: Arc<Session>) -> *mut fuse_session {
    Arc::into_raw(session).cast_mut().cast()
}

/// As [`create`], for a file system.
///
/// # Safety
/// `arguments` points to an argument list; `op` is null or points to `op_size` bytes.
unsafe fn create_file_system(
    arguments: *mut fuse_args,
    op: *const fuse_lowlevel_ops,
    op_size: usize,
    userdata: *mut c_void,
    compat: bool,
) -> Result<*mut fuse_session, Errno> {
    log::install();
    // SAFETY: the caller vouches for the operations.
    let handler = Box::new(unsafe { CTable::new(op, op_size, userdata) });
    // SAFETY: the caller vouches for the list.
    unsafe { create(arguments, Plan { kind: Kind::FileSystem, handler, userdata, compat }) }
}

/// Whether a program was built with headers before 3.17: no version stands for that, too.
///
/// # Safety
/// `version` is null or points to a struct.
#[cfg(not(soname = "3"))]
pub unsafe fn is_compat(version: *const libfuse_version) -> bool {
    // SAFETY: the caller vouches for the version.
    unsafe { version.as_ref() }.is_none_or(|v| (v.major, v.minor) < (3, 17))
}

/// A session, or NULL with errno set.
pub fn or_null(result: Result<*mut fuse_session, Errno>) -> *mut fuse_session {
    result.unwrap_or_else(|errno| {
        errno.set();
        core::ptr::null_mut()
    })
}

/// Makes a session for a program built with headers before 3.17: its `struct fuse_file_info` has 40 bytes.
///
/// `args`: the arguments that fuse_parse_cmdline() left: mount options and `-d`; each must be known. The list is
/// changed. `op`: the callbacks, `op_size` bytes of them, copied; members behind that are absent. `userdata`: passed to
/// callbacks. Programs call it from one thread.
/// Returns the session, to be freed by fuse_session_destroy(), or NULL with errno after a log line that names what is
/// wrong. Since libfuse 3.0.
///
/// # Safety
/// `args` points to an argument list, `op` to `op_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_new(
    args: *mut fuse_args,
    op: *const fuse_lowlevel_ops,
    op_size: usize,
    userdata: *mut c_void,
) -> *mut fuse_session {
    // SAFETY: as the caller vouches.
    or_null(unsafe { create_file_system(args, op, op_size, userdata, true) })
}
symver!(fuse_session_new, "FUSE_3.0");

/// Makes a session. Programs call it as fuse_session_new(), which adds the version of the headers.
///
/// `args`: the arguments that fuse_parse_cmdline() left: mount options and `-d`; each must be known. The list is
/// changed. `op`: the callbacks, `op_size` bytes of them, copied; members behind that are absent. `version`: of the
/// headers; NULL stands for headers before 3.17. `userdata`: passed to callbacks. Programs call it from one thread.
/// Returns the session, to be freed by fuse_session_destroy(), or NULL with errno after a log line that names what is
/// wrong. Since libfuse 3.17.
///
/// # Safety
/// `args` points to an argument list, `op` to `op_size` bytes, `version` is null or points to a struct.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_new_versioned(
    args: *mut fuse_args,
    op: *const fuse_lowlevel_ops,
    op_size: usize,
    version: *const libfuse_version,
    userdata: *mut c_void,
) -> *mut fuse_session {
    // SAFETY: the caller vouches for the version.
    let compat = unsafe { is_compat(version) };
    // SAFETY: as the caller vouches.
    or_null(unsafe { create_file_system(args, op, op_size, userdata, compat) })
}
#[cfg(not(soname = "3"))]
symver!(fuse_session_new_versioned, "FUSE_3.17");

/// Connects a session to functions of the daemon.
///
/// # Safety
/// `se` is null or a session, `io` null or `size` bytes of functions that may be called until the session is destroyed.
unsafe fn connect(se: *mut fuse_session, io: *const fuse_custom_io, size: usize, fd: c_int) -> c_int {
    let refuse = |errno: Errno, why: &str| {
        ::log::error!("fuse_session_custom_io: {why}");
        Err(errno)
    };
    let connected = if fd < 0 {
        refuse(Errno::EBADF, "the file descriptor is negative")
    } else if io.is_null() {
        refuse(Errno::EINVAL, "no functions are given")
    } else {
        // Whole members only: a part of an address cannot be called.
        let size = size.min(size_of::<fuse_custom_io>()) / size_of::<usize>() * size_of::<usize>();
        let mut functions = fuse_custom_io::default();
        // SAFETY: the caller vouches for `size` bytes.
        unsafe { core::ptr::copy_nonoverlapping(io.cast::<u8>(), (&raw mut functions).cast::<u8>(), size) };
        let connect = |se: &Session| {
            let Ok(io) = CustomIo::new(functions, se.userdata()) else {
                return refuse(Errno::EINVAL, "read and writev are required");
            };
            se.connect_custom(io, fd).or_else(|why| refuse(Errno::EBUSY, why))
        };
        // SAFETY: the caller vouches for the session.
        unsafe { with_session(se, connect) }.unwrap_or(Err(Errno::EINVAL))
    };
    connected.code()
}

/// Bytes of `struct fuse_custom_io` before 3.17.
const CUSTOM_IO_COMPAT_SIZE: usize = 32;

/// Has functions of the daemon receive and send for a session, instead of mounting or in the place of the device.
///
/// `io`: the functions, copied; `read` and `writev` are required. `fd`: passed to them, the session's from now on.
///
/// After fuse_session_mount() it is for sessions whose loop has not begun: the mount stays the session's, and
/// fuse_session_unmount() also closes `fd`, which may be what fuse_session_fd() gives. Requests may be read elsewhere, from
/// clones of the device say, and given to fuse_session_process_buf(); replies and notifications leave through `writev`.
/// For backing files the device is asked, not `fd`.
///
/// Returns 0 or a negative errno after a log line, and the fd is still the caller's then: -EBADF for a negative fd,
/// -EINVAL for missing functions, -EBUSY for a session that has such functions already, that a loop serves, or that has
/// requests to answer, was unmounted, or is recoverable. Since libfuse 3.13.
///
/// # Safety
/// `se` is a session, `io` points to the struct as it was before 3.17.
#[cfg(soname = "3")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_custom_io(se: *mut fuse_session, io: *const fuse_custom_io, fd: c_int) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { connect(se, io, CUSTOM_IO_COMPAT_SIZE, fd) }
}
#[cfg(soname = "3")]
symver!(fuse_session_custom_io, "FUSE_3.0");

/// Has functions of the daemon receive and send for a session, for programs built before 3.17.
///
/// As fuse_session_custom_io_317() with the struct as it was then. Since libfuse 3.13.
///
/// # Safety
/// `se` is a session, `io` points to the struct as it was before 3.17.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_custom_io_30(
    se: *mut fuse_session,
    io: *const fuse_custom_io,
    fd: c_int,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { connect(se, io, CUSTOM_IO_COMPAT_SIZE, fd) }
}
#[cfg(not(soname = "3"))]
symver!(fuse_session_custom_io_30, "FUSE_3.17");
#[cfg(not(soname = "3"))]
symver!(fuse_session_custom_io_30 as fuse_session_custom_io @ "FUSE_3.0");

/// Has functions of the daemon receive and send for a session, instead of mounting or in the place of the device.
///
/// `io`: the functions, `op_size` bytes of them, copied; `read` and `writev` are required. `fd`: passed to them, the
/// session's from now on.
///
/// After fuse_session_mount() it is for sessions whose loop has not begun: the mount stays the session's, and
/// fuse_session_unmount() also closes `fd`, which may be what fuse_session_fd() gives. Requests may be read elsewhere, from
/// clones of the device say, and given to fuse_session_process_buf(); replies and notifications leave through `writev`.
/// For backing files the device is asked, not `fd`.
///
/// Returns 0 or a negative errno after a log line, and the fd is still the caller's then: -EBADF for a negative fd,
/// -EINVAL for missing functions, -EBUSY for a session that has such functions already, that a loop serves, or that has
/// requests to answer, was unmounted, or is recoverable. Since libfuse 3.17.
///
/// # Safety
/// `se` is a session, `io` points to `op_size` bytes.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_custom_io_317(
    se: *mut fuse_session,
    io: *const fuse_custom_io,
    op_size: usize,
    fd: c_int,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { connect(se, io, op_size, fd) }
}
#[cfg(not(soname = "3"))]
symver!(fuse_session_custom_io_317, "FUSE_3.17");
#[cfg(not(soname = "3"))]
symver!(fuse_session_custom_io_317 as fuse_session_custom_io @@ "FUSE_3.17");

/// Shows every request and reply in the log from now on, as the option `-d` does, but without staying in the
/// foreground for it. May be called on any thread. Since libfuse 3.19.
///
/// # Safety
/// `se` is a session.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_set_debug(se: *mut fuse_session) {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, Session::set_debug) };
}
#[cfg(not(soname = "3"))]
symver!(fuse_session_set_debug, "FUSE_3.19");

/// Has the kernel send its first request while fuse_session_mount() mounts, and wait there for the answer.
///
/// `enable`: whether to. It is the default after fuse_daemonize_early_start(). The init callback then runs during
/// fuse_session_mount(), on a thread of the library's, and the mount is there for others only afterwards. Where init asks
/// for what the kernel does not have, or calls fuse_session_exit(), fuse_session_mount() fails and nothing is mounted;
/// another attempt calls init again. Threads that init starts do not survive a fork: daemonize before the mount.
///
/// To be called before fuse_session_mount(). Without effect, with INIT after the mount as ever, on kernels before 6.18,
/// for users whose fusermount3 is older than 3.19, for names longer than 255 bytes, and for `/dev/fd/N` mountpoints.
/// Since libfuse 3.19.
///
/// # Safety
/// `se` is a session.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_set_sync_init(se: *mut fuse_session, enable: bool) {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, |se| se.set_sync_init(enable)) };
}
#[cfg(not(soname = "3"))]
symver!(fuse_session_set_sync_init, "FUSE_3.19");

/// Mounts the file system.
///
/// `mountpoint`: a directory, or a file for a file system whose root is one; `/dev/fd/N` stands for a device that was
/// opened and mounted by somebody else. Root mounts by itself, others through fusermount3.
/// Returns 0, or -1 with errno after a log line that names what is wrong; nothing stays mounted then. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session; `mountpoint` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_mount(se: *mut fuse_session, mountpoint: *const c_char) -> c_int {
    if mountpoint.is_null() {
        ::log::error!("fuse_session_mount: no mountpoint is given");
        return Err(Errno::EINVAL).status();
    }
    // SAFETY: the caller vouches for the string.
    let mountpoint = unsafe { CStr::from_ptr(mountpoint) };
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, |se| se.mount(mountpoint)) }.unwrap_or(Err(Errno::EINVAL)).status()
}
symver!(fuse_session_mount, "FUSE_3.0");

/// Unmounts the file system and closes the device; requests in flight end with an error.
///
/// Call it after the loop has ended. Does nothing when nothing is mounted, or it was unmounted from outside.
/// What somebody else mounted in its place stays; before Linux 5.8 only if the kernel did not give the other mount the
/// number that ours had.
/// Since libfuse 3.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_unmount(se: *mut fuse_session) {
    #[cfg(not(soname = "3"))]
    super::watchdog::unmounting(se);
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, Session::unmount) };
}
symver!(fuse_session_unmount, "FUSE_3.0");

/// What fuse_session_destroy() does.
///
/// # Safety
/// `se` is null or a session that nobody uses any more.
pub unsafe fn destroy(se: *mut fuse_session) {
    if se.is_null() {
        return;
    }
    crate::capi::common::signals::forget(se);
    #[cfg(not(soname = "3"))]
    super::watchdog::forget(se);
    // SAFETY: the caller vouches for the session, which `into_c` made of an Arc.
    let session = unsafe { Arc::from_raw(se.cast_const().cast::<Session>()) };
    session.destroy();
}

/// Ends a session and frees it, after the destroy callback if INIT was answered and DESTROY did not come.
///
/// Requests that were not replied to become stale: a later reply is refused with a log line. Does not unmount. NULL
/// does nothing. No loop may be running, and no other thread may use the session afterwards; for threads that are still
/// in fuse_session_exit() or fuse_session_detach(), by which they ended its loop, it waits. Since libfuse 3.0.
///
/// # Safety
/// `se` is null or a session that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_destroy(se: *mut fuse_session) {
    // SAFETY: as the caller vouches.
    unsafe { destroy(se) };
}
symver!(fuse_session_destroy, "FUSE_3.0");

/// Asks the session's loops to end, and wakes them. May be called on any thread, in callbacks and in signal handlers.
/// Since libfuse 3.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_exit(se: *mut fuse_session) {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, Session::exit) };
}
symver!(fuse_session_exit, "FUSE_3.0");

/// Whether the loops were asked to end, or the file system was unmounted: 1 if so, else 0. May be called on any thread.
/// Since libfuse 3.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_exited(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, Session::exited) }.unwrap_or(true).into()
}
symver!(fuse_session_exited, "FUSE_3.0");

/// Takes an exit back, so that another loop may run; one that finds the session exited returns at once. Since libfuse
/// 3.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_reset(se: *mut fuse_session) {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, Session::reset) };
}
symver!(fuse_session_reset, "FUSE_3.0");

/// The fd of the session, for a loop of the daemon's own: readable when a request waits. It stays the session's.
///
/// -1 before it is mounted or connected, and after the unmount. May be called on any thread. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_fd(se: *const fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, Session::raw_fd) }.flatten().unwrap_or(-1)
}
symver!(fuse_session_fd, "FUSE_3.0");

/// Receives one request, for a loop of the daemon's own.
///
/// `buf`: zeroed before the first call; `mem` is allocated with malloc(3) then and reused, and the caller frees it in
/// the end. May be called on several threads, each with a buffer of its own.
/// Returns the request's size in bytes; 0 when the session has ended; a negative errno otherwise: -EINTR after a
/// signal, -EAGAIN when the fd is non-blocking and nothing waits, or the session is paused. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session; `buf` points to a buffer that is zeroed or from an earlier call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_receive_buf(se: *mut fuse_session, buf: *mut fuse_buf) -> c_int {
    // SAFETY: the caller vouches for both.
    let received = unsafe { with_session(se, |se| super::receive::receive(se, buf)) };
    match received.unwrap_or(Err(Errno::EINVAL)) {
        Ok(size) => c_int::try_from(size).unwrap_or(c_int::MAX),
        Err(errno) => -(errno as c_int),
    }
}
symver!(fuse_session_receive_buf, "FUSE_3.0");

/// Serves one request that fuse_session_receive_buf() received, or that came another way.
///
/// `buf`: the request, in memory or in a pipe; not changed, and not used after the call. May be called on any thread.
/// Since libfuse 3.0.
///
/// # Safety
/// `se` is a session; `buf` holds what it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_process_buf(se: *mut fuse_session, buf: *const fuse_buf) {
    // SAFETY: the caller vouches for both.
    unsafe { with_session(se, |se| super::receive::process(se, buf)) };
}
symver!(fuse_session_process_buf, "FUSE_3.0");
