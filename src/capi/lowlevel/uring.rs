//! Requests that come over io_uring. Only since 3.18, so not in so.3.

use crate::abi::c::lowlevel::fuse_req_t;
use crate::capi::result::ToC;
use crate::dispatch::with_seat;
use crate::transport::uring::Seat;
use core::ffi::{c_char, c_int, c_void};
use nix::errno::Errno;

/// Whether the request came over io_uring rather than in a read of /dev/fuse.
///
/// False, after a log line, for a request that is not in flight. May be called on any thread until the reply. Since libfuse
/// 3.18, Linux 6.14.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_is_uring(req: fuse_req_t) -> bool {
    with_seat(req, "fuse_req_is_uring", |_| true).unwrap_or(false)
}
symver!(fuse_req_is_uring, "FUSE_3.18");

/// The buffer of a request that came over io_uring, for a reply that is made in place.
///
/// - `payload`, `payload_sz`: set to the buffer and its size in bytes, which is `max_write` or more. A reply by
///   fuse_reply_buf() or fuse_reply_iov() whose data begins there is not copied. It is the library's, and the daemon's to
///   fill until the reply. The data of a large write lies there, too.
/// - `mr`: set to NULL, for later use; may be NULL.
///
/// Returns 0, or -EINVAL, and leaves the arguments alone, for a request that came another way or is not in flight, and after
/// a log line when `payload` or `payload_sz` is NULL. May be called on any thread until the reply. Since libfuse 3.18, Linux
/// 6.14.
///
/// # Safety
/// The pointers are NULL or have room for a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_req_get_payload(
    req: fuse_req_t,
    payload: *mut *mut c_char,
    payload_sz: *mut usize,
    mr: *mut *mut c_void,
) -> c_int {
    const NAME: &str = "fuse_req_get_payload";
    if payload.is_null() || payload_sz.is_null() {
        log::error!("{NAME}: null pointer");
        return -(Errno::EINVAL as c_int);
    }
    let found = with_seat(req, NAME, Seat::payload);
    let told = found.map(|(start, size)| {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            payload.write(start.as_ptr().cast());
            payload_sz.write(size);
            if !mr.is_null() {
                mr.write(core::ptr::null_mut());
            }
        }
    });
    told.ok_or(Errno::EINVAL).code()
}
symver!(fuse_req_get_payload, "FUSE_3.18");
