//! Requests that come over io_uring. Only since 3.18, so not in so.3.

use crate::abi::c::lowlevel::fuse_req_t;
use crate::dispatch::find;
use core::ffi::{c_char, c_int, c_void};
use nix::errno::Errno;

/// Whether the request came over io_uring rather than in a read of /dev/fuse.
///
/// This library has no io_uring yet and does not offer FUSE_CAP_OVER_IO_URING, so the answer is false. May be called on
/// any thread until the reply. Since libfuse 3.18, Linux 6.14.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_is_uring(req: fuse_req_t) -> bool {
    let _ = find(req, "fuse_req_is_uring");
    false
}
symver!(fuse_req_is_uring, "FUSE_3.18");

/// The buffer of a request that came over io_uring, for a reply that is made in place.
///
/// - `payload`, `payload_sz`: set to the buffer and its size in bytes.
/// - `mr`: for later use; may be NULL.
///
/// Returns 0, or -EINVAL for a request that came another way, which leaves the arguments alone: so far, every request.
/// May be called on any thread until the reply. Since libfuse 3.18, Linux 6.14.
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
    let _ = (find(req, "fuse_req_get_payload"), payload, payload_sz, mr);
    -(Errno::EINVAL as c_int)
}
symver!(fuse_req_get_payload, "FUSE_3.18");
