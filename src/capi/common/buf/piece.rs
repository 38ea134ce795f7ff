//! A position in a buffer vector, and what stands there.

use crate::abi::c::common::{FUSE_BUF_FD_RETRY, FUSE_BUF_FD_SEEK, FUSE_BUF_IS_FD, fuse_buf, fuse_bufvec};
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
    /// The piece at the vector's position, behind buffers that are used up; none at its end.
    ///
    /// # Safety
    /// As for [`buffers`].
    pub unsafe fn at(bufv: *mut fuse_bufvec) -> Option<Self> {
        // SAFETY: the caller vouches for the vector.
        let (buffers, bufv) = unsafe { (buffers(bufv), &raw mut *bufv) };
        // SAFETY: as above; the position is not in the buffers.
        let (idx, off) = unsafe { (&mut (*bufv).idx, &mut (*bufv).off) };
        loop {
            let buf = *buffers.get(*idx)?;
            if *off < buf.size {
                return Some(Self { buf, done: *off });
            }
            // An empty buffer, or a position that the daemon set behind the buffer's end.
            *idx += 1;
            *off = 0;
        }
    }

    /// Bytes that are left.
    pub fn len(&self) -> usize {
        self.buf.size - self.done
    }

    /// Whether the data lies in a file.
    pub fn is_file(&self) -> bool {
        self.buf.flags & FUSE_BUF_IS_FD != 0
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

    /// The bytes in memory; EFAULT when there is no memory.
    pub fn memory(&self) -> Result<*mut u8, Errno> {
        if self.buf.mem.is_null() {
            return Err(Errno::EFAULT);
        }
        // SAFETY: the position is inside the buffer, which holds what it states.
        Ok(unsafe { self.buf.mem.cast::<u8>().add(self.done) })
    }
}

/// Moves a vector's position behind `len` bytes of the piece that is there.
///
/// # Safety
/// As for [`buffers`]; `len` is at most what is left of the piece.
pub unsafe fn advance(bufv: *mut fuse_bufvec, len: usize) {
    // SAFETY: the caller vouches for the vector.
    unsafe {
        (*bufv).off += len;
        if buffers(bufv).get((*bufv).idx).is_some_and(|buf| (*bufv).off >= buf.size) {
            (*bufv).idx += 1;
            (*bufv).off = 0;
        }
    }
}
