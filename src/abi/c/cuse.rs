//! Types of `cuse_lowlevel.h`.

use super::common::{fuse_conn_info, fuse_file_info, fuse_pollhandle};
use super::lowlevel::fuse_req_t;
use core::ffi::{c_char, c_int, c_uint, c_void};
use libc::off_t;

/// In `flags` of struct cuse_info: ioctl callbacks may ask for areas of the caller's memory, by
/// fuse_reply_ioctl_retry(). Without it the kernel moves what the number of the ioctl says, and no more.
pub const CUSE_UNRESTRICTED_IOCTL: c_int = 1 << 0;

/// The character device to make, given to cuse_lowlevel_new() and its like, which copy it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cuse_info {
    /// Major number; 0 lets the kernel choose one.
    pub dev_major: c_uint,
    /// Minor number.
    pub dev_minor: c_uint,
    /// Number of strings at `dev_info_argv`.
    pub dev_info_argc: c_uint,
    /// What the kernel is told of the device, as strings `KEY=value`; 4096 bytes at most, with a NUL for each. It needs
    /// `DEVNAME=name`, the name below /dev, and puts the others into the device's uevents.
    pub dev_info_argv: *mut *const c_char,
    /// CUSE_UNRESTRICTED_IOCTL or 0.
    pub flags: c_uint,
}

/// The callbacks of a character device.
///
/// They are those of struct fuse_lowlevel_ops without a node id: the device is the one file there is. What is said
/// there of threads, replies and the lifetime of arguments holds here. Positions in read and write are the program's
/// business: the kernel keeps one for each open file, and caches nothing.
///
/// A member that is NULL has ENOSYS answered for it, unless it says otherwise.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct cuse_lowlevel_ops {
    /// The session starts: the kernel's first request, before every other callback. The device is not there yet. Only
    /// `max_write` and `no_interrupt` of `conn` change anything; nothing is offered in it.
    ///
    /// - `userdata`: what cuse_lowlevel_new() was given.
    /// - `conn`: lasts as long as the session; changing it after the call changes nothing.
    pub init: Option<unsafe extern "C" fn(userdata: *mut c_void, conn: *mut fuse_conn_info)>,
    /// The kernel has been told what to make; the device appears about now, and other callbacks may run already.
    pub init_done: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    /// The session ends: after the last callback.
    pub destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    /// Opens the device. Store a handle of your own in `fi->fh`. NULL succeeds, with `fh` 0.
    ///
    /// Replies: fuse_reply_open, fuse_reply_err.
    pub open: Option<unsafe extern "C" fn(req: fuse_req_t, fi: *mut fuse_file_info)>,
    /// Reads up to `size` bytes at `off`. Less than that is a short read, nothing is the end of the file.
    ///
    /// Replies: fuse_reply_buf, fuse_reply_data, fuse_reply_iov, fuse_reply_err.
    pub read: Option<unsafe extern "C" fn(req: fuse_req_t, size: usize, off: off_t, fi: *mut fuse_file_info)>,
    /// Writes the `size` bytes at `buf` to `off`. Fewer may be accepted.
    ///
    /// Replies: fuse_reply_write, fuse_reply_err.
    pub write: Option<
        unsafe extern "C" fn(req: fuse_req_t, buf: *const c_char, size: usize, off: off_t, fi: *mut fuse_file_info),
    >,
    /// A descriptor of the open file is closed; several may come for one open. What is answered, close(2) returns.
    ///
    /// Replies: fuse_reply_err.
    pub flush: Option<unsafe extern "C" fn(req: fuse_req_t, fi: *mut fuse_file_info)>,
    /// The last descriptor of an open file is gone: one call for each open. NULL succeeds.
    ///
    /// Replies: fuse_reply_err.
    pub release: Option<unsafe extern "C" fn(req: fuse_req_t, fi: *mut fuse_file_info)>,
    /// fsync(2), or with `datasync` not 0 fdatasync(2).
    ///
    /// Replies: fuse_reply_err.
    pub fsync: Option<unsafe extern "C" fn(req: fuse_req_t, datasync: c_int, fi: *mut fuse_file_info)>,
    /// ioctl(2).
    ///
    /// - `cmd`: the request number; an int before API version 319.
    /// - `arg`: the third argument as a number; the memory is the caller's and must not be touched.
    /// - `flags`: FUSE_IOCTL_COMPAT and FUSE_IOCTL_UNRESTRICTED, or-ed. In an unrestricted one nothing has been fetched
    ///   at first: fuse_reply_ioctl_retry() says which areas are to be read and which may be written, and the callback
    ///   is called again.
    /// - `in_buf`: `in_bufsz` bytes of input, valid during the call; NULL when there are none.
    /// - `out_bufsz`: the most that may be answered.
    ///
    /// Replies: fuse_reply_ioctl, fuse_reply_ioctl_iov, fuse_reply_ioctl_retry, fuse_reply_err. Errnos: ENOTTY.
    pub ioctl: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            cmd: c_uint,
            arg: *mut c_void,
            fi: *mut fuse_file_info,
            flags: c_uint,
            in_buf: *const c_void,
            in_bufsz: usize,
            out_bufsz: usize,
        ),
    >,
    /// Which events are there now (poll(2)); `fi->poll_events` are those asked for.
    ///
    /// - `ph`: NULL, or a handle that is the program's from now on. Call fuse_lowlevel_notify_poll() with it when
    ///   something has happened since, and free it with fuse_pollhandle_destroy().
    ///
    /// ENOSYS is remembered: the device then is always ready.
    ///
    /// Replies: fuse_reply_poll, fuse_reply_err.
    pub poll: Option<unsafe extern "C" fn(req: fuse_req_t, fi: *mut fuse_file_info, ph: *mut fuse_pollhandle)>,
}
