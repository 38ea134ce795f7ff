//! The kernel's own INIT flags, for what no FUSE_CAP stands for.

use crate::abi::c::common::fuse_conn_info;
use crate::abi::flags::InitFlags;
use crate::capi::result::ToC;
use crate::session::wants;
use core::ffi::c_int;
use nix::errno::Errno;

/// Lends what the init callback got to `f`; a null pointer is a log line and none.
///
/// # Safety
/// `conn` is null or points to a struct that nothing else uses meanwhile.
pub(super) unsafe fn with_conn<R>(
    conn: *mut fuse_conn_info,
    function: &str,
    f: impl FnOnce(&mut fuse_conn_info) -> R,
) -> Option<R> {
    // SAFETY: the caller vouches for the struct.
    let conn = unsafe { conn.as_mut() };
    if conn.is_none() {
        log::error!("{function}: null pointer");
    }
    conn.map(f)
}

/// The protocol's INIT flags that the kernel offers.
///
/// - `conn`: what the init callback got; only that callback may ask.
///
/// Returns FUSE flags of `<linux/fuse.h>`, those of `flags2` shifted by 32. The library may support fewer: `capable` and
/// fuse_conn_want_init_flags() say which. 0, after a log line, outside of the callback. Since fusewire 1.0.
///
/// # Safety
/// `conn` is NULL or points to a struct that nothing else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_conn_init_flags(conn: *const fuse_conn_info) -> u64 {
    const NAME: &str = "fuse_conn_init_flags";
    // SAFETY: as the caller vouches; it is only read.
    let offered = unsafe { with_conn(conn.cast_mut(), NAME, |conn| wants::init_flags(conn, NAME)) };
    offered.flatten().map_or(0, |flags| flags.bits())
}
symver!(fuse_conn_init_flags, "FUSEWIRE_1.0");

/// Wants INIT flags of the protocol that no FUSE_CAP stands for, besides those that were wanted before.
///
/// - `conn`: what the init callback got; only that callback may want something.
/// - `flags`: of `<linux/fuse.h>`, those of `flags2` shifted by 32. Any of:
///   - FUSE_ABORT_ERROR (Linux 4.20): once the connection is aborted, the loops return -ECONNABORTED instead of 0, so
///     that the end by an abort can be told from the end by an unmount;
///   - FUSE_CREATE_SUPP_GROUP (Linux 6.3): see fuse_req_supp_groups();
///   - FUSE_SUBMOUNTS (Linux 5.10) and FUSE_HAS_INODE_DAX (Linux 5.17): see fuse_req_set_attr_flags(). Kernels offer
///     them to virtiofs only;
///   - FUSE_HAS_RESEND (Linux 6.9): changes nothing, the kernel says only that it knows FUSE_NOTIFY_RESEND.
///
/// Returns 0; -ENOTSUP when the kernel does not offer all of them; -EINVAL after a log line for flags that are wanted
/// otherwise or that the library does not support (FUSE_MAP_ALIGNMENT), and outside of the callback. After an error none
/// of them is wanted. Since fusewire 1.0.
///
/// # Safety
/// `conn` is NULL or points to a struct that nothing else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_conn_want_init_flags(conn: *mut fuse_conn_info, flags: u64) -> c_int {
    const NAME: &str = "fuse_conn_want_init_flags";
    let flags = InitFlags::from_bits_retain(flags);
    // SAFETY: as the caller vouches.
    let wanted = unsafe { with_conn(conn, NAME, |conn| wants::want_init_flags(conn, flags, NAME)) };
    wanted.unwrap_or(Err(Errno::EINVAL)).code()
}
symver!(fuse_conn_want_init_flags, "FUSEWIRE_1.0");
