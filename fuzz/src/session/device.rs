//! A daemon of a character device, which looks and answers as that of a file system.

use super::c::cuse_lowlevel_new;
use super::daemon::{answer, init, look_at};
use core::ffi::{c_char, c_int, c_uint, c_void};
use fusewire::abi::c::common::{fuse_file_info, fuse_pollhandle, fuse_session};
use fusewire::abi::c::cuse::{CUSE_UNRESTRICTED_IOCTL, cuse_info, cuse_lowlevel_ops};
use fusewire::abi::c::lowlevel::fuse_req_t;
use fusewire::abi::c::opt::fuse_args;
use libc::off_t;

/// # Safety
/// The arguments are a list; the userdata outlives the session.
pub unsafe fn session(args: *mut fuse_args, userdata: *mut c_void) -> *mut fuse_session {
    let mut strings = [c"DEVNAME=fuzz".as_ptr()];
    let info = cuse_info {
        dev_major: 0,
        dev_minor: 0,
        dev_info_argc: 1,
        dev_info_argv: strings.as_mut_ptr(),
        flags: CUSE_UNRESTRICTED_IOCTL as c_uint,
    };
    // SAFETY: the description is copied; the caller vouches for the rest.
    unsafe { cuse_lowlevel_new(args, &info, &OPERATIONS, userdata) }
}

type Fi = *mut fuse_file_info;

/// A callback: what it takes behind the request, and what it looks at.
macro_rules! callback {
    ($name:ident($($arg:ident: $ty:ty),*) $look:block) => {
        unsafe extern "C" fn $name(req: fuse_req_t $(, $arg: $ty)*) {
            // SAFETY: what is looked at is as the library promises; the handle is the callback's.
            unsafe { $look; answer(req) };
        }
    };
}

callback!(plain(_fi: Fi) {});
callback!(read(_size: usize, _off: off_t, _fi: Fi) {});
callback!(write(buf: *const c_char, size: usize, _off: off_t, _fi: Fi) { look_at(buf.cast(), size) });
callback!(fsync(_datasync: c_int, _fi: Fi) {});
callback!(ioctl(_cmd: c_uint, _arg: *mut c_void, _fi: Fi, _flags: c_uint, data: *const c_void, size: usize, _out: usize) {
    look_at(data, size)
});
callback!(poll(_fi: Fi, handle: *mut fuse_pollhandle) {
    if !handle.is_null() {
        super::c::fuse_pollhandle_destroy(handle)
    }
});

static OPERATIONS: cuse_lowlevel_ops = cuse_lowlevel_ops {
    init: Some(init),
    init_done: None,
    destroy: None,
    open: Some(plain),
    read: Some(read),
    write: Some(write),
    flush: Some(plain),
    release: Some(plain),
    fsync: Some(fsync),
    ioctl: Some(ioctl),
    poll: Some(poll),
};
