//! Replies. What holds for all of them:
//!
//! Any thread may reply, once for each request; the request's handle is no longer valid afterwards, whatever the
//! return value. A reply to a handle that is not in flight is -EINVAL and a log line.

use crate::abi::c::common::{FILE_INFO_COMPAT_SIZE, fuse_file_info};
use crate::abi::c::lowlevel::{fuse_entry_param, fuse_req_t};
use crate::abi::opcode::Opcode;
use crate::abi::wire::{BmapOut, CopyFileRangeOut, GetxattrOut, LkOut, LseekOut, PollOut, WriteOut};
#[cfg(not(soname = "3"))]
use crate::abi::wire::{Statx, StatxOut};
use crate::capi::result::ToC;
use crate::dispatch::Pending;
use crate::encode;
use crate::session::inflight::ReplyFlags;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use nix::errno::Errno;
use std::borrow::Cow;
use std::io::IoSlice;
use zerocopy::{Immutable, IntoBytes};

/// Claims the request and lets `answer` reply.
#[inline]
pub(super) fn with(req: fuse_req_t, function: &str, answer: impl FnOnce(Pending) -> Result<(), Errno>) -> c_int {
    match Pending::claim(req, function) {
        Some(pending) => answer(pending).code(),
        None => -(Errno::EINVAL as c_int),
    }
}

/// Replies with one struct.
#[inline]
fn with_value<T: IntoBytes + Immutable>(req: fuse_req_t, function: &str, value: &T) -> c_int {
    with(req, function, |pending| pending.reply_with(value))
}

/// Replies with what a pointer of the daemon leads to; a null one becomes EIO for the application and -EINVAL for
/// the daemon.
#[inline]
pub(super) fn with_pointer<T, F>(req: fuse_req_t, function: &str, pointer: *const T, answer: F) -> c_int
where
    F: FnOnce(Pending, &T) -> Result<(), Errno>,
{
    with(req, function, |pending| {
        // SAFETY: the caller of each reply vouches that the pointer is null or leads to a whole struct.
        match unsafe { pointer.as_ref() } {
            Some(value) => answer(pending, value),
            None => refuse_null(pending, function),
        }
    })
}

#[cold]
fn refuse_null(pending: Pending, function: &str) -> Result<(), Errno> {
    refuse(pending, function, NULL)
}

/// Answers with EIO because an argument is not what it must be.
#[cold]
pub(super) fn refuse(pending: Pending, function: &str, why: &str) -> Result<(), Errno> {
    log::error!("{function}: {why}");
    let _ = pending.reply_error(Errno::EIO);
    Err(Errno::EINVAL)
}

/// What is wrong with an argument of a reply.
const NULL: &str = "null pointer";
const SIZE: &str = "a size that no memory has";

/// Memory of the daemon that is to be sent; else what is wrong with it. `(size_t)-1` is what a failed read(2) leaves in
/// the hands of a daemon that does not look.
///
/// # Safety
/// `data` is null or points to `len` readable bytes, for as long as `'a`, if memory can have that size.
#[inline]
pub(super) unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Result<&'a [u8], &'static str> {
    match (len, data.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(NULL),
        _ if isize::try_from(len).is_err() => Err(SIZE),
        // SAFETY: the caller vouches for the bytes.
        _ => Ok(unsafe { core::slice::from_raw_parts(data.cast(), len) }),
    }
}

/// The daemon's file info, without reading past its end: programs built before 3.17 have 40 bytes of it.
///
/// # Safety
/// `fi` points to a struct of the size that the session's program knows.
unsafe fn file_info(pending: &Pending, fi: *const fuse_file_info) -> fuse_file_info {
    if !pending.session().config().compat_file_info {
        // SAFETY: the caller vouches that the whole struct is there.
        return unsafe { fi.read() };
    }
    let mut file = fuse_file_info::default();
    // SAFETY: the caller vouches for 40 bytes; the target has more.
    unsafe {
        core::ptr::copy_nonoverlapping(fi.cast::<u8>(), (&raw mut file).cast::<u8>(), FILE_INFO_COMPAT_SIZE);
    }
    // Fields that came later lie in what was padding then.
    file.bits &= COMPAT_BITS;
    file.backing_id = 0;
    file
}

