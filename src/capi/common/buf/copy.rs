//! Copying between buffer vectors.

use super::piece::{Piece, advance};
use crate::abi::c::common::{
    FUSE_BUF_FORCE_SPLICE, FUSE_BUF_NO_SPLICE, FUSE_BUF_SPLICE_MOVE, FUSE_BUF_SPLICE_NONBLOCK, fuse_buf_copy_flags,
    fuse_bufvec,
};
use core::ptr;
use nix::errno::Errno;

/// Bytes that go from file to file at once where splice(2) cannot be used.
const CHUNK: usize = 64 << 10;

/// What a vector's data moves through, piece by piece.
///
/// # Safety
/// Both point to vectors whose buffers hold, or have room for, what they state.
pub unsafe fn copy(dst: *mut fuse_bufvec, src: *mut fuse_bufvec, flags: fuse_buf_copy_flags) -> Result<usize, Errno> {
    let mut copied = 0;
    loop {
        // SAFETY: the caller vouches for both vectors.
        let (Some(to), Some(from)) = (unsafe { (Piece::at(dst), Piece::at(src)) }) else { return Ok(copied) };
        let len = to.len().min(from.len());
        // SAFETY: as above, and len is at most what is left of either.
        let done = match unsafe { copy_piece(&to, &from, len, flags) } {
            Ok(done) => done,
            Err(errno) if copied == 0 => return Err(errno),
            Err(_) => return Ok(copied),
        };
        copied += done;
        // The source's end is the copy's, and then the target's position stays: callers of libfuse know it so.
        // SAFETY: done is at most len.
        let more = unsafe { advance(src, done) && advance(dst, done) };
        if !more || done < len {
            return Ok(copied);
        }
    }
}

/// # Safety
/// Both pieces have `len` bytes left.
unsafe fn copy_piece(to: &Piece, from: &Piece, len: usize, flags: fuse_buf_copy_flags) -> Result<usize, Errno> {
    match (from.is_file(), to.is_file()) {
        (false, false) => {
            // SAFETY: the caller vouches for both; they may overlap.
            unsafe { ptr::copy(from.memory()?, to.memory()?, len) };
            Ok(len)
        }
        // SAFETY: the caller vouches for the memory.
        (false, true) => unsafe { write(to, from.memory()?, 0, len) },
        // SAFETY: the caller vouches for the memory.
        (true, false) => unsafe { read(from, to.memory()?, 0, len) },
        (true, true) if flags & FUSE_BUF_NO_SPLICE != 0 => between_files(to, from, len),
        (true, true) => splice(to, from, len, flags),
    }
}

/// Reads `len` bytes that lie `skip` bytes on in a piece.
///
/// # Safety
/// `into` has room for them.
unsafe fn read(from: &Piece, into: *mut u8, skip: usize, len: usize) -> Result<usize, Errno> {
    transfer(len, from.retries(), |done| {
        // SAFETY: the caller vouches for the memory, and done is less than len.
        let n = unsafe {
            match from.position(skip + done) {
                Some(pos) => libc::pread(from.fd(), into.add(done).cast(), len - done, pos),
                None => libc::read(from.fd(), into.add(done).cast(), len - done),
            }
        };
        Errno::result(n)
    })
}

/// Writes `len` bytes `skip` bytes on in a piece.
///
/// # Safety
/// `data` holds them.
unsafe fn write(to: &Piece, data: *const u8, skip: usize, len: usize) -> Result<usize, Errno> {
    transfer(len, to.retries(), |done| {
        // SAFETY: the caller vouches for the memory, and done is less than len.
        let n = unsafe {
            match to.position(skip + done) {
                Some(pos) => libc::pwrite(to.fd(), data.add(done).cast(), len - done, pos),
                None => libc::write(to.fd(), data.add(done).cast(), len - done),
            }
        };
        Errno::result(n)
    })
}

/// Repeats a system call until `len` bytes are done, it says 0, or it comes short and `retries` is not set. An error
/// counts only before the first byte.
fn transfer(len: usize, retries: bool, mut step: impl FnMut(usize) -> Result<isize, Errno>) -> Result<usize, Errno> {
    let mut done = 0;
    while done < len {
        match step(done) {
            Ok(0) => break,
            Ok(n) => done += n.unsigned_abs().min(len - done),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        if !retries {
            break;
        }
    }
    Ok(done)
}

/// Through memory of our own.
fn between_files(to: &Piece, from: &Piece, len: usize) -> Result<usize, Errno> {
    let mut chunk = vec![0u8; len.min(CHUNK)];
    let mut copied = 0;
    while copied < len {
        let want = chunk.len().min(len - copied);
        // SAFETY: the chunk has room for `want` bytes, and holds those that were read.
        let moved = unsafe {
            read(from, chunk.as_mut_ptr(), copied, want).and_then(|got| write(to, chunk.as_ptr(), copied, got))
        };
        match moved {
            Ok(n) => copied += n,
            Err(errno) if copied == 0 => return Err(errno),
            Err(_) => break,
        }
        if moved != Ok(want) {
            break;
        }
    }
    Ok(copied)
}

/// Through a pipe inside the kernel, which one of the two must be.
fn splice(to: &Piece, from: &Piece, len: usize, flags: fuse_buf_copy_flags) -> Result<usize, Errno> {
    let mut how = 0;
    if flags & FUSE_BUF_SPLICE_MOVE != 0 {
        how |= libc::SPLICE_F_MOVE;
    }
    if flags & FUSE_BUF_SPLICE_NONBLOCK != 0 {
        how |= libc::SPLICE_F_NONBLOCK;
    }
    let done = transfer(len, from.retries() || to.retries(), |done| {
        let (mut read_at, mut write_at) = (from.position(done), to.position(done));
        let pointer = |at: &mut Option<libc::off_t>| at.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        // SAFETY: the offsets are null or live until the call returns.
        let n =
            unsafe { libc::splice(from.fd(), pointer(&mut read_at), to.fd(), pointer(&mut write_at), len - done, how) };
        Errno::result(n)
    });
    match done {
        // Neither is a pipe, or one of them does not support it.
        Err(Errno::EINVAL) if flags & FUSE_BUF_FORCE_SPLICE == 0 => between_files(to, from, len),
        done => done,
    }
}
