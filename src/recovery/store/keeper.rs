//! The daemon's side of the protocol with `fusewire-keep`.

use super::protocol::{Answer, BYTES, Request, VARIABLE};
use super::{Kept, Role};
use crate::transport::{fd, privilege};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, SockType, getsockopt, sockopt};
use parking_lot::Mutex;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

/// Milliseconds that an answer may take: a keeper that was killed may be about to come back.
const PATIENCE: u16 = 30_000;
/// File descriptors that nobody keeps for one mount: there are no more threads.
const MAX_KEPT: usize = 1 << 20;

/// The socket to the keeper; none once it was found to be gone. One question at a time.
#[derive(Debug)]
pub struct Keeper(Mutex<Option<OwnedFd>>);

impl Keeper {
    /// Whether the environment names a keeper.
    pub fn is_named() -> bool {
        privilege::variable(VARIABLE).is_some()
    }

    /// The keeper that the environment names; none when what it names is not a keeper's socket. To be called once.
    pub fn find() -> Result<Option<Self>, Errno> {
        let Some(value) = privilege::variable(VARIABLE) else { return Ok(None) };
        let Some(number) = value.to_str().and_then(|text| text.parse::<RawFd>().ok()).filter(|number| *number > 2)
        else {
            log::error!("{VARIABLE}={}: it has to be the number of a file descriptor", value.display());
            return Err(Errno::EINVAL);
        };
        // A program that the daemon starts inherits the variable, but not the socket.
        let socket = fd::adopt_if(number, is_keepers)?;
        if socket.is_none() {
            log::warn!("{VARIABLE}={number}: not a keeper's socket, nothing is kept for a successor");
        }
        Ok(socket.map(Self::new))
    }

    fn new(socket: OwnedFd) -> Self {
        Self(Mutex::new(Some(socket)))
    }

    /// Asks; waits for the answer for as long as it takes, if `patient`.
    fn ask(&self, request: Request, fds: &[BorrowedFd<'_>], patient: bool) -> Result<(Answer, Vec<OwnedFd>), Errno> {
        let mut socket = self.0.lock();
        let open = socket.as_ref().ok_or(Errno::EPIPE)?;
        let asked = fd::send_message(open.as_fd(), request.to_string().as_bytes(), fds);
        let answered = asked.and_then(|()| answer(open.as_fd(), patient));
        let result = answered.and_then(|(answer, fds)| match answer {
            Answer::Kept(count) => Ok((answer, rest(open.as_fd(), count, fds)?)),
            answer => Ok((answer, fds)),
        });
        result.map_err(|errno| {
            // Questions and answers could not be told apart any more.
            *socket = None;
            match errno {
                Errno::EPIPE | Errno::ECONNRESET => log::warn!("the keeper is gone: there will be no successor"),
                errno => log::error!("left by the keeper, there will be no successor: {request}: {}", errno.desc()),
            }
            if errno == Errno::ECONNRESET { Errno::EPIPE } else { errno }
        })
    }

    /// Says something that needs no more than an "ok". Without a keeper the daemon serves on, and that is no error.
    fn tell(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        match self.ask(request, fds, false) {
            Ok((Answer::Error(errno), _)) => {
                log::error!("the keeper refused: {request}: {}", errno.desc());
                Err(errno)
            }
            Ok((Answer::Ok, _)) | Err(_) => Ok(()),
            Ok((other, _)) => {
                log::error!("the keeper answers '{other}' to '{request}'");
                Err(Errno::EPROTO)
            }
        }
    }

    pub fn kept(&self) -> Result<Option<Kept>, Errno> {
        let (answer, fds) = self.ask(Request::Kept, &[], true)?;
        let mut fds = fds.into_iter();
        match (answer, fds.next(), fds.next()) {
            (Answer::None, None, None) => Ok(None),
            (Answer::Kept(_), Some(device), Some(state)) => Ok(Some(Kept { device, state, clones: fds.collect() })),
            (answer, ..) => {
                log::error!("the keeper answers '{answer}' to '{}'", Request::Kept);
                Err(Errno::EPROTO)
            }
        }
    }

    pub fn keep(&self, role: Role, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        self.tell(Request::Keep(role), &[fd])
    }

    pub fn forget(&self) {
        // What there is to say was logged.
        let _ = self.tell(Request::Forget, &[]);
    }

    pub fn unaware(&self) -> Result<(), Errno> {
        match self.ask(Request::Unaware, &[], false) {
            Ok((Answer::Error(Errno::ENOTSUP), _)) => Err(Errno::ENOTSUP),
            // Nothing depends on what else there may be to say.
            _ => Ok(()),
        }
    }
}

/// Whether this is the kind of socket that a keeper gives to its daemon.
fn is_keepers(socket: BorrowedFd<'_>) -> bool {
    getsockopt(&socket, sockopt::SockType) == Ok(SockType::SeqPacket)
}

/// One answer, with the file descriptors that came with it.
fn answer(socket: BorrowedFd<'_>, patient: bool) -> Result<(Answer, Vec<OwnedFd>), Errno> {
    let timeout = if patient { PollTimeout::NONE } else { PATIENCE.into() };
    loop {
        match poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Ok(_) => break,
        }
    }
    let mut bytes = [0; BYTES];
    let message = fd::receive_message(socket, &mut bytes, MsgFlags::empty())?;
    match message.length {
        0 => Err(Errno::EPIPE),
        _ if message.cut => Err(Errno::EMFILE),
        length => Ok((Answer::parse(bytes.get(..length).unwrap_or_default()).ok_or(Errno::EPROTO)?, message.fds)),
    }
}