/// The bit-fields that programs built before 3.17 know.
const COMPAT_BITS: u32 = 0xff;

/// What fuse_req_set_open_flags() set.
#[inline]
fn open_flags(pending: &Pending) -> u32 {
    pending.slot().reply_flags(ReplyFlags::Open)
}

/// What fuse_req_set_attr_flags() set.
#[inline]
fn attr_flags(pending: &Pending) -> u32 {
    pending.slot().reply_flags(ReplyFlags::Attr)
}

/// Replies with an error, or with success where nothing else is to be said.
///
/// `err`: 0 or a positive errno. Another value is logged and becomes ERANGE: the kernel would refuse it, and whoever
/// waits would wait on. Possible in every callback but forget, forget_multi and retrieve_reply, where nothing is sent: a
/// log line and -ENOENT.
/// Returns 0, or a negative errno when the reply could not be sent; -ENOENT means that the request was interrupted
/// and nobody waits for it any more. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_reply_err(req: fuse_req_t, err: c_int) -> c_int {
    let error = if may_be_sent(err) {
        -err
    } else {
        log::error!("bad error value: {}", err.wrapping_neg());
        -(Errno::ERANGE as c_int)
    };
    with(req, "fuse_reply_err", |pending| pending.reply(error, &[]))
}
symver!(fuse_reply_err, "FUSE_3.0");

/// The errnos that have a name, as in libfuse 3.19. Programs of 3.14's time may have numbers of their own, as far as
/// the kernel takes them: from 512 on they are its own.
fn may_be_sent(err: c_int) -> bool {
    let named = err == 0 || Errno::from_raw(err) != Errno::UnknownErrno;
    if cfg!(soname = "3") { (0..512).contains(&err) } else { named }
}

/// Ends a request that is owed no reply: in forget, forget_multi and retrieve_reply. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_reply_none(req: fuse_req_t) {
    if let Some(pending) = Pending::claim(req, "fuse_reply_none") {
        pending.finish();
    }
}
symver!(fuse_reply_none, "FUSE_3.0");

/// Replies with a directory entry: in lookup, mknod, mkdir, symlink and link.
///
/// `e`: the entry, copied. With `ino` 0 the kernel caches the name's absence for `entry_timeout`. Each such reply that
/// the kernel accepts raises the inode's lookup count by one.
/// Returns 0 or a negative errno; after an error the lookup count was not raised. Since libfuse 3.0.
///
/// # Safety
/// `e` is null or points to an initialised struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_entry(req: fuse_req_t, e: *const fuse_entry_param) -> c_int {
    with_pointer(req, "fuse_reply_entry", e, |pending, e| {
        let flags = attr_flags(&pending);
        encode::with_entry(e, flags, |entry| pending.reply_with(entry))
    })
}
symver!(fuse_reply_entry, "FUSE_3.0");

/// Replies with a directory entry and an open file: in create and tmpfile.
///
/// `e` and `fi` are copied; of `fi` the handle, the open bits and the backing id count.
/// Returns 0 or a negative errno; after an error neither the lookup count was raised nor will release be called.
/// Since libfuse 3.0.
///
/// # Safety
/// Both are null or point to initialised structs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_create(
    req: fuse_req_t,
    e: *const fuse_entry_param,
    fi: *const fuse_file_info,
) -> c_int {
    with_pointer(req, "fuse_reply_create", e, |pending, e| {
        if fi.is_null() {
            return refuse_null(pending, "fuse_reply_create");
        }
        // SAFETY: the caller vouches for the struct.
        let file = unsafe { file_info(&pending, fi) };
        let open = encode::open(&file, open_flags(&pending));
        let flags = attr_flags(&pending);
        encode::with_entry(e, flags, |entry| pending.reply_open(Some(entry), open))
    })
}
symver!(fuse_reply_create, "FUSE_3.0");

/// Replies with attributes: in getattr and setattr.
///
/// `attr`: copied. `attr_timeout`: how long they may be cached, in seconds.
/// Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `attr` is null or points to an initialised struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_attr(req: fuse_req_t, attr: *const libc::stat, attr_timeout: f64) -> c_int {
    with_pointer(req, "fuse_reply_attr", attr, |pending, attr| {
        let flags = attr_flags(&pending);
        encode::with_attr(attr, attr_timeout, flags, |attributes| pending.reply_with(attributes))
    })
}
symver!(fuse_reply_attr, "FUSE_3.0");

