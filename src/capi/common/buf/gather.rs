//! A buffer vector's data as slices, for one writev(2).

use super::copy::copy;
use super::piece::{Piece, advance, buffers};
use super::scratch::Scratch;
use crate::abi::c::common::{FUSE_BUF_IS_FD, fuse_buf, fuse_bufvec};
use core::ptr::NonNull;
use nix::errno::Errno;
use std::io::IoSlice;

/// What a vector holds from its position on.
pub enum Gathered<'a> {
    /// One buffer in memory, which stays there: what nearly every reply is.
    Slice(IoSlice<'a>),
    /// All of it lies in memory, and stays there.
    Slices(Vec<IoSlice<'a>>),
    /// Some of it lay in files: so many bytes were read into memory of our own, in order.
    Read(Scratch, usize),
}

impl Gathered<'_> {
    /// Gathers the data; the position moves behind it. Files that end early make it less than the buffers state. What lies
    /// in files alone is read into `room`, if there is some and it is large enough.
    ///
    /// # Safety
    /// `bufv` is null, which is EINVAL, or points to a vector whose buffers hold what they state for as long as `'a`. `room`
    /// is memory that is nobody else's for as long.
    pub unsafe fn new(bufv: *mut fuse_bufvec, room: Option<NonNull<[u8]>>) -> Result<Self, Errno> {
        if bufv.is_null() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the caller vouches for the vector.
        let all = unsafe { buffers(bufv) };
        if all.iter().any(|buf| buf.flags & FUSE_BUF_IS_FD != 0) {
            // SAFETY: as above.
            return unsafe { read_all(bufv, all, room) };
        }
        // SAFETY: as above.
        let at_start = unsafe { ((*bufv).idx, (*bufv).off) } == (0, 0);
        if let ([only], true) = (all, at_start) {
            // There is no position to keep.
            // SAFETY: the buffer holds what it states.
            return unsafe { slice(only.mem.cast(), only.size) }.map(Self::Slice);
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
        Ok(Self::Slices(slices))
    }

    /// Bytes in all.
    pub fn size(&mut self) -> usize {
        self.lend(|slices| slices.iter().fold(0usize, |sum, slice| sum.saturating_add(slice.len())))
    }

    /// Lends the data to `f`.
    pub fn lend<R>(&mut self, f: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        match self {
            Self::Slice(slice) => f(core::slice::from_ref(slice)),
            Self::Slices(slices) => f(slices),
            Self::Read(scratch, size) => f(&[IoSlice::new(scratch.bytes().get(..*size).unwrap_or_default())]),
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
unsafe fn read_all<'a>(
    bufv: *mut fuse_bufvec,
    all: &[fuse_buf],
    room: Option<NonNull<[u8]>>,
) -> Result<Gathered<'a>, Errno> {
    let size = all.iter().fold(0usize, |sum, buf| sum.saturating_add(buf.size));
    let in_files = all.iter().all(|buf| buf.flags & FUSE_BUF_IS_FD != 0);
    // SAFETY: the caller vouches for the room.
    let room: Option<&'a mut [u8]> = room.filter(|_| in_files).map(|mut room| unsafe { room.as_mut() });
    if let Some(room) = room.and_then(|room| room.get_mut(..size)) {
        // SAFETY: the caller vouches for the source.
        let read = unsafe { read_into(bufv, room) }?;
        return Ok(Gathered::Slice(IoSlice::new(room.get(..read).unwrap_or_default())));
    }
    let mut scratch = Scratch::new(size)?;
    // SAFETY: as above.
    let read = unsafe { read_into(bufv, scratch.bytes()) }?;
    Ok(Gathered::Read(scratch, read))
}

/// # Safety
/// As for [`Gathered::new`]; none of the data lies in `room`.
unsafe fn read_into(bufv: *mut fuse_bufvec, room: &mut [u8]) -> Result<usize, Errno> {
    let mut into = crate::session::memory_buffer(&[]);
    into.buf[0].size = room.len();
    into.buf[0].mem = room.as_mut_ptr().cast();
    // SAFETY: the caller vouches for the source; the target has as much room as it states.
    unsafe { copy(&mut into, bufv, 0) }
}
