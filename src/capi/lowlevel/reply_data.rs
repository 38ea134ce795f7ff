//! Replies with data that may lie in files.

use super::reply::with;
use crate::abi::c::common::{fuse_buf_copy_flags, fuse_bufvec};
use crate::abi::c::lowlevel::fuse_req_t;
use crate::capi::common::buf::Gathered;
use core::ffi::c_int;

/// Replies with data that lies in memory or in files: in read, readdir, getxattr and listxattr.
///
/// `bufv`: the data; files in it are read now, and what comes short makes the reply shorter. Its position moves.
/// `flags`: as for fuse_buf_copy().
/// An error of reading a file is what the application gets. Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `bufv` is null or points to a vector whose buffers hold what they state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_data(req: fuse_req_t, bufv: *mut fuse_bufvec, flags: fuse_buf_copy_flags) -> c_int {
    with(req, "fuse_reply_data", |pending| {
        // SAFETY: the caller vouches for the vector.
        match unsafe { Gathered::new(bufv, flags) } {
            Ok(data) => pending.reply(0, &data.slices()),
            Err(errno) => pending.reply_error(errno),
        }
    })
}
symver!(fuse_reply_data, "FUSE_3.0");
