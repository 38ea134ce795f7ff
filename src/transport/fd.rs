//! Ownership of file descriptors that reach the library as bare numbers.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::Mode;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Waits for one message on a Unix socket and takes the file descriptor that came with it, close-on-exec.
///
/// None when the other end was closed, or sent a message without a descriptor; EMFILE when there was no number for the
/// one that came. Descriptors beyond the first are closed.
pub fn receive(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let mut byte = [0u8];
    let mut control = nix::cmsg_space!(RawFd);
    let (message, cut) = loop {
        let mut into = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => {
                let cut = message.flags.contains(MsgFlags::MSG_CTRUNC);
                // What was cut off is no error of its own here.
                break (message.cmsgs().into_iter().flatten().collect::<Vec<_>>(), cut);
            }
        }
    };
    let mut received = message
        .into_iter()
        .filter_map(|control| match control {
            ControlMessageOwned::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        // SAFETY: the kernel installed this descriptor for the message just received, so nothing else owns it, and
        // the list it came in is consumed, so it is taken once.
        .map(|raw| unsafe { OwnedFd::from_raw_fd(raw) })
        .collect::<Vec<_>>()
        .into_iter();
    match received.next() {
        None if cut => Err(Errno::EMFILE),
        received => Ok(received),
    }
}

/// Takes over the open descriptor that another program left under this number for us, and makes it close-on-exec.
/// EBADF when nothing is open there.
///
/// The number must have been handed over: whoever names it (`/dev/fd/N` as a mountpoint) gives it away.
pub fn adopt(raw: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_SETFD takes an int and fails with EBADF on a number that is not open.
    Errno::result(unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, as fcntl() has just said, and the caller's to give away.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Another descriptor, close-on-exec, of what a number of the daemon's leads to. EBADF when nothing is open there.
pub fn duplicate(raw: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_DUPFD_CLOEXEC takes an int and fails with EBADF on a number that is not open.
    let new = Errno::result(unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the descriptor is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Takes over a descriptor that the daemon gave away, as it is. None when nothing is open under the number, which a
/// daemon may pass that does its I/O without one.
pub fn own(raw: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_GETFD takes nothing and fails with EBADF on a number that is not open.
    Errno::result(unsafe { libc::fcntl(raw, libc::F_GETFD) }).ok()?;
    // SAFETY: it is open, as fcntl() has just said, and the caller's to give away.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// The kernel's number of the FUSE connection that a device belongs to. ENOTCONN when it belongs to none, EBADF when it
/// is no such device.
pub fn connection(device: BorrowedFd<'_>) -> Result<u64, Errno> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", device.as_raw_fd()));
    let info = info.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    let number = info.lines().find_map(|line| line.strip_prefix("fuse_connection:")?.trim().parse().ok());
    number.ok_or(Errno::ENOTCONN)
}

/// What the number of a closed device is to lead to: a descriptor that can be neither read nor written. To be made
/// while there are free numbers, as closing must not fail for want of one.
pub fn nowhere() -> Result<OwnedFd, Errno> {
    open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}

mod ioctl {
    nix::ioctl_none!(fuse_dev_ioc_sync_init, 229, 3);
}

/// Has the kernel send INIT while the device is being mounted, and wait there for the answer (Linux 6.18). False where
/// it cannot. To be called before the mount; reading then waits for that, too.
pub fn announce_sync_init(device: BorrowedFd<'_>) -> Result<bool, Errno> {
    // SAFETY: FUSE_DEV_IOC_SYNC_INIT takes no argument.
    match unsafe { ioctl::fuse_dev_ioc_sync_init(device.as_raw_fd()) } {
        Ok(_) => Ok(true),
        Err(Errno::ENOTTY) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, ControlMessage, SockFlag, SockType, sendmsg, socketpair};
    use std::io::{IoSlice, Read};
    use std::os::fd::AsFd;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    #[test]
    fn a_sent_descriptor_arrives_close_on_exec() {
        let (ours, theirs) = pair();
        let file = std::fs::File::open("/proc/self/comm").unwrap();
        let fds = [file.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        let byte = [IoSlice::new(b"x")];
        sendmsg::<()>(theirs.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None).unwrap();
        let fd = receive(ours.as_fd()).unwrap().unwrap();
        let flags = nix::fcntl::fcntl(&fd, nix::fcntl::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        let mut text = String::new();
        std::fs::File::from(fd).read_to_string(&mut text).unwrap();
        assert!(!text.is_empty());
    }

    #[test]
    fn a_closed_end_or_a_plain_byte_brings_nothing() {
        let (ours, theirs) = pair();
        nix::unistd::write(&theirs, b"x").unwrap();
        assert!(receive(ours.as_fd()).unwrap().is_none());
        drop(theirs);
        assert!(receive(ours.as_fd()).unwrap().is_none());
    }

    #[test]
    fn only_open_numbers_are_adopted() {
        assert_eq!(adopt(-1).unwrap_err(), Errno::EBADF);
        assert_eq!(adopt(1 << 20).unwrap_err(), Errno::EBADF);
    }
}