/// Replies with the target of a symbolic link: in readlink.
///
/// `link`: NUL-terminated, copied. Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `link` is null or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_readlink(req: fuse_req_t, link: *const c_char) -> c_int {
    with_pointer(req, "fuse_reply_readlink", link, |pending, first| {
        // SAFETY: the caller vouches for the string.
        let link = unsafe { CStr::from_ptr(first) };
        pending.reply_bytes(link.to_bytes())
    })
}
symver!(fuse_reply_readlink, "FUSE_3.0");

/// Replies with an open file: in open and opendir.
///
/// `fi`: copied; the handle, the open bits and the backing id count.
/// Returns 0 or a negative errno; after an error release will not be called. Since libfuse 3.0.
///
/// # Safety
/// `fi` is null or points to an initialised struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_open(req: fuse_req_t, fi: *const fuse_file_info) -> c_int {
    with(req, "fuse_reply_open", |pending| {
        if fi.is_null() {
            return refuse_null(pending, "fuse_reply_open");
        }
        // SAFETY: the caller vouches for the struct.
        let file = unsafe { file_info(&pending, fi) };
        let open = encode::open(&file, open_flags(&pending));
        pending.reply_open(None, open)
    })
}
symver!(fuse_reply_open, "FUSE_3.0");

/// Replies with the number of bytes written or copied: in write, write_buf and copy_file_range.
///
/// Returns 0 or a negative errno. Since libfuse 3.0; the 64-bit copies of kernels since 7.45 get the whole count,
/// everything else its lower 32 bits.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_reply_write(req: fuse_req_t, count: usize) -> c_int {
    with(req, "fuse_reply_write", |pending| {
        if pending.slot().opcode() == Opcode::CopyFileRange64 as u32 {
            return pending.reply_with(&CopyFileRangeOut { bytes_copied: count as u64 });
        }
        pending.reply_with(&WriteOut { size: count as u32, padding: 0 })
    })
}
symver!(fuse_reply_write, "FUSE_3.0");

/// Replies with data: in read, readdir, readdirplus, getxattr and listxattr.
///
/// `buf`: `size` bytes, which are sent before the call returns. At the end of a file or directory `size` is 0 and
/// `buf` may be NULL. Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `buf` points to `size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_buf(req: fuse_req_t, buf: *const c_char, size: usize) -> c_int {
    with(req, "fuse_reply_buf", |pending| {
        // SAFETY: the caller vouches for `size` bytes.
        match unsafe { bytes(buf.cast(), size) } {
            Ok([]) => pending.reply(0, &[]),
            Ok(data) => pending.reply_bytes(data),
            Err(why) => refuse(pending, "fuse_reply_buf", why),
        }
    })
}
symver!(fuse_reply_buf, "FUSE_3.0");

/// Replies with data in pieces: where fuse_reply_buf() is possible.
///
/// `iov`: `count` pieces, sent as one message before the call returns.
/// Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `iov` points to `count` pieces, each with as many readable bytes as it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_iov(req: fuse_req_t, iov: *const libc::iovec, count: c_int) -> c_int {
    with(req, "fuse_reply_iov", |pending| {
        // SAFETY: the caller vouches for the pieces.
        match unsafe { pieces(iov, count) } {
            Ok(pieces) => pending.reply(0, &pieces),
            Err(why) => refuse(pending, "fuse_reply_iov", why),
        }
    })
}
symver!(fuse_reply_iov, "FUSE_3.0");

