//! Poll handles.

use crate::abi::c::common::fuse_pollhandle;
use crate::dispatch::PollHandle;

/// Frees a poll handle. NULL does nothing. Since libfuse 3.0.
///
/// # Safety
/// `ph` is NULL or a handle that was not destroyed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_pollhandle_destroy(ph: *mut fuse_pollhandle) {
    // SAFETY: the caller vouches for the handle.
    unsafe { PollHandle::destroy(ph) };
}
symver!(fuse_pollhandle_destroy, "FUSE_3.0");
