//! The library's C functions, as a C program sees them.

use core::ffi::{c_char, c_int, c_void};
use fusewire::abi::c::common::{fuse_buf, fuse_bufvec, fuse_file_info, fuse_pollhandle, fuse_session, libfuse_version};
use fusewire::abi::c::cuse::{cuse_info, cuse_lowlevel_ops};
use fusewire::abi::c::lowlevel::{
    fuse_custom_io, fuse_entry_param, fuse_interrupt_func_t, fuse_lowlevel_ops, fuse_req_t,
};
use fusewire::abi::c::opt::fuse_args;
use libc::{flock, iovec, stat, statvfs};

// SAFETY: the declarations are those of the library's headers.
unsafe extern "C" {
    pub fn fuse_session_new_versioned(
        args: *mut fuse_args,
        op: *const fuse_lowlevel_ops,
        op_size: usize,
        version: *const libfuse_version,
        userdata: *mut c_void,
    ) -> *mut fuse_session;
    pub fn cuse_lowlevel_new(
        args: *mut fuse_args,
        info: *const cuse_info,
        op: *const cuse_lowlevel_ops,
        userdata: *mut c_void,
    ) -> *mut fuse_session;
    pub fn fuse_session_loop(se: *mut fuse_session) -> c_int;
    pub fn fuse_session_custom_io_317(
        se: *mut fuse_session,
        io: *const fuse_custom_io,
        op_size: usize,
        fd: c_int,
    ) -> c_int;
    pub fn fuse_session_process_buf(se: *mut fuse_session, buf: *const fuse_buf);
    pub fn fuse_session_destroy(se: *mut fuse_session);
    pub fn fuse_opt_free_args(args: *mut fuse_args);

    pub fn fuse_req_userdata(req: fuse_req_t) -> *mut c_void;
    pub fn fuse_req_ctx(req: fuse_req_t) -> *const c_void;
    pub fn fuse_req_interrupted(req: fuse_req_t) -> c_int;
    pub fn fuse_req_interrupt_func(req: fuse_req_t, func: fuse_interrupt_func_t, data: *mut c_void);
    pub fn fuse_req_unique(req: fuse_req_t) -> u64;
    pub fn fuse_req_flags(req: fuse_req_t) -> u32;
    pub fn fuse_req_supp_groups(req: fuse_req_t, size: c_int, list: *mut u32) -> c_int;
    pub fn fuse_req_secctx_next(
        req: fuse_req_t,
        name: *mut *const c_char,
        value: *mut *const c_char,
        value_len: *mut u32,
    ) -> c_int;

    pub fn fuse_reply_none(req: fuse_req_t);
    pub fn fuse_reply_err(req: fuse_req_t, err: c_int) -> c_int;
    pub fn fuse_reply_entry(req: fuse_req_t, e: *const fuse_entry_param) -> c_int;
    pub fn fuse_reply_create(req: fuse_req_t, e: *const fuse_entry_param, fi: *const fuse_file_info) -> c_int;
    pub fn fuse_reply_attr(req: fuse_req_t, attr: *const stat, attr_timeout: f64) -> c_int;
    pub fn fuse_reply_readlink(req: fuse_req_t, link: *const c_char) -> c_int;
    pub fn fuse_reply_open(req: fuse_req_t, fi: *const fuse_file_info) -> c_int;
    pub fn fuse_reply_write(req: fuse_req_t, count: usize) -> c_int;
    pub fn fuse_reply_buf(req: fuse_req_t, buf: *const c_char, size: usize) -> c_int;
    pub fn fuse_reply_data(req: fuse_req_t, bufv: *mut fuse_bufvec, flags: c_int) -> c_int;
    pub fn fuse_reply_iov(req: fuse_req_t, iov: *const iovec, count: c_int) -> c_int;
    pub fn fuse_reply_statfs(req: fuse_req_t, stbuf: *const statvfs) -> c_int;
    pub fn fuse_reply_xattr(req: fuse_req_t, count: usize) -> c_int;
    pub fn fuse_reply_lock(req: fuse_req_t, lock: *const flock) -> c_int;
    pub fn fuse_reply_ioctl(req: fuse_req_t, result: c_int, buf: *const c_void, size: usize) -> c_int;
    pub fn fuse_reply_lseek(req: fuse_req_t, off: i64) -> c_int;

    pub fn fuse_lowlevel_notify_poll(ph: *mut fuse_pollhandle) -> c_int;
    pub fn fuse_pollhandle_destroy(ph: *mut fuse_pollhandle);
    pub fn fuse_lowlevel_notify_retrieve(
        se: *mut fuse_session,
        ino: u64,
        size: usize,
        offset: i64,
        cookie: *mut c_void,
    ) -> c_int;
}
