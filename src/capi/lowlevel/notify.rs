//! Telling the kernel that what it caches is stale, and moving data to and from its page cache. What holds for all:
//!
//! Any thread may notify, but not while it keeps the kernel waiting for a request on the same inode or directory:
//! the kernel takes locks that such a request may hold. The kernel answers -ENOENT for what it does not cache. The init
//! callback may notify already; later releases of libfuse than 3.19 answer -ENOTCONN until INIT was answered.

use crate::abi::c::common::cap::FUSE_CAP_EXPIRE_ONLY;
use crate::abi::c::common::{fuse_buf_copy_flags, fuse_bufvec, fuse_pollhandle, fuse_session};
use crate::abi::c::lowlevel::fuse_ino_t;
use crate::abi::flags::EXPIRE_ONLY;
#[cfg(not(soname = "3"))]
use crate::abi::wire::NotifyPruneOut;
use crate::abi::wire::{NotifyDeleteOut, NotifyInvalEntryOut, NotifyInvalInodeOut, NotifyRetrieveOut, NotifyStoreOut};
use crate::capi::common::buf::Gathered;
use crate::capi::lowlevel::session::with_session;
use crate::capi::result::ToC;
use crate::dispatch::PollHandle;
use crate::encode::Notification;
use core::ffi::{c_char, c_int, c_void};
use nix::errno::Errno;
use std::io::IoSlice;

/// Notifies on a session from C: ENOSYS when the kernel's protocol is older than `minor` and before INIT, EINVAL without a
/// session.
///
/// # Safety
/// `se` is null or a session.
unsafe fn notify(se: *mut fuse_session, minor: u32, notification: &Notification, payload: &[IoSlice<'_>]) -> c_int {
    // SAFETY: the caller vouches for the session.
    let sent = unsafe {
        with_session(se, |se| match se.proto_minor() < minor {
            true => Err(Errno::ENOSYS),
            false => se.notify(notification, payload),
        })
    };
    sent.unwrap_or(Err(Errno::EINVAL)).code()
}

/// A name from C, of which `namelen` bytes count.
///
/// # Safety
/// `name` is null or points to `namelen` readable bytes, for as long as `'a`.
unsafe fn name_bytes<'a>(name: *const c_char, namelen: usize) -> Option<&'a [u8]> {
    let possible = !name.is_null() && isize::try_from(namelen).is_ok();
    // SAFETY: the caller vouches for the bytes.
    possible.then(|| unsafe { core::slice::from_raw_parts(name.cast(), namelen) })
}

/// First minor version of the protocol with invalidations.
const MINOR_INVAL: u32 = 12;
/// First minor version of the protocol with store and retrieve.
const MINOR_STORE: u32 = 15;
/// First minor version of the protocol with deletions.
const MINOR_DELETE: u32 = 18;
/// First minor version of the protocol with epochs.
#[cfg(not(soname = "3"))]
const MINOR_EPOCH: u32 = 44;
/// First minor version of the protocol with pruning.
#[cfg(not(soname = "3"))]
const MINOR_PRUNE: u32 = 45;

/// Wakes those who poll(2) a file.
///
/// `ph`: the handle that the poll callback got; it stays the daemon's, also when the session is gone. The kernel polls
/// again then. May be called on any thread. Returns 0 or a negative errno, -ENODEV after a log line when the session was
/// destroyed; NULL does nothing. Since libfuse 3.0.
///
/// # Safety
/// `ph` is NULL or a handle that was not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_poll(ph: *mut fuse_pollhandle) -> c_int {
    // SAFETY: the caller vouches for the handle.
    unsafe { PollHandle::notify(ph) }.code()
}
symver!(fuse_lowlevel_notify_poll, "FUSE_3.0");

/// Drops what the kernel caches of an inode.
///
/// `off`: start of the data to drop, in bytes; negative drops the attributes only. `len`: length, 0 for all that
/// follows. Returns 0 or a negative errno: -ENOENT when the inode is not cached. Since libfuse 3.0, kernel 2.6.31.
///
/// # Safety
/// `se` is NULL or a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_inval_inode(
    se: *mut fuse_session,
    ino: fuse_ino_t,
    off: libc::off_t,
    len: libc::off_t,
) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { notify(se, MINOR_INVAL, &Notification::InvalInode(NotifyInvalInodeOut { ino, off, len }), &[]) }
}
symver!(fuse_lowlevel_notify_inval_inode, "FUSE_3.0");

