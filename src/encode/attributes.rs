//! Attributes, entries, timeouts, locks, file system figures.

use crate::abi::c::lowlevel::fuse_entry_param;
use crate::abi::wire::{Attr, AttrOut, EntryOut, FileLock, Kstatfs};

/// A timeout in seconds as the wire has it: whole seconds and nanoseconds. A negative one is zero, one too large to count is
/// forever.
#[inline]
pub fn timeout(seconds: f64) -> (u64, u32) {
    // Nearly all are whole seconds, which 32 bits have room for. `as` saturates, and makes zero of NaN.
    let few = seconds as i32;
    if f64::from(few) == seconds && few >= 0 {
        return (few as u64, 0);
    }
    long_timeout(seconds)
}

#[cold]
fn long_timeout(seconds: f64) -> (u64, u32) {
    let whole = seconds as u64;
    let fraction = seconds - whole as f64;
    if fraction >= 0.999_999_999 { (whole, 999_999_999) } else { (whole, (fraction * 1e9) as u32) }
}

/// Fills in the attributes of an inode, but for the flags, which struct stat has no member for.
///
/// Apart and in place: in line, and in a struct that is returned, all of it passes through every register first.
#[inline(never)]
fn put_attr(attr: &mut Attr, st: &libc::stat) {
    attr.ino = st.st_ino;
    attr.size = st.st_size as u64;
    attr.blocks = st.st_blocks as u64;
    attr.atime = st.st_atime as u64;
    attr.mtime = st.st_mtime as u64;
    attr.ctime = st.st_ctime as u64;
    attr.atimensec = st.st_atime_nsec as u32;
    attr.mtimensec = st.st_mtime_nsec as u32;
    attr.ctimensec = st.st_ctime_nsec as u32;
    attr.mode = st.st_mode;
    attr.nlink = st.st_nlink as u32;
    attr.uid = st.st_uid;
    attr.gid = st.st_gid;
    attr.rdev = st.st_rdev as u32;
    attr.blksize = st.st_blksize as u32;
}

/// Lends the reply to getattr and setattr to `f`. `flags`: what struct stat has no member for.
#[inline(always)] // nothing is copied where the caller sees it made
pub fn with_attr<R>(st: &libc::stat, seconds: f64, flags: u32, f: impl FnOnce(&AttrOut) -> R) -> R {
    let (attr_valid, attr_valid_nsec) = timeout(seconds);
    let mut out = AttrOut { attr_valid, attr_valid_nsec, ..AttrOut::default() };
    put_attr(&mut out.attr, st);
    out.attr.flags = flags;
    f(&out)
}

/// Lends the reply to lookup and its like to `f`.
#[inline(always)] // as `with_attr`
pub fn with_entry<R>(e: &fuse_entry_param, flags: u32, f: impl FnOnce(&EntryOut) -> R) -> R {
    let mut out = EntryOut { nodeid: e.ino, generation: e.generation, ..EntryOut::default() };
    complete(&mut out, e, flags);
    f(&out)
}

/// Makes the same where it is to be.
#[inline]
pub fn put_entry(out: &mut EntryOut, e: &fuse_entry_param, flags: u32) {
    (out.nodeid, out.generation) = (e.ino, e.generation);
    (out.entry_valid, out.attr_valid) = (0, 0);
    (out.entry_valid_nsec, out.attr_valid_nsec) = (0, 0);
    complete(out, e, flags);
}

/// The timeouts, which are zero so far, and the attributes.
#[inline(always)]
fn complete(out: &mut EntryOut, e: &fuse_entry_param, flags: u32) {
    // By their bits: a negative zero may take the longer way.
    if e.entry_timeout.to_bits() | e.attr_timeout.to_bits() != 0 {
        put_timeouts(out, e);
    }
    put_attr(&mut out.attr, &e.attr);
    out.attr.flags = flags;
}

#[inline(never)] // as `put_attr`
fn put_timeouts(out: &mut EntryOut, e: &fuse_entry_param) {
    (out.entry_valid, out.entry_valid_nsec) = timeout(e.entry_timeout);
    (out.attr_valid, out.attr_valid_nsec) = timeout(e.attr_timeout);
}

/// Reply to statfs.
pub fn statfs(st: &libc::statvfs) -> Kstatfs {
    Kstatfs {
        blocks: st.f_blocks,
        bfree: st.f_bfree,
        bavail: st.f_bavail,
        files: st.f_files,
        ffree: st.f_ffree,
        bsize: st.f_bsize as u32,
        namelen: st.f_namemax as u32,
        frsize: st.f_frsize as u32,
        ..Kstatfs::default()
    }
}

/// Reply to getlk. An unlocked range has no limits; a length of 0 reaches to the end of every file.
pub fn lock(l: &libc::flock) -> FileLock {
    let typ = l.l_type as u32;
    if l.l_type == libc::F_UNLCK as libc::c_short {
        return FileLock { typ, pid: l.l_pid as u32, ..FileLock::default() };
    }
    let end = if l.l_len == 0 { i64::MAX } else { l.l_start.wrapping_add(l.l_len).wrapping_sub(1) };
    FileLock { start: l.l_start as u64, end: end as u64, typ, pid: l.l_pid as u32 }
}

#[cfg(test)]
mod tests {
    use super::timeout;

    #[test]
    fn timeouts_saturate() {
        assert_eq!(timeout(1.5), (1, 500_000_000));
        assert_eq!(timeout(-3.0), (0, 0));
        assert_eq!(timeout(f64::NAN), (0, 0));
        assert_eq!(timeout(f64::INFINITY).0, u64::MAX);
        assert_eq!(timeout(1e300).0, u64::MAX);
        assert_eq!(timeout(0.999_999_999_9), (0, 999_999_999));
    }
}