/// What is left to come of `count` file descriptors.
fn rest(socket: BorrowedFd<'_>, count: usize, mut fds: Vec<OwnedFd>) -> Result<Vec<OwnedFd>, Errno> {
    while fds.len() < count.min(MAX_KEPT) {
        match answer(socket, false)? {
            (Answer::More, more) if !more.is_empty() => fds.extend(more),
            _ => return Err(Errno::EPROTO),
        }
    }
    if fds.len() == count { Ok(fds) } else { Err(Errno::EPROTO) }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::FDS;
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, socketpair};
    use std::os::fd::AsRawFd;
    use std::thread::{JoinHandle, spawn};

    /// What the stand-in for a keeper is asked, and what it answers, packet by packet.
    type Turn = (&'static str, Vec<(String, usize)>);

    /// A keeper that says what it is told to, and returns how many file descriptors it was given.
    fn stand_in(turns: Vec<Turn>) -> (Keeper, JoinHandle<usize>) {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        assert!(is_keepers(ours.as_fd()));
        let keeper = spawn(move || {
            let null = std::fs::File::open("/dev/null").unwrap();
            let (mut bytes, mut given) = ([0; BYTES], 0);
            for (question, answers) in turns {
                let message = fd::receive_message(theirs.as_fd(), &mut bytes, MsgFlags::empty()).unwrap();
                assert_eq!(str::from_utf8(&bytes[..message.length]).unwrap(), question);
                given += message.fds.len();
                for (answer, fds) in answers {
                    let fds = vec![null.as_fd(); fds];
                    fd::send_message(theirs.as_fd(), answer.as_bytes(), &fds).unwrap();
                }
            }
            given
        });
        (Keeper::new(ours), keeper)
    }

    fn one(answer: &str, fds: usize) -> Vec<(String, usize)> {
        vec![(answer.into(), fds)]
    }

    #[test]
    fn what_was_kept_comes_back_however_much_it_is() {
        let many = vec![("kept 602".into(), FDS), ("more".into(), FDS), ("more".into(), 102)];
        let (keeper, thread) = stand_in(vec![("kept?", one("none", 0)), ("kept?", one("kept 2", 2)), ("kept?", many)]);
        assert!(keeper.kept().unwrap().is_none());
        assert!(keeper.kept().unwrap().unwrap().clones.is_empty());
        let kept = keeper.kept().unwrap().unwrap();
        assert_eq!(kept.clones.len(), 600);
        let flags = nix::fcntl::fcntl(&kept.clones[599], nix::fcntl::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        thread.join().unwrap();
    }

    #[test]
    fn what_is_to_be_kept_is_sent() {
        let turns = vec![
            ("keep device", one("ok", 0)),
            ("keep clone", one("error 24", 0)),
            ("keep state", one("ok", 0)),
            ("forget", one("ok", 0)),
            ("unaware", one("ok", 0)),
            ("unaware", one("error 95", 0)),
        ];
        let (keeper, thread) = stand_in(turns);
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(keeper.keep(Role::Device, null.as_fd()), Ok(()));
        assert_eq!(keeper.keep(Role::Clone, null.as_fd()), Err(Errno::EMFILE));
        assert_eq!(keeper.keep(Role::State, null.as_fd()), Ok(()));
        keeper.forget();
        assert_eq!(keeper.unaware(), Ok(()));
        assert_eq!(keeper.unaware(), Err(Errno::ENOTSUP));
        assert_eq!(thread.join().unwrap(), 3);
    }

    #[test]
    fn a_keeper_that_is_gone_or_babbles_is_left() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let cases = [
            (vec![], Errno::EPIPE),
            (vec![("kept?", one("what?", 0))], Errno::EPROTO),
            (vec![("kept?", one("ok", 0))], Errno::EPROTO),
            (vec![("kept?", one("kept 1", 1))], Errno::EPROTO),
            (vec![("kept?", one("kept 2", 3))], Errno::EPROTO),
            (vec![("kept?", vec![("kept 3".into(), 2), ("more".into(), 0)])], Errno::EPROTO),
            (vec![("kept?", one("kept 4", 2))], Errno::EPIPE),
        ];
        for (turns, expected) in cases {
            let (keeper, thread) = stand_in(turns);
            assert_eq!(keeper.kept().unwrap_err(), expected);
            thread.join().unwrap();
            assert_eq!(keeper.keep(Role::Device, null.as_fd()), Ok(()));
            keeper.forget();
        }
    }

    #[test]
    fn only_such_a_socket_is_adopted() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(!is_keepers(file.as_fd()));
        assert!(fd::adopt_if(file.as_raw_fd(), is_keepers).unwrap().is_none());
        assert!(fd::adopt_if(1 << 20, is_keepers).unwrap().is_none());
    }
}