/// Drops or expires a name that the kernel caches.
unsafe fn notify_entry(se: *mut fuse_session, parent: u64, name: *const c_char, namelen: usize, flags: u32) -> c_int {
    // SAFETY: the callers vouch for the name.
    let Some(name) = (unsafe { name_bytes(name, namelen) }) else { return -(Errno::EINVAL as c_int) };
    let out = NotifyInvalEntryOut { parent, namelen: namelen as u32, flags };
    // SAFETY: the callers vouch for the session.
    unsafe { notify(se, MINOR_INVAL, &Notification::InvalEntry(out), &[IoSlice::new(name), IoSlice::new(&[0])]) }
}

/// Drops a name that the kernel caches, and the attributes of its directory.
///
/// `parent`: nodeid of the directory. `name`: `namelen` bytes, a NUL behind them is not needed.
/// Returns 0 or a negative errno: -ENOENT when the name is not cached. Since libfuse 3.0, kernel 2.6.31.
///
/// # Safety
/// `se` is NULL or a session; `name` is NULL or has `namelen` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_inval_entry(
    se: *mut fuse_session,
    parent: fuse_ino_t,
    name: *const c_char,
    namelen: usize,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { notify_entry(se, parent, name, namelen, 0) }
}
symver!(fuse_lowlevel_notify_inval_entry, "FUSE_3.0");

/// Drops or expires a name that the kernel caches: expiring needs a kernel that offers it.
///
/// # Safety
/// As for [`notify_entry`].
unsafe fn notify_expire(se: *mut fuse_session, parent: u64, name: *const c_char, namelen: usize, flags: u32) -> c_int {
    if flags & EXPIRE_ONLY == 0 {
        // SAFETY: as the caller vouches.
        return unsafe { notify_entry(se, parent, name, namelen, 0) };
    }
    // SAFETY: the caller vouches for the session.
    match unsafe { with_session(se, crate::session::Session::capable) } {
        None => -(Errno::EINVAL as c_int),
        Some(caps) if caps & FUSE_CAP_EXPIRE_ONLY == 0 => -(Errno::ENOSYS as c_int),
        // SAFETY: as the caller vouches.
        Some(_) => unsafe { notify_entry(se, parent, name, namelen, EXPIRE_ONLY) },
    }
}

/// Lets a name that the kernel caches expire: it is looked up again at its next use, but unlike with
/// fuse_lowlevel_notify_inval_entry() mounts and open directories below it stay.
///
/// Arguments as for that function. Returns 0 or a negative errno: -ENOSYS when the kernel did not offer
/// FUSE_CAP_EXPIRE_ONLY. Since libfuse 3.12, kernel 6.2.
///
/// # Safety
/// `se` is NULL or a session; `name` is NULL or has `namelen` bytes.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_expire_entry(
    se: *mut fuse_session,
    parent: fuse_ino_t,
    name: *const c_char,
    namelen: usize,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { notify_expire(se, parent, name, namelen, EXPIRE_ONLY) }
}

/// Drops or expires a name that the kernel caches, for programs built with the headers of 3.12 to 3.15.
///
/// `flags`: FUSE_LL_EXPIRE_ONLY lets it expire, 0 drops it as fuse_lowlevel_notify_inval_entry() does. Returns 0 or a
/// negative errno: -ENOSYS when it is to expire and the kernel did not offer FUSE_CAP_EXPIRE_ONLY.
///
/// # Safety
/// `se` is NULL or a session; `name` is NULL or has `namelen` bytes.
#[cfg(soname = "3")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_expire_entry(
    se: *mut fuse_session,
    parent: fuse_ino_t,
    name: *const c_char,
    namelen: usize,
    flags: crate::abi::c::lowlevel::fuse_notify_entry_flags,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { notify_expire(se, parent, name, namelen, flags as u32) }
}
symver!(fuse_lowlevel_notify_expire_entry, "FUSE_3.12");

/// Tells the kernel that a name was deleted: as fuse_lowlevel_notify_inval_entry(), and who watches the directory is
/// told, provided that the name still stands for `child`.
///
/// Returns 0 or a negative errno: -ENOENT when the name is not cached, -ENOTEMPTY for a directory that is not empty.
/// Since libfuse 3.0, kernel 3.3.
///
/// # Safety
/// `se` is NULL or a session; `name` is NULL or has `namelen` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_delete(
    se: *mut fuse_session,
    parent: fuse_ino_t,
    child: fuse_ino_t,
    name: *const c_char,
    namelen: usize,
) -> c_int {
    // SAFETY: the caller vouches for the name.
    let Some(name) = (unsafe { name_bytes(name, namelen) }) else { return -(Errno::EINVAL as c_int) };
    let out = NotifyDeleteOut { parent, child, namelen: namelen as u32, padding: 0 };
    // SAFETY: the caller vouches for the session.
    unsafe { notify(se, MINOR_DELETE, &Notification::Delete(out), &[IoSlice::new(name), IoSlice::new(&[0])]) }
}
symver!(fuse_lowlevel_notify_delete, "FUSE_3.0");

