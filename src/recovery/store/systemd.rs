//! systemd's file descriptor store, by the messages that sd_notify(3) describes and the variables of sd_listen_fds(3).
//!
//! systemd closes a kept device by itself when its connection is gone, and that is wanted.

use super::{Kept, Role};
use crate::transport::{fd, privilege};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, socket};
use nix::unistd::pipe2;
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// The variable that names its socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// The number of the first file descriptor that was passed.
const FIRST: RawFd = 3;
/// Milliseconds that the service manager may take.
const PATIENCE: u16 = 5000;

/// The store of the service that this process belongs to.
#[derive(Debug)]
pub struct Systemd {
    socket: OwnedFd,
    address: UnixAddr,
    /// What was passed, until it is asked for.
    passed: Mutex<Vec<(String, OwnedFd)>>,
}

impl Systemd {
    /// The store, if the process runs as a service that has one.
    pub fn find() -> Result<Option<Self>, Errno> {
        Self::find_named(&Role::ALL.map(Role::name))
    }

    /// Whether the environment names a service manager.
    pub fn is_named() -> bool {
        privilege::variable(SOCKET).is_some()
    }

    /// Whether something of a mount was passed to this process.
    pub fn has_passed() -> bool {
        !named(&Role::ALL.map(Role::name)).is_empty()
    }

    /// As [`find`](Self::find); what was passed is taken where it has one of these names. To be called once for each name.
    pub fn find_named(names: &[&str]) -> Result<Option<Self>, Errno> {
        let Some(path) = privilege::variable(SOCKET) else { return Ok(None) };
        let Some(address) = address(&path) else {
            log::warn!("NOTIFY_SOCKET={}: neither a path nor an abstract name, nothing is kept", path.display());
            return Ok(None);
        };
        let kind = SockType::Datagram;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)
            .inspect_err(|errno| log::error!("no socket to the service manager: {}", errno.desc()))?;
        Ok(Some(Self { socket, address, passed: Mutex::new(passed(names)) }))
    }

    /// Sends a message: lines of assignments.
    pub fn notify(&self, message: &str, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let sent = fd::send_to(self.socket.as_fd(), message.as_bytes(), fds, Some(&self.address));
        sent.inspect_err(|errno| {
            let first = message.lines().next().unwrap_or_default();
            log::error!("the service manager was not told {first}: {}", errno.desc());
        })
    }

    /// Has a file descriptor kept under a name; any number can have the same one. Returns when it is.
    pub fn store(&self, name: &str, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        self.notify(&format!("FDSTORE=1\nFDNAME={name}"), &[fd])?;
        self.wait()
    }

    /// Waits until what was sent before was read: the reader then closes the end of a pipe that came with this message.
    fn wait(&self) -> Result<(), Errno> {
        let (end, sent) = pipe2(OFlag::O_CLOEXEC)?;
        self.notify("BARRIER=1", &[sent.as_fd()])?;
        drop(sent);
        match poll(&mut [PollFd::new(end.as_fd(), PollFlags::empty())], PATIENCE) {
            // It may be kept, or not: nothing is lost by serving on.
            Ok(0) | Err(Errno::EINTR) => log::warn!("the service manager does not say whether it keeps the file"),
            _ => {}
        }
        Ok(())
    }

    /// All that was kept under a name is closed.
    pub fn remove(&self, name: &str) {
        // What there is to say was logged.
        let _ = self.notify(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[]);
    }

    /// All that was passed under a name, once.
    pub fn take(&self, name: &str) -> Vec<OwnedFd> {
        self.passed.lock().extract_if(.., |(other, _)| other == name).map(|(_, fd)| fd).collect()
    }

    /// What was kept of a mount, once.
    pub fn kept(&self) -> Result<Option<Kept>, Errno> {
        let [mut devices, mut states, clones] = Role::ALL.map(|role| self.take(role.name()));
        if devices.len() > 1 || states.len() > 1 {
            log::error!("the service manager keeps more than one mount, and does not say what belongs to which");
            return Err(Errno::EINVAL);
        }
        match (devices.pop(), states.pop()) {
            (Some(device), Some(state)) => Ok(Some(Kept { device, state, clones })),
            (None, None) if clones.is_empty() => Ok(None),
            (Some(_), None) => {
                log::error!("the service manager kept a mount's device without its state: the mount is lost");
                self.forget();
                Ok(None)
            }
            // The mount went, and systemd let go of its device.
            _ => {
                self.forget();
                Ok(None)
            }
        }
    }

    /// Nothing of a mount needs to be kept any more.
    pub fn forget(&self) {
        Role::ALL.iter().for_each(|role| self.remove(role.name()));
    }
}

/// The address that NOTIFY_SOCKET names. `@` stands for the zero byte of an abstract one.
fn address(value: &OsStr) -> Option<UnixAddr> {
    match value.as_bytes() {
        [b'@', name @ ..] => UnixAddr::new_abstract(name).ok(),
        path @ [b'/', ..] => UnixAddr::new(path).ok(),
        _ => None,
    }
}

