//! A buffer vector's data as slices, for one writev(2).

use super::copy::copy;
use super::piece::{Piece, advance, buffers};
use crate::abi::c::common::{FUSE_BUF_IS_FD, fuse_buf, fuse_buf_copy_flags, fuse_bufvec};
use nix::errno::Errno;
use std::io::IoSlice;

/// What a vector holds from its position on.
pub enum Gathered<'a> {
    /// All of it lies in memory, and stays there.
    Memory(Vec<IoSlice<'a>>),
    /// Some of it lay in files: read into memory of our own, in order.
    Read(Vec<u8>),
}

impl Gathered<'_> {
    /// Gathers the data; the position moves behind it. Files that end early make it less than the buffers state.
    ///
    /// # Safety
    /// `bufv` is null, which is EINVAL, or points to a vector whose buffers hold what they state for as long as `'a`.
    pub unsafe fn new(bufv: *mut fuse_bufvec, flags: fuse_buf_copy_flags) -> Result<Self, Errno> {
        if bufv.is_null() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the caller vouches for the vector.
        let all = unsafe { buffers(bufv) };
        if all.iter().any(|buf| buf.flags & FUSE_BUF_IS_FD != 0) {
            // SAFETY: as above.
            return unsafe { read_all(bufv, all, flags) }.map(Self::Read);
        }
        // SAFETY: as above.
        let at_start = unsafe { ((*bufv).idx, (*bufv).off) } == (0, 0);
        if let ([only], true) = (all, at_start) {
            // What nearly every reply is: there is no position to keep.
            // SAFETY: the buffer holds what it states.
            return unsafe { slice(only.mem.cast(), only.size) }.map(|slice| Self::Memory(vec![slice]));
        }
        let mut slices = Vec::with_capacity(all.len());
        // SAFETY: as above; each piece holds what is left of its buffer.
        unsafe {
            while let Some(piece) = Piece::at(bufv) {
                slices.push(slice(piece.memory()?, piece.len())?);
                if !advance(bufv, piece.len()) {
                    break;
                }
            }
        }
        Ok(Self::Memory(slices))
    }

    /// Bytes in all.
    pub fn size(&self) -> usize {
        match self {
            Self::Memory(slices) => slices.iter().fold(0, |sum, slice| sum.saturating_add(slice.len())),
            Self::Read(bytes) => bytes.len(),
        }
    }

    /// The data.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        match self {
            Self::Memory(slices) => slices.clone(),
            Self::Read(bytes) => vec![IoSlice::new(bytes)],
        }
    }
}

/// # Safety
/// `data` is null or points to `len` bytes, for as long as `'a`.
unsafe fn slice<'a>(data: *const u8, len: usize) -> Result<IoSlice<'a>, Errno> {
    match (len, data.is_null()) {
        (0, _) => Ok(IoSlice::new(&[])),
        (_, true) => Err(Errno::EFAULT),
        // No memory has that size.
        _ if isize::try_from(len).is_err() => Err(Errno::EFAULT),
        // SAFETY: the caller vouches for the bytes.
        (_, false) => Ok(IoSlice::new(unsafe { core::slice::from_raw_parts(data, len) })),
    }
}

/// # Safety
/// As for [`Gathered::new`].
unsafe fn read_all(bufv: *mut fuse_bufvec, all: &[fuse_buf], flags: fuse_buf_copy_flags) -> Result<Vec<u8>, Errno> {
    let size = all.iter().fold(0usize, |sum, buf| sum.saturating_add(buf.size));
    let mut bytes = Vec::<u8>::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    let mut into = crate::session::memory_buffer(&[]);
    into.buf[0].size = size;
    into.buf[0].mem = bytes.as_mut_ptr().cast();
    // SAFETY: the caller vouches for the source; the target has room for all of it, not initialised yet, which the
    // system calls and copies that fill it do not look at. As many bytes as were copied are.
    unsafe {
        let read = copy(&mut into, bufv, flags)?;
        bytes.set_len(read);
    }
    Ok(bytes)
}
