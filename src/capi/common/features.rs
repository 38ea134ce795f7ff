//! Changing what the init callback asks for. Only since 3.17, so not in so.3.

use super::init_flags::with_conn;
use crate::abi::c::common::{
    CONN_IO_URING_SINGLE_ISSUER, CONN_NO_INTERRUPT, FUSE_CONN_FLAG_NO_INTERRUPT, FUSE_CONN_FLAG_SINGLE_ISSUER,
    fuse_conn_info,
};
use crate::capi::result::ToC;
use crate::session::wants;
use core::ffi::c_int;
use nix::errno::Errno;

/// Wants capabilities, in `want` and `want_ext` alike. For the init callback.
///
/// - `conn`: what the callback got.
/// - `flag`: FUSE_CAP flags.
///
/// Returns true when the kernel offers all of them; else false, and nothing was changed. Since libfuse 3.17.
///
/// # Safety
/// `conn` is null or what the init callback got.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_set_feature_flag(conn: *mut fuse_conn_info, flag: u64) -> bool {
    // SAFETY: as the caller vouches.
    unsafe { with_conn(conn, "fuse_set_feature_flag", |conn| wants::want(conn, flag)) }.unwrap_or(false)
}
symver!(fuse_set_feature_flag, "FUSE_3.17.3");

/// Wants capabilities no more, in `want` and `want_ext` alike. For the init callback.
///
/// - `conn`: what the callback got.
/// - `flag`: FUSE_CAP flags.
///
/// Since libfuse 3.17.
///
/// # Safety
/// `conn` is null or what the init callback got.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_unset_feature_flag(conn: *mut fuse_conn_info, flag: u64) {
    // SAFETY: as the caller vouches.
    unsafe { with_conn(conn, "fuse_unset_feature_flag", |conn| wants::unwant(conn, flag)) };
}
symver!(fuse_unset_feature_flag, "FUSE_3.17.3");

/// Whether the kernel offers a capability, wanted or not. For the init callback.
///
/// - `conn`: what the callback got.
/// - `flag`: FUSE_CAP flags.
///
/// Returns true when any of them is offered. Since libfuse 3.17.
///
/// # Safety
/// `conn` is null or what the init callback got.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_get_feature_flag(conn: *const fuse_conn_info, flag: u64) -> bool {
    // SAFETY: as the caller vouches; it is only read.
    unsafe { with_conn(conn.cast_mut(), "fuse_get_feature_flag", |conn| wants::offers(conn, flag)) }.unwrap_or(false)
}
symver!(fuse_get_feature_flag, "FUSE_3.17.3");

/// Sets what is agreed with the library alone, and not with the kernel. For the init callback.
///
/// - `conn`: what the callback got.
/// - `flag`: one FUSE_CONN_FLAG value.
///
/// Returns whether the library knows it; else nothing was changed. Since libfuse 3.19.
///
/// # Safety
/// `conn` is null or what the init callback got.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_set_conn_flag(conn: *mut fuse_conn_info, flag: u64) -> bool {
    let known =
        [(FUSE_CONN_FLAG_SINGLE_ISSUER, CONN_IO_URING_SINGLE_ISSUER), (FUSE_CONN_FLAG_NO_INTERRUPT, CONN_NO_INTERRUPT)];
    let bit = known.into_iter().find_map(|(name, bit)| (u64::from(name) == flag).then_some(bit));
    // SAFETY: as the caller vouches.
    let set = unsafe { with_conn(conn, "fuse_set_conn_flag", |conn| conn.bits |= bit.unwrap_or(0)) };
    set.is_some() && bit.is_some()
}
symver!(fuse_set_conn_flag, "FUSE_3.19");

/// Brings what was changed by hand in `want` into `want_ext`, or the other way round. Programs need not call it: the
/// library does so after the init callback.
///
/// - `conn`: what the callback got.
///
/// Returns 0, or -EINVAL after a log line when both were changed and differ. Since libfuse 3.17.
///
/// # Safety
/// `conn` is null or what the init callback got.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_convert_to_conn_want_ext(conn: *mut fuse_conn_info) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { with_conn(conn, "fuse_convert_to_conn_want_ext", wants::unite) }.unwrap_or(Err(Errno::EINVAL)).code()
}
symver!(fuse_convert_to_conn_want_ext, "FUSE_3.17.3");
