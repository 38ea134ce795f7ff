//! Security contexts that requests bring for what they make. Only since 3.19, so not in so.3.

use crate::abi::c::lowlevel::fuse_req_t;
use crate::dispatch::find;
use crate::session::inflight::Contexts;
use core::ffi::{c_char, c_int};
use nix::errno::Errno;

/// Lends the security contexts of a request to `f`; none, and a log line, when it is not in flight.
fn with_contexts<R>(req: fuse_req_t, function: &str, f: impl FnOnce(Option<&mut Contexts>) -> R) -> Option<R> {
    let (slot, token) = find(req, function)?;
    let pin = slot.pin(token)?;
    Some(pin.with_extensions(|extensions| f(extensions.and_then(|all| all.contexts.as_mut()))))
}

/// How many security contexts the request brings: in requests that make an inode, with FUSE_CAP_SECURITY_CTX in
/// force, one for each security module that labels it; else 0.
///
/// May be called on any thread until the reply. Since libfuse 3.19, kernel 5.17.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_secctx_count(req: fuse_req_t) -> u32 {
    let count = |contexts: Option<&mut Contexts>| contexts.map_or(0, |contexts| contexts.count());
    with_contexts(req, "fuse_req_secctx_count", count).unwrap_or(0)
}
symver!(fuse_req_secctx_count, "FUSE_3.19");

/// Reads the next security context of the request.
///
/// - `name`: set to the extended attribute that is to be stored, such as `security.selinux`, NUL-terminated.
/// - `value`, `value_len`: set to its value and the value's size in bytes; there is no NUL behind it.
///
/// Each may be NULL where it is not needed. What they are set to is valid until the reply. May be called on any
/// thread, but contexts are read one after the other whoever asks.
/// Returns 0; -ENOENT after the last one, or when there is none; -EIO after a log line when the kernel sent nonsense;
/// -EINVAL after a log line when the request is not in flight. Since libfuse 3.19, kernel 5.17.
///
/// # Safety
/// The pointers are null or have room for a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_req_secctx_next(
    req: fuse_req_t,
    name: *mut *const c_char,
    value: *mut *const c_char,
    value_len: *mut u32,
) -> c_int {
    let next = |contexts: Option<&mut Contexts>| {
        let Some(contexts) = contexts else { return Err(Errno::ENOENT) };
        let (name_bytes, value_bytes) = contexts
            .read_next()
            .map_err(|_| {
                log::error!("fuse_req_secctx_next: the request's security context is malformed");
                Errno::EIO
            })?
            .ok_or(Errno::ENOENT)?;
        // SAFETY: the caller vouches for the pointers that are not null.
        unsafe {
            set(name, name_bytes.as_ptr());
            set(value, value_bytes.as_ptr().cast());
            set(value_len, u32::try_from(value_bytes.len()).unwrap_or(u32::MAX));
        }
        Ok(())
    };
    crate::capi::result::ToC::code(with_contexts(req, "fuse_req_secctx_next", next).unwrap_or(Err(Errno::EINVAL)))
}
symver!(fuse_req_secctx_next, "FUSE_3.19");

/// # Safety
/// `place` is null or has room for a value.
unsafe fn set<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: as the caller vouches.
        unsafe { place.write(value) };
    }
}

/// Makes fuse_req_secctx_next() begin again with the first one. May be called on any thread until the reply. Since
/// libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_secctx_reset(req: fuse_req_t) {
    let reset = |contexts: Option<&mut Contexts>| {
        if let Some(contexts) = contexts {
            contexts.reset();
        }
    };
    with_contexts(req, "fuse_req_secctx_reset", reset);
}
symver!(fuse_req_secctx_reset, "FUSE_3.19");