/// The daemon's iovecs as slices; else what is wrong with them: a null pointer where something is to be read, a size
/// that cannot be, a negative count.
///
/// # Safety
/// `iov` is null or points to `count` pieces, each with as many readable bytes as it states, for as long as `'a`.
pub(super) unsafe fn pieces<'a>(iov: *const libc::iovec, count: c_int) -> Result<Cow<'a, [IoSlice<'a>]>, &'static str> {
    let count = usize::try_from(count).map_err(|_| "a negative number of pieces")?;
    if count == 0 {
        return Ok(Cow::Borrowed(&[]));
    }
    if iov.is_null() {
        return Err(NULL);
    }
    // SAFETY: the caller vouches for the array.
    let raw = unsafe { core::slice::from_raw_parts(iov, count) };
    if raw.iter().all(|piece| !piece.iov_base.is_null() && isize::try_from(piece.iov_len).is_ok()) {
        // SAFETY: IoSlice is guaranteed to be laid out as iovec, and the caller vouches for the bytes.
        return Ok(Cow::Borrowed(unsafe { core::slice::from_raw_parts(iov.cast(), count) }));
    }
    // SAFETY: the caller vouches for the bytes.
    let slice = |piece: &libc::iovec| unsafe { bytes(piece.iov_base, piece.iov_len) }.map(IoSlice::new);
    raw.iter().map(slice).collect::<Result<Vec<_>, _>>().map(Cow::Owned)
}

/// Replies with the figures of a file system: in statfs.
///
/// `stbuf`: copied. Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `stbuf` is null or points to an initialised struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_statfs(req: fuse_req_t, stbuf: *const libc::statvfs) -> c_int {
    with_pointer(req, "fuse_reply_statfs", stbuf, |pending, st| pending.reply_with(&encode::statfs(st)))
}
symver!(fuse_reply_statfs, "FUSE_3.0");

/// Replies with the size that a buffer would need, in bytes: in getxattr and listxattr when they are called with
/// size 0. Returns 0 or a negative errno. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_reply_xattr(req: fuse_req_t, count: usize) -> c_int {
    with_value(req, "fuse_reply_xattr", &GetxattrOut { size: count as u32, padding: 0 })
}
symver!(fuse_reply_xattr, "FUSE_3.0");

/// Replies with a lock: in getlk.
///
/// `lock`: copied; type, start, length and pid count. Returns 0 or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `lock` is null or points to an initialised struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_lock(req: fuse_req_t, lock: *const libc::flock) -> c_int {
    with_pointer(req, "fuse_reply_lock", lock, |pending, lock| pending.reply_with(&LkOut { lk: encode::lock(lock) }))
}
symver!(fuse_reply_lock, "FUSE_3.0");

/// Replies with a block number of the device: in bmap.
///
/// Returns 0 or a negative errno. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_reply_bmap(req: fuse_req_t, idx: u64) -> c_int {
    with_value(req, "fuse_reply_bmap", &BmapOut { block: idx })
}
symver!(fuse_reply_bmap, "FUSE_3.0");

/// Replies with the events that are ready: in poll.
///
/// `revents`: POLLIN and its like. Returns 0 or a negative errno. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_reply_poll(req: fuse_req_t, revents: c_uint) -> c_int {
    with_value(req, "fuse_reply_poll", &PollOut { revents, padding: 0 })
}
symver!(fuse_reply_poll, "FUSE_3.0");

/// Replies with an offset in bytes: in lseek.
///
/// Returns 0 or a negative errno. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_reply_lseek(req: fuse_req_t, off: libc::off_t) -> c_int {
    with_value(req, "fuse_reply_lseek", &LseekOut { offset: off as u64 })
}
symver!(fuse_reply_lseek, "FUSE_3.0");

/// Replies with extended attributes: in statx.
///
/// - `flags`: for later use, 0.
/// - `statx`: copied whole; the kernel takes what `stx_mask` names.
/// - `attr_timeout`: how long they may be cached, in seconds.
///
/// Returns 0 or a negative errno. Since libfuse 3.18, kernel 6.6.
///
/// # Safety
/// `statx` is null or points to an initialised struct.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_reply_statx(
    req: fuse_req_t,
    flags: c_int,
    statx: *const libc::statx,
    attr_timeout: f64,
) -> c_int {
    // The kernel's struct is that of the system call, later members included.
    with_pointer(req, "fuse_reply_statx", statx.cast::<Statx>(), |pending, stat| {
        let (attr_valid, attr_valid_nsec) = encode::timeout(attr_timeout);
        let out = StatxOut { attr_valid, attr_valid_nsec, flags: flags as u32, spare: [0; 2], stat: *stat };
        pending.reply_with(&out)
    })
}
#[cfg(not(soname = "3"))]
symver!(fuse_reply_statx, "FUSE_3.18");
#[cfg(not(soname = "3"))]
const _: () =
    assert!(size_of::<Statx>() == size_of::<libc::statx>() && align_of::<Statx>() == align_of::<libc::statx>());
