//! A buffer vector's data on its way into the device through a pipe.

use super::copy::copy;
use super::gather::Gathered;
use super::piece::{Piece, buffers};
use super::scratch::Scratch;
use crate::abi::c::common::{
    FUSE_BUF_FORCE_SPLICE, FUSE_BUF_IS_FD, FUSE_BUF_NO_SPLICE, FUSE_BUF_SPLICE_NONBLOCK, fuse_buf_copy_flags,
    fuse_bufvec,
};
use crate::abi::wire::OutHeader;
use crate::session::memory_buffer;
use crate::transport::page_size;
use crate::transport::pipe::{Outgoing, read_full};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// From so many bytes on a pipe is worth its system calls.
const LARGE: usize = 32 << 10;

/// Where the data is now.
pub enum Moved<'a> {
    /// In a pipe, so many bytes behind the place for a head.
    Piped(Outgoing, usize),
    /// In memory: it did not all go through the pipe.
    Gathered(Gathered<'a>),
}

/// Puts the data into the thread's pipe; the position moves behind it. None where it is to be copied instead: because
/// that is cheaper, because there can be no pipe, or because the first of the files cannot be spliced.
///
/// # Safety
/// `bufv` is null or points to a vector whose buffers hold what they state.
pub unsafe fn splice<'a>(bufv: *mut fuse_bufvec, flags: fuse_buf_copy_flags) -> Result<Option<Moved<'a>>, Errno> {
    if bufv.is_null() || flags & FUSE_BUF_NO_SPLICE != 0 {
        return Ok(None);
    }
    // SAFETY: the caller vouches for the vector.
    let (size, pages) = unsafe { measure(bufv) };
    if pages == 0 || size < LARGE && flags & FUSE_BUF_FORCE_SPLICE == 0 {
        return Ok(None);
    }
    let Some(mut message) = Outgoing::take(pages) else { return Ok(None) };
    if message.begin(size_of::<OutHeader>()).is_err() {
        return Ok(None);
    }
    let mut into = file_buffer(message.writer(), size);
    // SAFETY: the caller vouches for the source; the target is a pipe.
    match unsafe { copy(&mut into, bufv, FUSE_BUF_FORCE_SPLICE | FUSE_BUF_SPLICE_NONBLOCK) } {
        // SAFETY: as above.
        Ok(done) if done < size && unsafe { may_have_more(bufv) } => unsafe { go_on(message, bufv, done, size) },
        Ok(done) => Ok(Some(Moved::Piped(message, done))),
        Err(_) => {
            // Not a file that can be spliced, or one to be waited for, or there was no memory: an error of the file comes
            // again when it is read. Nothing but the head is in the pipe.
            if take_back(&message, &mut [0; size_of::<OutHeader>()]).is_ok() {
                message.keep();
            }
            Ok(None)
        }
    }
}

/// Bytes from the position on, and how many pages of a pipe they may take; 0 when none of it is in a file.
///
/// # Safety
/// `bufv` points to a vector.
unsafe fn measure(bufv: *const fuse_bufvec) -> (usize, usize) {
    // SAFETY: the caller vouches for the vector; the position does not lie in the buffers.
    let (all, idx, off) = unsafe { (buffers(bufv), (*bufv).idx, (*bufv).off) };
    let rest = all.get(idx..).unwrap_or_default();
    if !rest.iter().any(|buf| buf.flags & FUSE_BUF_IS_FD != 0) {
        return (0, 0);
    }
    let size = rest.iter().fold(0usize, |sum, buf| sum.saturating_add(buf.size)).saturating_sub(off);
    // Each buffer may begin and end within a page.
    (size, (size / page_size()).saturating_add(rest.len().saturating_mul(2)))
}

fn file_buffer(file: BorrowedFd<'_>, size: usize) -> fuse_bufvec {
    let mut vector = memory_buffer(&[]);
    let [buf] = &mut vector.buf;
    (buf.size, buf.flags, buf.fd) = (size, FUSE_BUF_IS_FD, file.as_raw_fd());
    vector
}

/// Whether what stands at the position could give more although it came short. A regular file can, where the pipe was
/// full of small pieces; of others a short read is all that there is for now, unless the buffer says otherwise.
///
/// # Safety
/// `bufv` points to a vector.
unsafe fn may_have_more(bufv: *const fuse_bufvec) -> bool {
    // SAFETY: the caller vouches for the vector.
    let Some(piece) = (unsafe { Piece::at(bufv) }) else { return false };
    !piece.is_begun() || !piece.is_file() || piece.retries() || piece.is_regular()
}

/// Reads what did not go through the pipe. If that is anything, the whole is put together in memory.
///
/// # Safety
/// As for [`splice`]; `done` bytes are in the pipe, and no more than `size - done` are left.
unsafe fn go_on<'a>(
    message: Outgoing,
    bufv: *mut fuse_bufvec,
    done: usize,
    size: usize,
) -> Result<Option<Moved<'a>>, Errno> {
    let mut scratch = Scratch::new(size)?;
    let mut into = memory_buffer(&[]);
    into.buf[0].size = size - done;
    into.buf[0].mem = scratch.bytes().get_mut(done..).unwrap_or_default().as_mut_ptr().cast();
    // SAFETY: the caller vouches for the source; the target has room behind `done` bytes.
    let more = unsafe { copy(&mut into, bufv, 0) }.unwrap_or(0);
    if more == 0 {
        return Ok(Some(Moved::Piped(message, done)));
    }
    take_back(&message, &mut [0; size_of::<OutHeader>()])?;
    take_back(&message, scratch.bytes().get_mut(..done).unwrap_or_default())?;
    message.keep();
    Ok(Some(Moved::Gathered(Gathered::Read(scratch, done + more))))
}

/// Reads what could not be sent from the pipe: so many bytes behind the head.
pub fn unpipe<'a>(message: Outgoing, size: usize) -> Result<Gathered<'a>, Errno> {
    let mut scratch = Scratch::new(size)?;
    take_back(&message, &mut [0; size_of::<OutHeader>()])?;
    take_back(&message, scratch.bytes())?;
    message.keep();
    Ok(Gathered::Read(scratch, size))
}

/// Reads from the pipe what was put there.
fn take_back(message: &Outgoing, into: &mut [u8]) -> Result<(), Errno> {
    if read_full(message.reader(), into)? == into.len() { Ok(()) } else { Err(Errno::EIO) }
}