/// Stores data in the kernel's page cache, extending the file if it reaches behind its end.
///
/// `ino`: nodeid. `offset`: position in the file, in bytes. `bufv`: the data; files in it are read.
/// `flags`: as for fuse_buf_copy(). Returns 0 or a negative errno: -ENOENT when the inode is not cached.
/// Since libfuse 3.0, kernel 2.6.36.
///
/// # Safety
/// `se` is NULL or a session; `bufv` points to buffers of which each holds what it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_store(
    se: *mut fuse_session,
    ino: fuse_ino_t,
    offset: libc::off_t,
    bufv: *mut fuse_bufvec,
    flags: fuse_buf_copy_flags,
) -> c_int {
    // They are about files on both sides, and this goes by memory.
    let _ = flags;
    // SAFETY: the caller vouches for the buffers.
    match unsafe { Gathered::new(bufv, None) } {
        Ok(mut data) => {
            let size = data.size() as u32;
            let out = NotifyStoreOut { nodeid: ino, offset: offset as u64, size, padding: 0 };
            // SAFETY: the caller vouches for the session.
            data.lend(|slices| unsafe { notify(se, MINOR_STORE, &Notification::Store(out), slices) })
        }
        Err(errno) => Err(errno).code(),
    }
}
symver!(fuse_lowlevel_notify_store, "FUSE_3.0");

/// Asks for data of the kernel's page cache, which arrives in the retrieve_reply callback: only what is cached, so it
/// may be less than asked for, or nothing.
///
/// `ino`: nodeid. `size`, `offset`: which part of the file, in bytes. `cookie`: passed to the callback.
/// Returns 0 or a negative errno, and then the callback is not called: -ENOENT when the inode is not cached.
/// Since libfuse 3.0, kernel 2.6.36.
///
/// # Safety
/// `se` is NULL or a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_retrieve(
    se: *mut fuse_session,
    ino: fuse_ino_t,
    size: usize,
    offset: libc::off_t,
    cookie: *mut c_void,
) -> c_int {
    // SAFETY: the caller vouches for the session.
    let sent = unsafe {
        with_session(se, |se| {
            if se.proto_minor() < MINOR_STORE {
                return Err(Errno::ENOSYS);
            }
            let notify_unique = se.await_retrieve(cookie.expose_provenance());
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            let out = NotifyRetrieveOut { notify_unique, nodeid: ino, offset: offset as u64, size, padding: 0 };
            se.notify(&Notification::Retrieve(out), &[]).inspect_err(|_| {
                se.take_retrieve(notify_unique);
            })
        })
    };
    sent.unwrap_or(Err(Errno::EINVAL)).code()
}
symver!(fuse_lowlevel_notify_retrieve, "FUSE_3.0");

/// Makes every name and attribute stale that the kernel caches: each is looked up again at its next use.
///
/// Returns 0 or a negative errno: -ENOSYS when the kernel does not know this notification. Since libfuse 3.18, kernel
/// 6.16.
///
/// # Safety
/// `se` is NULL or a session.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_increment_epoch(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    unsafe { notify(se, MINOR_EPOCH, &Notification::IncEpoch, &[]) }
}
#[cfg(not(soname = "3"))]
symver!(fuse_lowlevel_notify_increment_epoch, "FUSE_3.18");

/// Asks the kernel to let go of inodes, which it answers with forgets for those that nobody uses.
///
/// - `nodeids`: `count` node ids, only read. Those that are in use, or not cached, are passed over.
///
/// Returns 0 or a negative errno: -ENOSYS when the kernel does not know this notification, -EINVAL for a null pointer.
/// Since libfuse 3.19, kernel 6.18.
///
/// # Safety
/// `se` is NULL or a session; `nodeids` is NULL or has `count` elements.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_prune(
    se: *mut fuse_session,
    nodeids: *mut fuse_ino_t,
    count: u32,
) -> c_int {
    let nodeids: &[fuse_ino_t] = match (nodeids.is_null(), count) {
        (_, 0) => &[],
        (true, _) => {
            log::error!("fuse_lowlevel_notify_prune: null pointer");
            return -(Errno::EINVAL as c_int);
        }
        // SAFETY: the caller vouches for the array.
        (false, _) => unsafe { core::slice::from_raw_parts(nodeids, count as usize) },
    };
    let out = NotifyPruneOut { count, padding: 0, spare: 0 };
    let nodeids = IoSlice::new(zerocopy::IntoBytes::as_bytes(nodeids));
    // SAFETY: the caller vouches for the session.
    unsafe { notify(se, MINOR_PRUNE, &Notification::Prune(out), &[nodeids]) }
}
#[cfg(not(soname = "3"))]
symver!(fuse_lowlevel_notify_prune, "FUSE_3.19");
