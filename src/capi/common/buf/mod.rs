//! Buffers of `fuse_common.h`: pieces of data that lie in memory or in files.

mod copy;
mod gather;
mod piece;
mod scratch;
mod splice;

pub use gather::Gathered;
pub use scratch::Scratch;
pub use splice::{Moved, splice, unpipe};

use crate::abi::c::common::{fuse_buf_copy_flags, fuse_bufvec};
use crate::capi::log;
use crate::transport::pipe::note_copied;
use copy::copy;
use core::ffi::c_int;
use nix::errno::Errno;

/// Of so many bytes it matters whether they came through a pipe.
const LARGE: usize = 64 << 10;

/// Bytes in a buffer vector, from its first buffer on, whatever its position. The largest size_t when they cannot be
/// counted. Since libfuse 3.0.
///
/// # Safety
/// `bufv` points to a vector with `count` buffers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_buf_size(bufv: *const fuse_bufvec) -> usize {
    // SAFETY: the caller vouches for the vector.
    unsafe { piece::buffers(bufv) }.iter().fold(0usize, |sum, buf| sum.saturating_add(buf.size))
}
symver!(fuse_buf_size, "FUSE_3.0");

/// Copies data from one buffer vector to another, as far as the shorter one goes, and moves the position of both
/// behind what was copied.
///
/// Between two files splice(2) is used where it can be, see the flags. A read or write of a file that comes short ends
/// the copy, unless the buffer has FUSE_BUF_FD_RETRY.
/// Returns the number of bytes copied, or a negative errno if an error came before the first byte. May be called on
/// any thread, for vectors that no other thread uses. Since libfuse 3.0.
///
/// # Safety
/// Both point to vectors with `count` buffers, of which each holds, or has room for, what it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_buf_copy(
    dst: *mut fuse_bufvec,
    src: *mut fuse_bufvec,
    flags: fuse_buf_copy_flags,
) -> libc::ssize_t {
    log::install();
    if dst.is_null() || src.is_null() {
        ::log::error!("fuse_buf_copy: null pointer");
        return -(Errno::EINVAL as c_int) as libc::ssize_t;
    }
    if core::ptr::eq(dst, src) {
        // SAFETY: the caller vouches for the vector.
        return unsafe { fuse_buf_size(dst) } as libc::ssize_t;
    }
    // SAFETY: the caller vouches for the vector.
    let to_file = unsafe { piece::Piece::at(dst) }.is_some_and(|piece| piece.is_file());
    // SAFETY: the caller vouches for both vectors.
    match unsafe { copy(dst, src, flags) } {
        Ok(copied) => {
            if copied >= LARGE {
                note_copied(to_file);
            }
            copied as libc::ssize_t
        }
        Err(errno) => -(errno as c_int) as libc::ssize_t,
    }
}
symver!(fuse_buf_copy, "FUSE_3.0");
