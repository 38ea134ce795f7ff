//! One process that serves the mount, or is about to.

use crate::children::{self, End};
use fusewire::recovery::store::protocol::{Answer, BYTES, FDS, Request, VARIABLE};
use fusewire::transport::fd;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nix::sys::stat::fstat;
use nix::unistd::{Pid, getpgid};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

/// The process, and how far it has come.
#[derive(Debug)]
pub struct Daemon {
    pid: Pid,
    pidfd: OwnedFd,
    /// The keeper's end; none when the daemon has closed its own.
    socket: Option<OwnedFd>,
    /// The inode number of the daemon's end; 0 where it is not known.
    peer: u64,
    /// Its process group.
    group: Pid,
    /// It waits to be told what is kept. Its question stays in the socket until then.
    pub asks: bool,
    /// When it was told what is kept, or had its mount kept.
    pub serves_since: Option<Instant>,
    /// It said that it cannot be replaced.
    pub unaware: bool,
    /// It is in the way of its successor, and killed at this time.
    pub kill_at: Option<Instant>,
    killed_at: Option<Instant>,
    /// How it ended, once it has.
    pub end: Option<End>,
}

/// The environment of the keeper without what is meant for the keeper alone, and with the number of the socket.
fn environment(socket: i32) -> Vec<CString> {
    let own = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", VARIABLE];
    let variables = std::env::vars_os().filter(|(name, _)| !own.iter().any(|own| name == own));
    let lines = variables.map(|(name, value)| [name, value].join("=".as_ref()));
    let mut lines: Vec<CString> = lines.filter_map(text).collect();
    lines.extend(text(format!("{VARIABLE}={socket}").into()));
    lines
}

/// What a daemon must not ignore because of who started the keeper, as shells have programs in the background do: it could
/// only be killed then. And this process ignores SIGPIPE itself.
const NOT_IGNORED: [Signal; 4] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGPIPE];

/// Ends a daemon that was started and cannot be watched, with what it started: it would go on beside the next one. Its
/// status is taken with those of other children.
fn abandon(group: Pid) {
    if let Err(errno) = killpg(group, Signal::SIGKILL) {
        log::error!("process {group} cannot be watched, and not killed: {}", errno.desc());
    }
}

/// None for what contains a zero byte, which nothing that came by exec does.
fn text(value: OsString) -> Option<CString> {
    CString::new(value.into_vec()).ok()
}