/// Those of the file descriptors that were passed to this process that have one of these names.
fn named(names: &[&str]) -> Vec<(String, RawFd)> {
    let number = |name: &str| privilege::variable(name)?.to_str()?.parse::<RawFd>().ok();
    if number("LISTEN_PID") != Some(nix::unistd::getpid().as_raw()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0);
    let theirs = privilege::variable("LISTEN_FDNAMES").unwrap_or_default();
    let theirs = theirs.to_string_lossy();
    numbered(count, &theirs, names)
}

/// Takes them.
fn passed(names: &[&str]) -> Vec<(String, OwnedFd)> {
    let adopt = |(name, number): (String, RawFd)| match fd::adopt(number) {
        Ok(fd) => Some((name, fd)),
        Err(errno) => {
            log::error!("file descriptor {number}, {name}, was to be passed: {}", errno.desc());
            None
        }
    };
    named(names).into_iter().filter_map(adopt).collect()
}

/// The numbers of those that have one of these names.
fn numbered(count: RawFd, theirs: &str, names: &[&str]) -> Vec<(String, RawFd)> {
    let numbers = FIRST..FIRST.saturating_add(count.max(0));
    let mine = theirs.split(':').zip(numbers).filter(|(name, _)| names.contains(name));
    mine.map(|(name, number)| (name.to_owned(), number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{MsgFlags, bind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn store(passed: Vec<(String, OwnedFd)>) -> (Systemd, OwnedFd) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("fusewire-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let theirs = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let address = address(OsStr::new(&format!("@{name}"))).unwrap();
        bind(std::os::fd::AsRawFd::as_raw_fd(&theirs), &address).unwrap();
        let ours = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
        (Systemd { socket: ours, address, passed: Mutex::new(passed) }, theirs)
    }

    fn next(socket: &OwnedFd) -> (String, usize) {
        let mut bytes = [0; 256];
        let message = fd::receive_message(socket.as_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT).unwrap();
        (String::from_utf8_lossy(&bytes[..message.length]).into_owned(), message.fds.len())
    }

    fn null() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn it_is_told_what_to_keep() {
        let (systemd, theirs) = store(vec![]);
        std::thread::scope(|scope| {
            let stored = scope.spawn(|| systemd.store(Role::Device.name(), null().as_fd()));
            poll(&mut [PollFd::new(theirs.as_fd(), PollFlags::POLLIN)], PATIENCE).unwrap();
            assert_eq!(next(&theirs), ("FDSTORE=1\nFDNAME=fusewire-device".into(), 1));
            poll(&mut [PollFd::new(theirs.as_fd(), PollFlags::POLLIN)], PATIENCE).unwrap();
            assert!(!stored.is_finished());
            assert_eq!(next(&theirs), ("BARRIER=1".into(), 1));
            stored.join().unwrap().unwrap();
        });
        systemd.forget();
        for name in ["device", "state", "clone"] {
            assert_eq!(next(&theirs), (format!("FDSTOREREMOVE=1\nFDNAME=fusewire-{name}"), 0));
        }
        drop(theirs);
        assert_eq!(systemd.store("x", null().as_fd()), Err(Errno::ECONNREFUSED));
    }

    #[test]
    fn what_it_passed_is_found_by_name() {
        let passed = ["fusewire-clone", "fusewire-state", "other", "fusewire-clone", "fusewire-device"];
        let (systemd, _theirs) = store(passed.map(|name| (name.to_owned(), null())).into());
        assert_eq!(systemd.kept().unwrap().unwrap().clones.len(), 2);
        assert!(systemd.kept().unwrap().is_none());
        assert_eq!(systemd.take("other").len(), 1);
        let (systemd, _theirs) = store(vec![("fusewire-device".into(), null()), ("fusewire-device".into(), null())]);
        assert_eq!(systemd.kept().unwrap_err(), Errno::EINVAL);
    }

    #[test]
    fn what_is_incomplete_is_let_go() {
        for name in ["fusewire-state", "fusewire-clone", "fusewire-device"] {
            let (systemd, theirs) = store(vec![(name.to_owned(), null())]);
            assert!(systemd.kept().unwrap().is_none());
            assert_eq!(next(&theirs).0, "FDSTOREREMOVE=1\nFDNAME=fusewire-device");
        }
    }

    #[test]
    fn strangers_are_left_alone() {
        let names = Role::ALL.map(Role::name);
        let found = numbered(3, "http:fusewire-state:fusewire-clone:fusewire-clone", &names);
        assert_eq!(found, [("fusewire-state".into(), 4), ("fusewire-clone".into(), 5)]);
        assert!(numbered(0, "", &names).is_empty() && numbered(-5, "fusewire-state", &names).is_empty());
    }

    #[test]
    fn addresses_of_either_kind() {
        assert_eq!(address(OsStr::new("@name")).unwrap().as_abstract(), Some(&b"name"[..]));
        assert_eq!(address(OsStr::new("/run/x")).unwrap().path().unwrap().to_str(), Some("/run/x"));
        assert!(address(OsStr::new("vsock:2:1")).is_none() && address(OsStr::new("")).is_none());
    }
}
