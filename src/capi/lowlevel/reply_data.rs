//! Replies with data that may lie in files.

use super::reply::with;
use crate::abi::c::common::{FUSE_BUF_SPLICE_MOVE, fuse_buf_copy_flags, fuse_bufvec};
use crate::abi::c::lowlevel::fuse_req_t;
use crate::capi::common::buf::{Gathered, Moved, splice, unpipe};
use crate::dispatch::Pending;
use core::ffi::c_int;
use nix::errno::Errno;

/// Replies with data that lies in memory or in files: in read, readdir, getxattr and listxattr.
///
/// `bufv`: the data; files in it are read now, and what comes short makes the reply shorter. Its position moves.
/// `flags`: where the session wants FUSE_CAP_SPLICE_WRITE, FUSE_BUF_NO_SPLICE copies all the same, and
/// FUSE_BUF_FORCE_SPLICE splices also what is faster copied; what cannot be spliced is copied. FUSE_BUF_SPLICE_MOVE
/// counts with FUSE_CAP_SPLICE_MOVE.
/// An error of reading a file is what the application gets. Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `bufv` is null or points to a vector whose buffers hold what they state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_data(req: fuse_req_t, bufv: *mut fuse_bufvec, flags: fuse_buf_copy_flags) -> c_int {
    // SAFETY: the caller vouches for the vector.
    with(req, "fuse_reply_data", |pending| unsafe { answer(pending, bufv, flags) })
}
symver!(fuse_reply_data, "FUSE_3.0");

/// # Safety
/// As for [`fuse_reply_data`].
unsafe fn answer(pending: Pending, bufv: *mut fuse_bufvec, flags: fuse_buf_copy_flags) -> Result<(), Errno> {
    // SAFETY: the caller vouches for the vector.
    let moved = if pending.may_be_piped() { unsafe { splice(bufv, flags) } } else { Ok(None) };
    let gathered = match moved {
        Ok(Some(Moved::Piped(mut message, size))) => {
            let moves = flags & FUSE_BUF_SPLICE_MOVE != 0 && pending.may_be_moved();
            match pending.reply_piped(size, &mut message, moves) {
                Ok(()) => {
                    message.keep();
                    return Ok(());
                }
                // The system could not, just now. Nobody else would answer whoever waits.
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOMEM | Errno::ENOSPC) => unpipe(message, size),
                Err(errno) => return Err(errno),
            }
        }
        Ok(Some(Moved::Gathered(data))) => Ok(data),
        // SAFETY: the caller vouches for the vector.
        Ok(None) => unsafe { Gathered::new(bufv, pending.room()) },
        Err(errno) => Err(errno),
    };
    match gathered {
        Ok(mut data) => data.lend(|slices| pending.reply(0, slices)),
        Err(errno) => pending.reply_error(errno),
    }
}
