//! One end of a connection.

use super::custom::CustomIo;
use super::uring::Seat;
use crate::abi::wire::BackingMap;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

nix::ioctl_read!(fuse_dev_ioc_clone, 229, 0, u32);
nix::ioctl_write_ptr!(fuse_dev_ioc_backing_open, 229, 1, BackingMap);
nix::ioctl_write_ptr!(fuse_dev_ioc_backing_close, 229, 2, i32);

pub use nix::fcntl::SpliceFFlags as Splice;

/// Largest number of pieces that one writev(2) takes.
const IOV_MAX: usize = libc::UIO_MAXIOV as usize;

/// Nothing is read from an entry of io_uring, nor spliced.
const NO_MESSAGES: Result<usize, Errno> = Err(Errno::EBADF);

/// Where requests come from, and where the replies to them must go.
#[derive(Debug)]
pub struct Channel {
    end: End,
    retired: AtomicBool,
    /// It was made non-blocking for a while.
    hurried: AtomicBool,
}

#[derive(Debug)]
enum End {
    /// /dev/fuse, mounted.
    Device(OwnedFd),
    /// The daemon's functions, and the fd that they are passed. It is closed with the channel if that owns it.
    Custom { io: CustomIo, number: RawFd, fd: Option<OwnedFd> },
    /// An entry of io_uring: for replies to what came there.
    Ring(Box<Seat>),
}

impl Channel {
    /// The device, opened and mounted.
    pub fn device(fd: OwnedFd) -> Self {
        Self::new(End::Device(fd))
    }

    /// The daemon's own I/O functions, and the fd that it gives away for them.
    pub fn custom(io: CustomIo, number: RawFd) -> Self {
        Self::new(End::Custom { io, number, fd: super::fd::own(number) })
    }

    /// The daemon's own I/O functions, and the fd of another channel for them, which it stays.
    pub fn custom_on(io: CustomIo, other: &Self) -> Self {
        Self::new(End::Custom { io, number: other.raw_fd(), fd: None })
    }

    /// An entry of io_uring.
    pub fn ring(seat: Seat) -> Self {
        Self::new(End::Ring(Box::new(seat)))
    }

    fn new(end: End) -> Self {
        Self { end, retired: AtomicBool::new(false), hurried: AtomicBool::new(false) }
    }

    /// The entry, if this is one.
    #[inline]
    pub fn as_seat(&self) -> Option<&Seat> {
        match &self.end {
            End::Ring(seat) => Some(seat),
            _ => None,
        }
    }

