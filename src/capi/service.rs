//! `fuse_service.h`: daemons that a helper starts as services, with no rights of their own, and that get the device and
//! other files over a socket. What holds for all:
//!
//! The library is built without it, and answers as libfuse does when it is: no daemon ever runs as a service, and what
//! only a service can do is -EOPNOTSUPP. A program that asks fuse_service_accept() first goes on as an ordinary daemon.
#![expect(unused_variables, reason = "the C header shows the names")]

use crate::abi::c::common::fuse_session;
use crate::abi::c::lowlevel::fuse_cmdline_opts;
use crate::abi::c::opt::fuse_args;
use crate::abi::c::service::fuse_service;
use core::ffi::{c_char, c_int, c_uint};
use libc::mode_t;
use nix::errno::Errno;

const NOT_SUPPORTED: c_int = -(Errno::EOPNOTSUPP as c_int);

/// Asks whether a helper started the daemon as a service.
///
/// `sfp`: set to the service, here always to NULL: it did not. Returns 0. Since libfuse 3.19.
///
/// # Safety
/// `sfp` is null or has room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_service_accept(sfp: *mut *mut fuse_service) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { forget(sfp) };
    0
}
symver!(fuse_service_accept, "FUSE_3.19");

/// # Safety
/// `sfp` is null or has room for a pointer.
unsafe fn forget(sfp: *mut *mut fuse_service) {
    if !sfp.is_null() {
        // SAFETY: as the caller vouches.
        unsafe { sfp.write(core::ptr::null_mut()) };
    }
}

/// Whether the helper lets other users in (`allow_other`). Here always false. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_can_allow_other(sf: *const fuse_service) -> bool {
    false
}
symver!(fuse_service_can_allow_other, "FUSE_3.19");

/// Whether the helper mounts block devices (`fuseblk`). Here always false. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_can_fuseblk(sf: *const fuse_service) -> bool {
    false
}
symver!(fuse_service_can_fuseblk, "FUSE_3.19");

/// Closes what belongs to a service, but keeps the handle. Here it does nothing. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_release(sf: *mut fuse_service) {}
symver!(fuse_service_release, "FUSE_3.19");

/// Closes what belongs to a service and frees it. `sfp`: set to NULL. Since libfuse 3.19.
///
/// # Safety
/// `sfp` is null or has room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_service_destroy(sfp: *mut *mut fuse_service) {
    // SAFETY: as the caller vouches.
    unsafe { forget(sfp) };
}
symver!(fuse_service_destroy, "FUSE_3.19");

/// Appends the helper's arguments to the program's. Here it changes nothing and returns -EOPNOTSUPP. Since libfuse
/// 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_append_args(sf: *mut fuse_service, args: *mut fuse_args) -> c_int {
    NOT_SUPPORTED
}
symver!(fuse_service_append_args, "FUSE_3.19");

/// The command line in force, as a text for the title of the process. Here always NULL. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_cmdline(argc: c_int, argv: *const *const c_char, args: *mut fuse_args) -> *mut c_char {
    core::ptr::null_mut()
}
symver!(fuse_service_cmdline, "FUSE_3.19");

/// As fuse_parse_cmdline(), with a mountpoint that the helper checks. Here it changes nothing and returns -1. Since
/// libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_parse_cmdline_opts(args: *mut fuse_args, opts: *mut fuse_cmdline_opts) -> c_int {
    -1
}
symver!(fuse_service_parse_cmdline_opts, "FUSE_3.19");

/// Asks the helper to open a file. `open_flags`, `create_mode`: as for open(2). `request_flags`: FUSE_SERVICE_REQUEST
/// flags. Here always -EOPNOTSUPP. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_request_file(
    sf: *const fuse_service,
    path: *const c_char,
    open_flags: c_int,
    create_mode: mode_t,
    request_flags: c_uint,
) -> c_int {
    NOT_SUPPORTED
}
symver!(fuse_service_request_file, "FUSE_3.19");

/// Asks the helper to open a block device, with blocks of `block_size` bytes; else as fuse_service_request_file(). Here
/// always -EOPNOTSUPP. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_request_blockdev(
    sf: *const fuse_service,
    path: *const c_char,
    open_flags: c_int,
    create_mode: mode_t,
    request_flags: c_uint,
    block_size: c_uint,
) -> c_int {
    NOT_SUPPORTED
}
symver!(fuse_service_request_blockdev, "FUSE_3.19");

/// Takes a file that was asked for. `fdp`: set to the file descriptor, here to -1. Here always -EOPNOTSUPP. Since
/// libfuse 3.19.
///
/// # Safety
/// `fdp` is null or has room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_service_receive_file(
    sf: *const fuse_service,
    path: *const c_char,
    fdp: *mut c_int,
) -> c_int {
    if !fdp.is_null() {
        // SAFETY: as the caller vouches.
        unsafe { fdp.write(-1) };
    }
    NOT_SUPPORTED
}
symver!(fuse_service_receive_file, "FUSE_3.19");

/// Tells the helper that no more files will be asked for. Here always -EOPNOTSUPP. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_finish_file_requests(sf: *const fuse_service) -> c_int {
    NOT_SUPPORTED
}
symver!(fuse_service_finish_file_requests, "FUSE_3.19");

/// Tells the helper what the mountpoint must be: S_IFDIR, S_IFREG, or 0 for either. Here it does nothing. Since
/// libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_expect_mount_format(sf: *mut fuse_service, expected_fmt: mode_t) {}
symver!(fuse_service_expect_mount_format, "FUSE_3.19");

/// Connects the session to the device that the helper opened, and has it mounted. Here always -EOPNOTSUPP. Since
/// libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_session_mount(
    sf: *mut fuse_service,
    se: *mut fuse_session,
    expected_fmt: mode_t,
    opts: *mut fuse_cmdline_opts,
) -> c_int {
    NOT_SUPPORTED
}
symver!(fuse_service_session_mount, "FUSE_3.19");

/// Tells the helper how the daemon ended. Here always -EOPNOTSUPP. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_send_goodbye(sf: *mut fuse_service, exitcode: c_int) -> c_int {
    NOT_SUPPORTED
}
symver!(fuse_service_send_goodbye, "FUSE_3.19");

/// What main() should return after `ret`: here that same number. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_service_exit(ret: c_int) -> c_int {
    ret
}
symver!(fuse_service_exit, "FUSE_3.19");
