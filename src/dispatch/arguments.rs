//! Arguments as the C callbacks take them.

use crate::abi::c::common::{fi, fuse_file_info};
use crate::abi::c::lowlevel::fuse_forget_data;
use crate::abi::flags::{FATTR_FH, GETATTR_FH, LK_FLOCK, RELEASE_FLOCK_UNLOCK, RELEASE_FLUSH, WRITE_CACHE};
use crate::abi::wire::{
    FileLock, FlushIn, ForgetOne, GetattrIn, IoctlIn, LkIn, PollIn, ReadIn, ReleaseIn, SetattrIn, WriteIn,
};
use crate::decode::Forgets;
use core::ffi::{c_int, c_short, c_void};
use core::ptr;

/// An open file of which only the handle is known.
#[inline]
pub fn file(fh: u64) -> fuse_file_info {
    fuse_file_info { fh, ..fuse_file_info::default() }
}

#[inline]
pub fn file_with_flags(fh: u64, flags: u32) -> fuse_file_info {
    fuse_file_info { flags: flags as c_int, ..file(fh) }
}

#[inline]
pub fn file_of_getattr(arg: &GetattrIn) -> Option<fuse_file_info> {
    (arg.getattr_flags & GETATTR_FH != 0).then(|| file(arg.fh))
}

#[inline]
pub fn file_of_read(arg: &ReadIn) -> fuse_file_info {
    fuse_file_info { lock_owner: arg.lock_owner, ..file_with_flags(arg.fh, arg.flags) }
}

#[inline]
pub fn file_of_write(arg: &WriteIn) -> fuse_file_info {
    let bits = if arg.write_flags & WRITE_CACHE != 0 { fi::WRITEPAGE } else { 0 };
    fuse_file_info { bits, lock_owner: arg.lock_owner, ..file_with_flags(arg.fh, arg.flags) }
}

#[inline]
pub fn file_of_flush(arg: &FlushIn) -> fuse_file_info {
    fuse_file_info { bits: fi::FLUSH, lock_owner: arg.lock_owner, ..file(arg.fh) }
}

pub fn file_of_release(arg: &ReleaseIn) -> fuse_file_info {
    let mut file = fuse_file_info { lock_owner: arg.lock_owner, ..file_with_flags(arg.fh, arg.flags) };
    if arg.release_flags & RELEASE_FLUSH != 0 {
        file.bits |= fi::FLUSH;
    }
    if arg.release_flags & RELEASE_FLOCK_UNLOCK != 0 {
        file.bits |= fi::FLOCK_RELEASE;
    }
    file
}

pub fn file_of_lock(arg: &LkIn) -> fuse_file_info {
    fuse_file_info { lock_owner: arg.owner, ..file(arg.fh) }
}

pub fn file_of_poll(arg: &PollIn) -> fuse_file_info {
    fuse_file_info { poll_events: arg.events, ..file(arg.fh) }
}

/// The caller's argument of an ioctl, and the input that the kernel fetched: NULL when there is none.
pub fn ioctl(arg: &IoctlIn, data: &[u8]) -> (*mut c_void, *const c_void) {
    let input = if data.is_empty() { ptr::null() } else { data.as_ptr().cast() };
    (ptr::with_exposed_provenance_mut(arg.arg as usize), input)
}

/// What setattr changes: the values, which of them count, and the open file if there is one.
pub fn setattr(arg: &SetattrIn) -> (libc::stat, c_int, Option<fuse_file_info>) {
    // SAFETY: libc::stat is plain integers, for which zeros are valid.
    let mut st: libc::stat = unsafe { core::mem::zeroed() };
    st.st_mode = arg.mode;
    st.st_uid = arg.uid;
    st.st_gid = arg.gid;
    st.st_size = arg.size as i64;
    st.st_atime = arg.atime as i64;
    st.st_mtime = arg.mtime as i64;
    st.st_ctime = arg.ctime as i64;
    st.st_atime_nsec = i64::from(arg.atimensec);
    st.st_mtime_nsec = i64::from(arg.mtimensec);
    st.st_ctime_nsec = i64::from(arg.ctimensec);
    let with_file = arg.valid & FATTR_FH != 0;
    let to_set = arg.valid & SET_ATTR_MASK;
    (st, to_set as c_int, with_file.then(|| file(arg.fh)))
}

/// The bits of SETATTR that the C interface has a name for: mode, uid, gid, size, atime, mtime, both times now,
/// ctime, kill-suid, kill-sgid.
const SET_ATTR_MASK: u32 = 0b1_1101_1011_1111;

/// A byte range lock. The wire's end is inclusive and has no "to the end of the file" but the largest offset.
pub fn lock(lk: &FileLock) -> libc::flock {
    let whole = lk.end == i64::MAX as u64;
    libc::flock {
        l_type: lk.typ as c_short,
        l_whence: libc::SEEK_SET as c_short,
        l_start: lk.start as i64,
        l_len: if whole { 0 } else { lk.end.wrapping_sub(lk.start).wrapping_add(1) as i64 },
        l_pid: lk.pid as i32,
    }
}

/// The operation of a BSD lock, if the lock is one.
pub fn flock_operation(arg: &LkIn, wait: bool) -> Option<c_int> {
    if arg.lk_flags & LK_FLOCK == 0 {
        return None;
    }
    let operation = match arg.lk.typ as c_int {
        libc::F_RDLCK => libc::LOCK_SH,
        libc::F_WRLCK => libc::LOCK_EX,
        libc::F_UNLCK => libc::LOCK_UN,
        _ => 0,
    };
    Some(if wait { operation } else { operation | libc::LOCK_NB })
}

/// The forgets of a batch, for a callback that takes them all.
pub fn forgets(entries: Forgets<'_>) -> Vec<fuse_forget_data> {
    entries.iter().map(|ForgetOne { nodeid, nlookup }| fuse_forget_data { ino: nodeid, nlookup }).collect()
}