    /// The device, unless this is the daemon's own I/O or closed.
    pub fn as_device(&self) -> Option<impl AsFd + '_> {
        match &self.end {
            End::Device(fd) if !self.is_retired() => Some(fd),
            _ => None,
        }
    }

    /// The fd's number.
    pub fn raw_fd(&self) -> RawFd {
        match &self.end {
            End::Device(fd) => fd.as_raw_fd(),
            End::Custom { number, .. } => *number,
            End::Ring(_) => -1,
        }
    }

    /// Receives one message into `buf` and returns its length; blocks unless the fd is non-blocking.
    #[inline]
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        match &self.end {
            End::Device(fd) => nix::unistd::read(fd, buf),
            End::Custom { io, number, .. } => io.read(*number, buf),
            End::Ring(_) => NO_MESSAGES,
        }
    }

    /// Whether receiving would not have to wait, as far as can be told: of the daemon's own functions nothing can.
    pub fn has_message(&self) -> bool {
        match &self.end {
            End::Device(fd) => {
                // An error is for the receive to find.
                poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) != Ok(0)
            }
            End::Custom { .. } | End::Ring(_) => true,
        }
    }

    /// Sends one message.
    #[inline]
    pub fn send(&self, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        if parts.len() > IOV_MAX {
            // One message is one write: too many pieces must become one.
            let whole: Vec<u8> = parts.iter().flat_map(|p| p.iter().copied()).collect();
            return self.send(&[IoSlice::new(&whole)]);
        }
        match &self.end {
            End::Device(fd) => nix::sys::uio::writev(fd, parts).map(drop),
            End::Custom { io, number, .. } => io.writev(*number, parts),
            End::Ring(seat) => seat.send(parts),
        }
    }

    /// Whether messages can be received into a pipe.
    pub fn splices_in(&self) -> bool {
        match &self.end {
            End::Device(_) => true,
            End::Custom { io, .. } => io.splices_in(),
            End::Ring(_) => false,
        }
    }

    /// Whether messages can be sent from a pipe.
    pub fn splices_out(&self) -> bool {
        match &self.end {
            End::Device(_) => true,
            End::Custom { io, .. } => io.splices_out(),
            End::Ring(_) => false,
        }
    }

    /// Receives one message of at most `len` bytes into a pipe and returns its length; blocks as [`Channel::recv`] does.
    pub fn splice_in(&self, pipe: BorrowedFd<'_>, len: usize) -> Result<usize, Errno> {
        match &self.end {
            End::Device(fd) => splice(fd, None, pipe, None, len, Splice::empty()),
            End::Custom { io, number, .. } => io.splice_in(*number, pipe, len),
            End::Ring(_) => NO_MESSAGES,
        }
    }

    /// Sends the message of `len` bytes that is in a pipe.
    pub fn splice_out(&self, pipe: BorrowedFd<'_>, len: usize, how: Splice) -> Result<usize, Errno> {
        match &self.end {
            End::Device(fd) => splice(pipe, None, fd, None, len, how),
            End::Custom { io, number, .. } => io.splice_out(*number, pipe, len, how),
            End::Ring(_) => NO_MESSAGES,
        }
    }

    /// Another channel of the same connection, with a queue of its own for what is in flight.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        match &self.end {
            End::Device(fd) => clone_device(fd).map(Self::device),
            End::Custom { io, number, .. } => Ok(Self::custom(*io, io.clone_fd(*number)?)),
            End::Ring(_) => Err(Errno::EBADF),
        }
    }

    /// The device once more, as a file of its own.
    pub fn clone_device(&self) -> Result<OwnedFd, Errno> {
        match &self.end {
            End::Device(fd) if !self.is_retired() => clone_device(fd),
            _ => Err(Errno::EBADF),
        }
    }

    /// Registers an open file, named by its number, as one that the kernel may read and write by itself. Returns its
    /// backing id, which is never 0.
    pub fn open_backing(&self, fd: RawFd) -> Result<i32, Errno> {
        let map = BackingMap { fd, flags: 0, padding: 0 };
        // SAFETY: FUSE_DEV_IOC_BACKING_OPEN reads the struct, which outlives the call. A number that is no fd of the
        // device, or no open file, is an errno.
        let id = unsafe { fuse_dev_ioc_backing_open(self.raw_fd(), &map) }?;
        if id > 0 { Ok(id) } else { Err(Errno::EIO) }
    }

    /// Takes a backing id back. Files that are open with it stay so.
    pub fn close_backing(&self, id: i32) -> Result<(), Errno> {
        // SAFETY: FUSE_DEV_IOC_BACKING_CLOSE reads one number, which outlives the call.
        unsafe { fuse_dev_ioc_backing_close(self.raw_fd(), &id) }.map(drop)
    }

    /// Makes receiving from the device return EAGAIN instead of blocking, or block again. Returns whether that changed
    /// anything.
    pub fn set_nonblocking(&self, on: bool) -> Result<bool, Errno> {
        let Some(fd) = self.as_device() else { return Ok(false) };
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        if flags.contains(OFlag::O_NONBLOCK) == on {
            return Ok(false);
        }
        let mut wanted = flags;
        wanted.set(OFlag::O_NONBLOCK, on);
        fcntl(&fd, FcntlArg::F_SETFL(wanted)).map(|_| true)
    }

    /// Makes receiving come back at once, whoever waits, or wait as it did before. For one caller at a time.
    pub fn set_hurried(&self, on: bool) -> Result<(), Errno> {
        if on {
            // One that the daemon made non-blocking stays so afterwards.
            self.hurried.fetch_or(self.set_nonblocking(true)?, Ordering::Relaxed);
        } else if self.hurried.swap(false, Ordering::Relaxed) {
            self.set_nonblocking(false)?;
        }
        Ok(())
    }

    /// Whether receiving waits for a message, on a device that does.
    pub fn waits(&self) -> bool {
        let flags = self.as_device().and_then(|fd| fcntl(&fd, FcntlArg::F_GETFL).ok());
        flags.is_some_and(|flags| !OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK))
    }

    /// Closes this end of the connection, but keeps the fd's number taken until the channel is dropped, so that a
    /// thread that still uses it meets EBADF and never a stranger's file. `nowhere` is what the number leads to then,
    /// see [`super::fd::nowhere`].
    pub fn retire(&self, nowhere: impl AsFd) -> Result<(), Errno> {
        self.redirect(nowhere)?;
        self.retired.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes a retired channel one of another device, under the fd's old number.
    pub fn renew(&self, device: impl AsFd) -> Result<(), Errno> {
        self.redirect(device)?;
        self.retired.store(false, Ordering::Release);
        Ok(())
    }

    fn redirect(&self, to: impl AsFd) -> Result<(), Errno> {
        if let End::Device(fd) | End::Custom { fd: Some(fd), .. } = &self.end {
            let to = to.as_fd().as_raw_fd();
            // SAFETY: both fds are open; the number stays open and ours.
            Errno::result(unsafe { libc::dup3(to, fd.as_raw_fd(), libc::O_CLOEXEC) })?;
        }
        Ok(())
    }

    /// Whether this end is closed.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}

fn clone_device(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let clone = open_again(fd.as_raw_fd())?;
    let mut master = fd.as_raw_fd() as u32;
    // SAFETY: FUSE_DEV_IOC_CLONE reads one u32, which outlives the call.
    unsafe { fuse_dev_ioc_clone(clone.as_raw_fd(), &mut master) }?;
    Ok(clone)
}

/// Opens the device behind an fd once more, whatever it is called and wherever it was opened. Without /proc that has to
/// be guessed.
fn open_again(fd: RawFd) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let again = open(format!("/proc/self/fd/{fd}").as_str(), flags, Mode::empty());
    again.or_else(|_| open("/dev/fuse", flags, Mode::empty()))
}
