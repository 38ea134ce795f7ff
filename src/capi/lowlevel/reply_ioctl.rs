//! Replies to ioctl.

use super::reply::{bytes, pieces, refuse, with};
use crate::abi::c::lowlevel::fuse_req_t;
use crate::abi::flags::IOCTL_RETRY;
use crate::abi::wire::IoctlOut;
use core::ffi::{c_int, c_void};
use std::io::IoSlice;
use zerocopy::IntoBytes;

/// Asks the kernel to run an unrestricted ioctl again, with other areas of the caller's memory copied in and out.
///
/// `in_iov`, `in_count`: what to copy in, addresses of the calling process. `out_iov`, `out_count`: what to copy out.
/// At most 256 of both together. Only in ioctl callbacks with FUSE_IOCTL_UNRESTRICTED.
/// Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// The arrays have as many elements as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_ioctl_retry(
    req: fuse_req_t,
    in_iov: *const libc::iovec,
    in_count: usize,
    out_iov: *const libc::iovec,
    out_count: usize,
) -> c_int {
    with(req, "fuse_reply_ioctl_retry", |pending| {
        // SAFETY: the caller vouches for both arrays.
        let (input, output) = match unsafe { (array(in_iov, in_count), array(out_iov, out_count)) } {
            (Ok(input), Ok(output)) => (input, output),
            (Err(why), _) | (_, Err(why)) => return refuse(pending, "fuse_reply_ioctl_retry", why),
        };
        let head = IoctlOut {
            flags: IOCTL_RETRY,
            in_iovs: in_count as u32,
            out_iovs: out_count as u32,
            ..IoctlOut::default()
        };
        pending.reply(0, &[IoSlice::new(head.as_bytes()), IoSlice::new(input), IoSlice::new(output)])
    })
}
symver!(fuse_reply_ioctl_retry, "FUSE_3.0");

/// An array of iovecs as the bytes that the kernel takes: on 64-bit systems they are laid out as on the wire.
///
/// # Safety
/// `iov` is null or points to `count` elements, for as long as `'a`.
unsafe fn array<'a>(iov: *const libc::iovec, count: usize) -> Result<&'a [u8], &'static str> {
    // SAFETY: the caller vouches for the array; iovec has no padding on 64-bit systems.
    unsafe { bytes(iov.cast(), count.saturating_mul(size_of::<libc::iovec>())) }
}

/// Replies with an ioctl's result and the data to copy out.
///
/// `result`: what ioctl(2) returns. `buf`: `size` bytes, sent before the call returns.
/// Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `buf` points to `size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_ioctl(req: fuse_req_t, result: c_int, buf: *const c_void, size: usize) -> c_int {
    let piece = libc::iovec { iov_base: buf.cast_mut(), iov_len: size };
    let count = c_int::from(size != 0);
    // SAFETY: the caller vouches for the bytes.
    unsafe { fuse_reply_ioctl_iov(req, result, &piece, count) }
}
symver!(fuse_reply_ioctl, "FUSE_3.0");

/// Replies with an ioctl's result and the data to copy out, in pieces.
///
/// `result`: what ioctl(2) returns. `iov`: `count` pieces, sent as one message before the call returns.
/// Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `iov` points to `count` pieces, each with as many readable bytes as it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_ioctl_iov(
    req: fuse_req_t,
    result: c_int,
    iov: *const libc::iovec,
    count: c_int,
) -> c_int {
    with(req, "fuse_reply_ioctl", |pending| {
        // SAFETY: the caller vouches for the pieces.
        let pieces = match unsafe { pieces(iov, count) } {
            Ok(pieces) => pieces,
            Err(why) => return refuse(pending, "fuse_reply_ioctl", why),
        };
        let head = IoctlOut { result, ..IoctlOut::default() };
        let head = [IoSlice::new(head.as_bytes())];
        pending.reply(0, &[&head, &*pieces].concat())
    })
}
symver!(fuse_reply_ioctl_iov, "FUSE_3.0");
