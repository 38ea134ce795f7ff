//! Filling a directory buffer.

use crate::abi::c::lowlevel::{fuse_entry_param, fuse_req_t};
use crate::capi::log;
use crate::dispatch::live;
use crate::encode;
use crate::session::inflight::ReplyFlags;
use core::ffi::{CStr, c_char, c_int};

/// A record that cannot be made takes no room, so that a daemon's loop goes on to the next.
#[cold]
fn refuse_null(function: &str) -> usize {
    log::install();
    ::log::error!("{function}: null pointer");
    0
}

/// The name of an entry, and whether it can be one: with an empty one or a slash in it the kernel refuses the whole reply.
///
/// # Safety
/// `name` is NUL-terminated, and stays as it is for as long as what is returned is used.
#[inline]
unsafe fn name_of<'a>(name: *const c_char) -> (&'a [u8], bool) {
    // One pass for both questions. SAFETY: the caller vouches for the name; the end is in it.
    let length = unsafe { libc::strchrnul(name, c_int::from(b'/')).offset_from_unsigned(name) };
    // SAFETY: so many bytes stand before a slash or the NUL, and at least that one behind them.
    let (bytes, end) = unsafe { (core::slice::from_raw_parts(name.cast(), length), *name.add(length)) };
    if end == 0 {
        return (bytes, length > 0);
    }
    // SAFETY: the caller vouches for the name.
    (unsafe { CStr::from_ptr(name) }.to_bytes(), false)
}

#[cold]
fn tell_of_name(function: &str, name: &[u8]) {
    log::install();
    let name = String::from_utf8_lossy(name);
    ::log::error!("{function}: '{name}' is no name of an entry, whoever reads the directory gets EIO");
}

/// Adds a record to the buffer of a readdir reply.
///
/// `req`: not used. `buf`: where the record goes, `bufsize` bytes; NULL only asks for the size. `name`: NUL-terminated; one
/// that is empty or has a slash is a log line here, and EIO from the kernel to whoever reads the directory.
/// `stbuf`: `st_ino` and the type bits of `st_mode` count. `off`: where reading goes on behind this record.
/// Returns the record's size in bytes; when that is more than `bufsize`, nothing was written. 0 after a log line when a
/// pointer is NULL that must not be. May be called on any thread. Since libfuse 3.0.
///
/// # Safety
/// `buf` is null or points to `bufsize` writable bytes; `name` and `stbuf` point to what they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_add_direntry(
    req: fuse_req_t,
    buf: *mut c_char,
    bufsize: usize,
    name: *const c_char,
    stbuf: *const libc::stat,
    off: libc::off_t,
) -> usize {
    let _ = req;
    if name.is_null() || (!buf.is_null() && stbuf.is_null()) {
        return refuse_null("fuse_add_direntry");
    }
    // SAFETY: the caller vouches for the name.
    let (name, fit) = unsafe { name_of(name) };
    let size = encode::dirent_size(name);
    if buf.is_null() || size > bufsize {
        return size;
    }
    // SAFETY: the caller vouches for the buffer and, now that it is read, for the attributes.
    let (buf, st) = unsafe { (core::slice::from_raw_parts_mut(buf.cast(), size), &*stbuf) };
    if !fit {
        tell_of_name("fuse_add_direntry", name);
    }
    encode::put_dirent(buf, name, st, off);
    size
}
symver!(fuse_add_direntry, "FUSE_3.0");

/// Adds a record to the buffer of a readdirplus reply. Each record but those of "." and ".." raises the lookup count
/// of its inode once the reply is sent, unless `e->ino` is 0.
///
/// Arguments and return value as for fuse_add_direntry(), with `e` as in a lookup's reply. Of `req`, what
/// fuse_req_set_attr_flags() set is used. Since libfuse 3.0.
///
/// # Safety
/// `buf` is null or points to `bufsize` writable bytes; `name` and `e` point to what they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_add_direntry_plus(
    req: fuse_req_t,
    buf: *mut c_char,
    bufsize: usize,
    name: *const c_char,
    e: *const fuse_entry_param,
    off: libc::off_t,
) -> usize {
    if name.is_null() || (!buf.is_null() && e.is_null()) {
        return refuse_null("fuse_add_direntry_plus");
    }
    // SAFETY: the caller vouches for the name.
    let (name, fit) = unsafe { name_of(name) };
    let size = encode::direntplus_size(name);
    if buf.is_null() || size > bufsize {
        return size;
    }
    // SAFETY: the caller vouches for the buffer and, now that it is read, for the entry.
    let (buf, e) = unsafe { (core::slice::from_raw_parts_mut(buf.cast(), size), &*e) };
    let flags = live(req).map_or(0, |(slot, _)| slot.reply_flags(ReplyFlags::Attr));
    if !fit {
        tell_of_name("fuse_add_direntry_plus", name);
    }
    encode::put_direntplus(buf, name, e, off, flags);
    size
}
symver!(fuse_add_direntry_plus, "FUSE_3.0");
