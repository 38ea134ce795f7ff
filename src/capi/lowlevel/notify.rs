//! Telling the kernel that what it caches is stale, and moving data to and from its page cache. What holds for all:
//!
//! Any thread may notify, but not while it keeps the kernel waiting for a request on the same inode or directory:
//! the kernel takes locks that such a request may hold. The kernel answers -ENOENT for what it does not cache.

use crate::abi::c::common::{fuse_buf_copy_flags, fuse_bufvec, fuse_pollhandle, fuse_session};
use crate::abi::c::lowlevel::fuse_ino_t;
use crate::abi::flags::EXPIRE_ONLY;
use crate::abi::wire::{NotifyDeleteOut, NotifyInvalEntryOut, NotifyInvalInodeOut, NotifyRetrieveOut, NotifyStoreOut};
use crate::capi::common::buf::Gathered;
use crate::capi::lowlevel::session::with_session;
use crate::capi::result::ToC;
use crate::dispatch::PollHandle;
use crate::encode::Notification;
use core::ffi::{CStr, c_char, c_int, c_void};
use nix::errno::Errno;
use std::io::IoSlice;

/// Notifies on a session from C; a null one is EINVAL.
unsafe fn notify(se: *mut fuse_session, notification: &Notification, payload: &[IoSlice<'_>]) -> c_int {
    // SAFETY: the callers vouch for the session.
    let sent = unsafe { with_session(se, |se| se.notify(notification, payload)) };
    sent.unwrap_or(Err(Errno::EINVAL)).code()
}

/// A name from C with its NUL, as notifications carry it. `namelen` does not count the NUL.
unsafe fn name_bytes<'a>(name: *const c_char, namelen: usize) -> Option<&'a [u8]> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the callers vouch for a NUL-terminated string.
    let name = unsafe { CStr::from_ptr(name) };
    // A name that is shorter than said is sent as it is; one that is longer is cut, as the count asks for.
    name.to_bytes().get(..namelen.min(name.count_bytes()))
}

/// Wakes those who poll(2) a file.
///
/// `ph`: the handle that the poll callback got; it stays the daemon's. The kernel polls again then. Returns 0 or a
/// negative errno; NULL does nothing. Since libfuse 3.0.
///
/// # Safety
/// `ph` is NULL or a handle that was not destroyed, and its session exists.
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
    unsafe { notify(se, &Notification::InvalInode(NotifyInvalInodeOut { ino, off, len }), &[]) }
}
symver!(fuse_lowlevel_notify_inval_inode, "FUSE_3.0");

/// Drops or expires a name that the kernel caches.
unsafe fn notify_entry(se: *mut fuse_session, parent: u64, name: *const c_char, namelen: usize, flags: u32) -> c_int {
    // SAFETY: the callers vouch for the name.
    let Some(name) = (unsafe { name_bytes(name, namelen) }) else { return -(Errno::EINVAL as c_int) };
    let out = NotifyInvalEntryOut { parent, namelen: namelen as u32, flags };
    // SAFETY: the callers vouch for the session.
    unsafe { notify(se, &Notification::InvalEntry(out), &[IoSlice::new(name), IoSlice::new(&[0])]) }
}

/// Drops a name that the kernel caches, and the attributes of its directory.
///
/// `parent`: nodeid of the directory. `name`: NUL-terminated, `namelen` bytes without the NUL.
/// Returns 0 or a negative errno: -ENOENT when the name is not cached. Since libfuse 3.0, kernel 2.6.31.
///
/// # Safety
/// `se` is NULL or a session; `name` is NULL or NUL-terminated.
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

/// Lets a name that the kernel caches expire: it is looked up again at its next use, but unlike with
/// fuse_lowlevel_notify_inval_entry() mounts and open directories below it stay.
///
/// Arguments as for that function. Returns 0 or a negative errno: -ENOSYS when the kernel did not offer
/// FUSE_CAP_EXPIRE_ONLY. Since libfuse 3.12, kernel 6.2. Headers of 3.13 to 3.15 declare a fifth argument, flags,
/// which is ignored.
///
/// # Safety
/// `se` is NULL or a session; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_lowlevel_notify_expire_entry(
    se: *mut fuse_session,
    parent: fuse_ino_t,
    name: *const c_char,
    namelen: usize,
) -> c_int {
    // SAFETY: the caller vouches for the session.
    let capable = unsafe { with_session(se, crate::session::Session::capable) };
    match capable {
        None => -(Errno::EINVAL as c_int),
        Some(caps) if caps & crate::abi::c::common::cap::FUSE_CAP_EXPIRE_ONLY == 0 => -(Errno::ENOSYS as c_int),
        // SAFETY: as the caller vouches.
        Some(_) => unsafe { notify_entry(se, parent, name, namelen, EXPIRE_ONLY) },
    }
}
symver!(fuse_lowlevel_notify_expire_entry, "FUSE_3.12");

/// Tells the kernel that a name was deleted: as fuse_lowlevel_notify_inval_entry(), and who watches the directory is
/// told, provided that the name still stands for `child`.
///
/// Returns 0 or a negative errno: -ENOENT when the name is not cached, -ENOTEMPTY for a directory that is not empty.
/// Since libfuse 3.0, kernel 3.3.
///
/// # Safety
/// `se` is NULL or a session; `name` is NULL or NUL-terminated.
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
    unsafe { notify(se, &Notification::Delete(out), &[IoSlice::new(name), IoSlice::new(&[0])]) }
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
    // SAFETY: the caller vouches for the buffers.
    match unsafe { Gathered::new(bufv, flags) } {
        Ok(data) => {
            let size = data.size() as u32;
            let out = NotifyStoreOut { nodeid: ino, offset: offset as u64, size, padding: 0 };
            // SAFETY: the caller vouches for the session.
            unsafe { notify(se, &Notification::Store(out), &data.slices()) }
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