impl Daemon {
    /// Starts the program, in a process group of its own: what the terminal sends comes to the keeper alone.
    pub fn start(command: &[OsString]) -> Result<Self, Errno> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let arguments: Vec<CString> = command.iter().cloned().filter_map(text).collect();
        let program = arguments.first().ok_or(Errno::EINVAL)?;
        let mut attributes = PosixSpawnAttr::init()?;
        let flags = [
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP,
            PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
            PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        ];
        attributes.set_flags(flags.into_iter().collect())?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::from_iter(NOT_IGNORED))?;
        // On itself: it stays open in the program that is started, and only there.
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(theirs.as_raw_fd(), theirs.as_raw_fd())?;
        let environment = environment(theirs.as_raw_fd());
        let pid = posix_spawnp(program, &actions, &attributes, &arguments, &environment)?;
        let peer = fstat(&theirs).map_or(0, |stat| stat.st_ino);
        // The daemon has its own. In a full table there is room for two files, those of the one before it.
        drop(theirs);
        let pidfd = open_pidfd(pid).inspect_err(|_| abandon(pid))?;
        Ok(Self::new(pid, pidfd, Some(ours), peer))
    }

    fn new(pid: Pid, pidfd: OwnedFd, socket: Option<OwnedFd>, peer: u64) -> Self {
        Self {
            pid,
            pidfd,
            socket,
            peer,
            group: pid,
            asks: false,
            serves_since: None,
            unaware: false,
            kill_at: None,
            killed_at: None,
            end: None,
        }
    }

    /// The daemon of an earlier keeper.
    pub fn taken_back(pidfd: OwnedFd, socket: Option<OwnedFd>) -> Self {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap_or_default();
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
        let mut daemon = Self::new(Pid::from_raw(pid.unwrap_or(-1)), pidfd, socket, 0);
        daemon.serves_since = Some(Instant::now());
        daemon
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it left behind: children, now the keeper's, that have its process group.
    pub fn left(&self) -> Vec<Pid> {
        let own = |pid: &Pid| *pid != self.pid && getpgid(Some(*pid)) == Ok(self.group);
        children::list().into_iter().filter(own).collect()
    }

    /// By which another keeper finds it.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// As [`pidfd`](Self::pidfd).
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// What to wait for: its end, and what it says.
    pub fn waits(&self) -> impl Iterator<Item = PollFd<'_>> {
        let fds = [Some(self.pidfd()).filter(|_| self.end.is_none()), self.socket().filter(|_| !self.asks)];
        fds.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN))
    }

    /// Sends a signal. One that is gone is left alone.
    pub fn signal(&self, signal: Signal) {
        let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32) else { return };
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => log::error!("no signal can be sent to process {}: {error}", self.pid),
        }
    }

    /// Ends it, whatever it does: a stopped one, too.
    pub fn kill(&mut self) {
        self.kill_at = None;
        if self.killed_at.is_none() {
            self.killed_at = Some(Instant::now());
            self.signal(Signal::SIGKILL);
        }
    }

    /// It was killed and is still there after so long: it sleeps in the kernel.
    pub fn is_stuck(&self, patience: Duration) -> bool {
        self.end.is_none() && self.killed_at.is_some_and(|at| at.elapsed() >= patience)
    }

    /// Takes note that it is gone where nobody gets to know how: a keeper's child has a status, another process has not.
    pub fn notice_end(&mut self) {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        if self.end.is_none() && poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            self.end = Some(children::status(self.pid).unwrap_or(End::Unknown));
        }
    }

    /// Was killed by the keeper.
    pub fn is_killed(&self) -> bool {
        self.killed_at.is_some()
    }

    /// The next thing that it says, with the file descriptors that came with it. Nothing once it asks what is kept: it waits
    /// for [`tell`](Self::tell), for ever, and if this keeper is killed before, the next one has to find the question.
    pub fn hear(&mut self) -> Option<(Result<Request, Errno>, Vec<OwnedFd>)> {
        self.asks = self.next_is_kept();
        if self.asks { None } else { self.receive() }
    }

    /// Tells it what is kept, and takes its question off the socket.
    pub fn tell(&mut self, answer: Answer, fds: &[BorrowedFd<'_>]) {
        self.asks = false;
        self.receive();
        self.say(answer, fds);
    }

    /// Whether the next thing that it says is the question what is kept.
    fn next_is_kept(&self) -> bool {
        let Some(socket) = &self.socket else { return false };
        let mut bytes = [0; BYTES];
        let length = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
        length.is_ok_and(|length| Request::parse(bytes.get(..length).unwrap_or_default()) == Some(Request::Kept))
    }

    fn receive(&mut self) -> Option<(Result<Request, Errno>, Vec<OwnedFd>)> {
        let socket = self.socket.as_ref()?;
        let mut bytes = [0; BYTES];
        match fd::receive_message(socket.as_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(message) if message.length == 0 => {
                self.socket = None;
                None
            }
            Ok(message) if message.cut => Some((Err(Errno::EMFILE), Vec::new())),
            Ok(message) => {
                let request = Request::parse(bytes.get(..message.length).unwrap_or_default());
                Some((request.ok_or(Errno::EPROTO), message.fds))
            }
            Err(Errno::EAGAIN) => None,
            Err(Errno::EMSGSIZE) => Some((Err(Errno::EPROTO), Vec::new())),
            Err(errno) => {
                if errno != Errno::ECONNRESET {
                    log::error!("process {} is not heard any more: {}", self.pid, errno.desc());
                }
                self.socket = None;
                None
            }
        }
    }

    /// Answers what [`hear`](Self::hear) returned, with file descriptors in as many packets as they need.
    pub fn say(&mut self, answer: Answer, fds: &[BorrowedFd<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut said = Ok(());
        let mut rest = fds;
        let mut next = answer;
        while said.is_ok() {
            let (now, later) = rest.split_at(rest.len().min(FDS));
            said = fd::send_message(socket.as_fd(), next.to_string().as_bytes(), now);
            (rest, next) = (later, Answer::More);
            if rest.is_empty() {
                break;
            }
        }
        match said {
            // It will be seen to have ended.
            Ok(()) | Err(Errno::EPIPE) => {}
            Err(errno) => {
                log::error!("process {} cannot be answered: {}", self.pid, errno.desc());
                self.socket = None;
            }
        }
    }

    /// The process that was started has ended in an orderly way: is there a child of it that went on in the background?
    /// That one is the daemon then.
    pub fn follow(&mut self) -> bool {
        let child = if self.peer == 0 { None } else { children::in_background(self.peer) };
        let Some((pid, pidfd)) = child.and_then(|pid| Some((pid, open_pidfd(pid).ok()?))) else { return false };
        (self.pid, self.pidfd, self.end) = (pid, pidfd, None);
        self.group = getpgid(Some(pid)).unwrap_or(pid);
        true
    }
}

/// A pidfd of a child that was not waited for.
pub fn open_pidfd(pid: Pid) -> Result<OwnedFd, Errno> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::ESRCH)?;
    let opened = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    opened.map_err(|error| Errno::from_raw(error.raw_os_error()))
}
