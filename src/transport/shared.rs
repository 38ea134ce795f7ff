//! Memory that outlives the process: a memfd, mapped, whose size nobody can change.

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SealFlag, fallocate, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::ftruncate;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

/// Pages that several processes may have mapped. They are there when they are first written to.
#[derive(Debug)]
pub struct Shared {
    fd: OwnedFd,
    start: NonNull<AtomicU64>,
    size: NonZeroUsize,
}

// SAFETY: the memory is reached through atomics alone, from whichever thread.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

fn seals() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

impl Shared {
    /// New memory of `size` bytes, all zero. `name` is what /proc shows.
    pub fn create(name: &CStr, size: usize) -> Result<Self, Errno> {
        let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        // Beyond its limit the process would get a signal instead of an error.
        let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
        let length = i64::try_from(size).ok().filter(|_| size as u64 <= limit).ok_or(Errno::EFBIG)?;
        ftruncate(&fd, length)?;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals()))?;
        Self::map(fd, size)
    }

    /// The memory that another process made. EINVAL when the fd is no memory of that kind, EMSGSIZE when it has another
    /// size than `size` says.
    pub fn open(fd: OwnedFd, size: usize) -> Result<Self, Errno> {
        let sealed = SealFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GET_SEALS)?);
        if !sealed.contains(seals()) || sealed.contains(SealFlag::F_SEAL_WRITE) {
            // Whoever could make it smaller could end this process.
            return Err(Errno::EINVAL);
        }
        if usize::try_from(fstat(&fd)?.st_size) != Ok(size) {
            return Err(Errno::EMSGSIZE);
        }
        Self::map(fd, size)
    }

    fn map(fd: OwnedFd, size: usize) -> Result<Self, Errno> {
        let length = NonZeroUsize::new(size).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, which no other memory is touched by.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &fd, 0) }?;
        // SAFETY: the mapping is ours. Without effect on what it holds; where it is refused, core dumps are larger.
        let _ = unsafe { madvise(start, size, MmapAdvise::MADV_DONTDUMP) };
        Ok(Self { fd, start: start.cast(), size: length })
    }

    /// All of it, by words of 8 bytes.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned and has `size` bytes, which the seals keep; every bit pattern is a number,
        // and whoever else has the memory mapped changes it as this process does, or is not told of errors.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.size.get() / size_of::<AtomicU64>()) }
    }

    /// Sees to it that `length` bytes from `offset` on can be written to: where there is no memory for them it is an
    /// error here, and later it would be a signal.
    pub fn reserve(&self, offset: usize, length: usize) -> Result<(), Errno> {
        let [offset, length] = [offset, length].map(|n| i64::try_from(n).map_err(|_| Errno::EFBIG));
        let (offset, length) = (offset?, length?);
        loop {
            match fallocate(&self.fd, FallocateFlags::empty(), offset, length) {
                // A signal came, and what there was by then was given back. Later kernels go on.
                Err(Errno::EINTR) => {}
                done => return done,
            }
        }
    }

    /// Bytes that there is memory for.
    pub fn allocated(&self) -> Result<u64, Errno> {
        /// Bytes of what stat(2) counts.
        const BLOCK: u64 = 512;
        Ok(u64::try_from(fstat(&self.fd)?.st_blocks).unwrap_or(0).saturating_mul(BLOCK))
    }

    /// The fd by which others find the memory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes this process the only one that has the memory's lock, for as long as what is returned is open, here or in a
    /// child. EBUSY when another has it.
    pub fn lock(&self) -> Result<OwnedFd, Errno> {
        // An open file of its own: `fd` is the same one for everybody whom it was sent to.
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        let own = open(path.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        let whole = libc::flock {
            l_type: libc::F_WRLCK as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&own, FcntlArg::F_OFD_SETLK(&whole)) {
            Ok(_) => Ok(own),
            Err(Errno::EAGAIN | Errno::EACCES) => Err(Errno::EBUSY),
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows it any more.
        let _ = unsafe { munmap(self.start.cast(), self.size.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    const SIZE: usize = 1 << 20;

    #[test]
    fn what_one_writes_the_other_reads() {
        let one = Shared::create(c"test", SIZE).unwrap();
        let other = Shared::open(one.fd().try_clone_to_owned().unwrap(), SIZE).unwrap();
        one.reserve(0, 8).unwrap();
        one.words()[0].store(7, Relaxed);
        assert_eq!((other.words().len(), other.words()[0].load(Relaxed)), (SIZE / 8, 7));
    }

    #[test]
    fn its_size_is_fixed_and_must_be_right() {
        let shared = Shared::create(c"test", SIZE).unwrap();
        assert!(ftruncate(shared.fd(), 0).is_err());
        let fd = || shared.fd().try_clone_to_owned().unwrap();
        assert_eq!(Shared::open(fd(), SIZE * 2).unwrap_err(), Errno::EMSGSIZE);
        let unsealed = memfd_create(c"test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        assert_eq!(Shared::open(unsealed, SIZE).unwrap_err(), Errno::EINVAL);
        assert!(Shared::open(open("/dev/null", OFlag::O_RDWR, Mode::empty()).unwrap(), SIZE).is_err());
    }

    #[test]
    fn one_has_the_lock() {
        let one = Shared::create(c"test", SIZE).unwrap();
        let other = Shared::open(one.fd().try_clone_to_owned().unwrap(), SIZE).unwrap();
        let held = one.lock().unwrap();
        assert_eq!(other.lock().unwrap_err(), Errno::EBUSY);
        drop(held);
        other.lock().unwrap();
    }
}
