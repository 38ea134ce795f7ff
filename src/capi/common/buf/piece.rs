//! A position in a buffer vector, and what stands there.

use crate::abi::c::common::{FUSE_BUF_FD_RETRY, FUSE_BUF_FD_SEEK, FUSE_BUF_IS_FD, fuse_buf, fuse_bufvec};
use core::mem::MaybeUninit;
use nix::errno::Errno;

/// The buffers of a vector.
///
/// # Safety
/// `bufv` points to a vector with `count` buffers, which stay for as long as `'a`.
pub unsafe fn buffers<'a>(bufv: *const fuse_bufvec) -> &'a [fuse_buf] {
    // SAFETY: the caller vouches for the vector. No reference to the whole struct is made: C declares one buffer, and
    // there may be more or none.
    unsafe { core::slice::from_raw_parts((&raw const (*bufv).buf).cast(), (*bufv).count) }
}

/// What is left of the buffer at a vector's position.
#[derive(Clone, Copy)]
pub struct Piece {
    buf: fuse_buf,
    /// Bytes of the buffer that are done.
    done: usize,
}

impl Piece {
    /// The piece at the vector's position, which may be empty; none at its end.
    ///
    /// # Safety
    /// As for [`buffers`].
    pub unsafe fn at(bufv: *const fuse_bufvec) -> Option<Self> {
        // SAFETY: the caller vouches for the vector; the position does not lie in the buffers.
        let (buffers, idx, off) = unsafe { (buffers(bufv), (*bufv).idx, (*bufv).off) };
        // A position that the daemon set behind a buffer's end leaves nothing of it.
        buffers.get(idx).map(|buf| Self { buf: *buf, done: off.min(buf.size) })
    }

    /// Bytes that are left.
    pub fn len(&self) -> usize {
        self.buf.size - self.done
    }

    /// Whether the data lies in a file.
    pub fn is_file(&self) -> bool {
        self.buf.flags & FUSE_BUF_IS_FD != 0
    }

    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: fstat fills the struct, or fails; a number that is no open file is an errno.
        let known = unsafe { libc::fstat(self.buf.fd, status.as_mut_ptr()) } == 0;
        // SAFETY: it was filled.
        known && unsafe { status.assume_init() }.st_mode & libc::S_IFMT == libc::S_IFREG
    }

    /// Whether some of the buffer is done.
    pub fn is_begun(&self) -> bool {
        self.done > 0
    }

    /// Whether a short read or write is no end.
    pub fn retries(&self) -> bool {
        self.buf.flags & FUSE_BUF_FD_RETRY != 0
    }

    /// The file.
    pub fn fd(&self) -> i32 {
        self.buf.fd
    }

    /// Where in the file, if not at its own position, `more` bytes on.
    pub fn position(&self, more: usize) -> Option<libc::off_t> {
        let seeks = self.buf.flags & FUSE_BUF_FD_SEEK != 0;
        seeks.then(|| self.buf.pos.wrapping_add((self.done + more) as libc::off_t))
    }

    /// The bytes in memory; EFAULT when there should be some and is none.
    pub fn memory(&self) -> Result<*mut u8, Errno> {
        if self.buf.mem.is_null() && self.len() > 0 {
            return Err(Errno::EFAULT);
        }
        Ok(self.buf.mem.cast::<u8>().wrapping_add(self.done))
    }
}

/// Moves a vector's position behind `len` bytes of the piece that is there; false when that was the vector's end. The
/// offset stays behind the last buffer then.
///
/// # Safety
/// As for [`buffers`]; `len` is at most what is left of the piece.
pub unsafe fn advance(bufv: *mut fuse_bufvec, len: usize) -> bool {
    // SAFETY: the caller vouches for the vector.
    unsafe {
        (*bufv).off += len;
        if buffers(bufv).get((*bufv).idx).is_some_and(|buf| (*bufv).off < buf.size) {
            return true;
        }
        (*bufv).idx += 1;
        if (*bufv).idx >= (*bufv).count {
            return false;
        }
        (*bufv).off = 0;
    }
    true
}
