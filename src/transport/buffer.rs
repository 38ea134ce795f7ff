//! Memory that messages are received into.

use super::page_size;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Zeroed pages of its own: the system gives them when they are first written to, and has them back when this is
/// dropped. That there is no room is an error here, where an allocator would end the process.
#[derive(Debug)]
pub struct Buffer {
    start: NonNull<u8>,
    size: usize,
    /// Bytes of the mapping before the first.
    before: usize,
}

// SAFETY: the pages are this value's alone, whichever thread has it.
unsafe impl Send for Buffer {}

impl Buffer {
    /// A buffer of `size` bytes; ENOMEM, after a log line, when there is no memory for it.
    pub fn new(size: usize) -> Result<Self, Errno> {
        let size = NonZeroUsize::new(size).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping, which no other memory is touched by.
        let mapped =
            unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE) };
        let start =
            mapped.inspect_err(|errno| log::error!("no memory for a buffer of {size} bytes: {}", errno.desc()))?;
        Ok(Self { start: start.cast(), size: size.get(), before: 0 })
    }

    /// As [`Buffer::new`], and the system gives the pages at once. When a process is killed while the kernel copies a
    /// request to a page that is not there, the kernel fails that request, with EIO, where it would send it again.
    pub fn resident(size: usize) -> Result<Self, Errno> {
        let mut buffer = Self::new(size)?;
        buffer.bytes().iter_mut().step_by(page_size()).for_each(|byte| *byte = 0);
        Ok(buffer)
    }

    /// The same memory without its first bytes, so many of them. EINVAL when it does not have more.
    pub fn behind(mut self, bytes: usize) -> Result<Self, Errno> {
        let left = self.size.checked_sub(bytes).filter(|left| *left > 0).ok_or(Errno::EINVAL)?;
        // SAFETY: within the mapping.
        let start = unsafe { self.start.add(bytes) };
        (self.start, self.size, self.before) = (start, left, self.before + bytes);
        Ok(self)
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where it begins, for memory that is not only this process's to use.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has `size` bytes, all of them initialised, and is borrowed as long as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows it any more.
        let _ = unsafe { munmap(self.start.sub(self.before).cast(), self.before + self.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{pipe, read};
    use std::os::fd::AsRawFd;

    #[test]
    fn pages_are_aligned_zeroed_and_writable() {
        let mut buffer = Buffer::new(10_000).unwrap();
        let bytes = buffer.bytes();
        assert_eq!((bytes.len(), bytes.as_ptr().addr() % 4096), (10_000, 0));
        assert!(bytes.iter().all(|byte| *byte == 0));
        bytes.fill(7);
    }

    #[test]
    fn without_its_first_bytes_it_is_the_same_memory() {
        let mark = *b"the first bytes of this buffer";
        let mut buffer = Buffer::new(10_000).unwrap();
        buffer.bytes()[..mark.len()].copy_from_slice(&mark);
        let start = buffer.bytes().as_ptr().addr();
        let mut rest = buffer.behind(4000).unwrap().behind(16).unwrap();
        let bytes = rest.bytes();
        assert_eq!((bytes.as_ptr().addr() - start, bytes.len()), (4016, 5984));
        bytes.fill(7);
        // Another thread may have memory there by then, but not with this in it.
        let marked = || {
            let ((reader, writer), mut found) = (pipe().unwrap(), [0; 30]);
            // SAFETY: only the kernel reads there, for which memory that is missing is an error.
            let put = unsafe { libc::write(writer.as_raw_fd(), core::ptr::without_provenance(start), mark.len()) };
            put == mark.len() as isize && read(&reader, &mut found) == Ok(mark.len()) && found == mark
        };
        assert!(marked());
        drop(rest);
        assert!(!marked(), "the first page is left");
        assert_eq!(Buffer::new(100).unwrap().behind(100).map(drop), Err(Errno::EINVAL));
    }

    #[test]
    fn resident_pages_are_there_before_they_are_used() {
        let present = |buffer: &mut Buffer| {
            let bytes = buffer.bytes();
            let mut there = vec![0u8; bytes.len().div_ceil(page_size())];
            // SAFETY: the mapping has so many pages, and the vector a byte for each.
            assert_eq!(unsafe { libc::mincore(bytes.as_mut_ptr().cast(), bytes.len(), there.as_mut_ptr()) }, 0);
            there.iter().filter(|page| **page & 1 != 0).count()
        };
        let pages = 40;
        assert_eq!(present(&mut Buffer::new(pages * page_size()).unwrap()), 0);
        assert_eq!(present(&mut Buffer::resident(pages * page_size()).unwrap()), pages);
    }

    #[test]
    fn no_room_is_an_error() {
        assert_eq!(Buffer::new(usize::MAX / 2).map(drop), Err(Errno::ENOMEM));
        assert_eq!(Buffer::new(0).map(drop), Err(Errno::EINVAL));
    }
}
