//! Ownership of file descriptors that reach the library as bare numbers.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use nix::sys::stat::Mode;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Most file descriptors that a message on a Unix socket can bring: SCM_MAX_FD of the kernel.
const MAX_FDS: usize = 253;

/// What came with a message on a Unix socket.
#[derive(Debug)]
pub struct Message {
    /// How many of its bytes were taken; 0 when the other end was closed.
    pub length: usize,
    /// Its file descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// There were more descriptors than numbers for them.
    pub cut: bool,
}

/// Takes one message from a Unix socket, with all its file descriptors. Waits for it, unless `flags` say otherwise. EMSGSIZE
/// for a packet that is longer than `into`; it is gone then.
pub fn receive_message(socket: BorrowedFd<'_>, into: &mut [u8], flags: MsgFlags) -> Result<Message, Errno> {
    let mut control = nix::cmsg_space!([RawFd; MAX_FDS]);
    loop {
        let mut into = [IoSliceMut::new(into)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut control), flags | MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => {
                let cut = message.flags.contains(MsgFlags::MSG_CTRUNC);
                let whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
                // What was cut off is no error of its own here.
                let fds = message.cmsgs().into_iter().flatten().flat_map(|control| match control {
                    ControlMessageOwned::ScmRights(fds) => fds,
                    _ => Vec::new(),
                });
                // SAFETY: the kernel installed these descriptors for the message just received, so nothing else owns
                // them, and the list they come in is consumed, so each is taken once.
                let fds = fds.map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }).collect();
                let message = Message { length: message.bytes, fds, cut };
                return if whole { Ok(message) } else { Err(Errno::EMSGSIZE) };
            }
        }
    }
}

/// Sends one message on a Unix socket, with copies of file descriptors. EPIPE, and no signal, when the other end was closed.
pub fn send_message(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    send_to(socket, bytes, fds, None)
}

/// As [`send_message`], to an address.
pub fn send_to(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    to: Option<&UnixAddr>,
) -> Result<(), Errno> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[] } else { &rights[..] };
    loop {
        match sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, to) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => return Ok(()),
        }
    }
}

/// Waits for one message on a Unix socket and takes the file descriptor that came with it, close-on-exec.
///
/// None when the other end was closed, or sent a message without a descriptor; EMFILE when there was no number for the
/// one that came. Descriptors beyond the first are closed.
pub fn receive(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let message = receive_message(socket, &mut [0], MsgFlags::empty())?;
    match message.fds.into_iter().next() {
        None if message.cut => Err(Errno::EMFILE),
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

/// As [`adopt`], if it is what the caller takes it for. None when it is something else, or nothing is open there; that is
/// left alone.
pub fn adopt_if(raw: RawFd, expected: impl FnOnce(BorrowedFd<'_>) -> bool) -> Result<Option<OwnedFd>, Errno> {
    if raw < 0 || !is_open(raw) {
        return Ok(None);
    }
    // SAFETY: it is open, as was just found, and borrowed for no longer than the call.
    if expected(unsafe { BorrowedFd::borrow_raw(raw) }) { adopt(raw).map(Some) } else { Ok(None) }
}

fn is_open(raw: RawFd) -> bool {
    // SAFETY: F_GETFD takes nothing and fails with EBADF on a number that is not open.
    unsafe { libc::fcntl(raw, libc::F_GETFD) != -1 }
}

/// Whether something is open under each number of the standard streams.
pub fn standard_streams_are_open() -> bool {
    (libc::STDIN_FILENO..=libc::STDERR_FILENO).all(is_open)
}

/// Takes over a descriptor that the daemon gave away, as it is. None when nothing is open under the number, which a
/// daemon may pass that does its I/O without one.
pub fn own(raw: RawFd) -> Option<OwnedFd> {
    // SAFETY: it is open, and the caller's to give away.
    is_open(raw).then(|| unsafe { OwnedFd::from_raw_fd(raw) })
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
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::io::Read;
    use std::os::fd::AsFd;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    #[test]
    fn a_sent_descriptor_arrives_close_on_exec() {
        let (ours, theirs) = pair();
        let file = std::fs::File::open("/proc/self/comm").unwrap();
        send_message(theirs.as_fd(), b"x", &[file.as_fd()]).unwrap();
        let fd = receive(ours.as_fd()).unwrap().unwrap();
        let flags = nix::fcntl::fcntl(&fd, nix::fcntl::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        let mut text = String::new();
        std::fs::File::from(fd).read_to_string(&mut text).unwrap();
        assert!(!text.is_empty());
    }

    #[test]
    fn many_descriptors_come_in_their_order() {
        let (ours, theirs) = pair();
        let ends: Vec<_> = (0..MAX_FDS).map(|_| nix::unistd::pipe().unwrap()).collect();
        let sent: Vec<_> = ends.iter().map(|(_, end)| end.as_fd()).collect();
        send_message(theirs.as_fd(), b"all", &sent).unwrap();
        let mut bytes = [0; 8];
        let message = receive_message(ours.as_fd(), &mut bytes, MsgFlags::empty()).unwrap();
        assert_eq!((&bytes[..message.length], message.fds.len(), message.cut), (&b"all"[..], MAX_FDS, false));
        for (n, (fd, (end, _))) in message.fds.iter().zip(&ends).enumerate() {
            let mut byte = [0];
            nix::unistd::write(fd, &[n as u8]).unwrap();
            nix::unistd::read(end, &mut byte).unwrap();
            assert_eq!(byte, [n as u8]);
        }
        drop(ours);
        assert_eq!(send_message(theirs.as_fd(), b"x", &[]), Err(Errno::EPIPE));
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
