//! Who serves, who is to serve next, and what is done when either ends.

use crate::children::{self, End};
use crate::daemon::{Daemon, open_pidfd};
use crate::depot::Depot;
use crate::hold::Hold;
use crate::options::Options;
use crate::watch::Watch;
use fusewire::recovery::store::Role;
use fusewire::recovery::store::protocol::{Answer, Request};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// The shortest delay before a restart that is delayed at all.
const MIN_DELAY: Duration = Duration::from_millis(50);
/// The daemon could not be started.
const CANNOT_START: u8 = 127;
/// The keeper failed, or gave up.
const FAILED: u8 = 1;
/// Signals that are heard.
const HEARD: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
];

/// Keeps a mount until it is gone; the status to end with.
pub fn run(options: &Options) -> u8 {
    let signals = match listen() {
        Ok(signals) => signals,
        Err(errno) => {
            log::error!("signals cannot be heard: {}", errno.desc());
            return FAILED;
        }
    };
    let Ok(depot) = Depot::find() else { return FAILED };
    let Ok((hold, current)) = depot.take_back() else { return FAILED };
    let mut keeper = Keeper {
        options,
        depot,
        hold,
        watch: None,
        current,
        next: None,
        orphans: Vec::new(),
        retry_at: None,
        look_at: None,
        hurried: 0,
        fruitless: 0,
        stop: None,
        stuck: false,
    };
    keeper.begin().unwrap_or_else(|| keeper.keep(&signals))
}

/// Blocks the signals that are heard, and makes this process learn how its children end, with those that daemons leave behind.
fn listen() -> Result<SignalFd, Errno> {
    let heard = SigSet::from_iter(HEARD);
    heard.thread_block()?;
    children::leave_statuses()?;
    set_child_subreaper(true)?;
    SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

struct Keeper<'a> {
    options: &'a Options,
    depot: Depot,
    hold: Hold,
    watch: Option<Watch>,
    /// Who serves, or is to serve as soon as everybody before is gone.
    current: Option<Daemon>,
    /// Who was started to take over from a daemon that still serves.
    next: Option<Daemon>,
    /// What daemons that are gone left behind, and was killed.
    orphans: Vec<Pid>,
    /// When the next daemon is started.
    retry_at: Option<Instant>,
    /// When it is looked again whether the daemon moves.
    look_at: Option<Instant>,
    /// Daemons in a row that did not live for long.
    hurried: u32,
    /// Daemons in a row that never served.
    fruitless: u32,
    /// The signal by which the keeper was asked to end.
    stop: Option<Signal>,
    /// It was said that a daemon cannot be killed.
    stuck: bool,
}

impl Keeper<'_> {
    fn name(&self) -> std::path::Display<'_> {
        std::path::Path::new(self.options.command.first().map_or("".as_ref(), |name| name.as_os_str())).display()
    }

    /// The first daemon, unless an earlier keeper's goes on.
    fn begin(&mut self) -> Option<u8> {
        if let Some(daemon) = &self.current {
            log::info!("goes on with {}, process {}", self.name(), daemon.pid());
            self.depot.ready();
            self.observe();
            return None;
        }
        match Daemon::start(&self.options.command) {
            Ok(daemon) => {
                self.install(daemon);
                None
            }
            Err(errno) => {
                log::error!("{} cannot be started: {}", self.name(), errno.desc());
                Some(CANNOT_START)
            }
        }
    }

    fn keep(&mut self, signals: &SignalFd) -> u8 {
        loop {
            if let Err(errno) = self.wait(signals) {
                log::error!("cannot wait: {}", errno.desc());
                return FAILED;
            }
            self.hear_signals(signals);
            self.hear_daemons();
            if let Some(status) = self.judge().or_else(|| self.act()) {
                if let Some(next) = &mut self.next {
                    next.kill();
                }
                return status;
            }
        }
    }

    /// Waits until something happens, or is to be done; takes note of processes that have ended.
    fn wait(&mut self, signals: &SignalFd) -> Result<(), Errno> {
        let kills = [&self.current, &self.next].into_iter().flatten().filter_map(|daemon| daemon.kill_at);
        let due = kills.chain(self.retry_at).chain(self.look_at).min();
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            // Not a moment too early, or this would go round and round until it is time.
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        for daemon in [&self.current, &self.next].into_iter().flatten() {
            fds.extend(daemon.waits());
        }
        if self.current.is_none() {
            // Its end only: nobody reads requests. While a daemon serves, the keeper would be woken by every request.
            fds.extend(self.hold.device().map(|device| PollFd::new(device, PollFlags::empty())));
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        drop(fds);
        for (pid, end) in children::reap() {
            self.orphans.retain(|orphan| *orphan != pid);
            for daemon in [&mut self.current, &mut self.next].into_iter().flatten() {
                if daemon.pid() == pid {
                    daemon.end = Some(end);
                }
            }
        }
        for daemon in [&mut self.current, &mut self.next].into_iter().flatten() {
            daemon.notice_end();
        }
        Ok(())
    }

    fn hear_signals(&mut self, signals: &SignalFd) {
        while let Ok(Some(info)) = signals.read_signal() {
            let Ok(signal) = Signal::try_from(info.ssi_signo as i32) else { continue };
            match signal {
                Signal::SIGCHLD => {}
                Signal::SIGHUP => self.upgrade(),
                Signal::SIGUSR1 | Signal::SIGUSR2 => self.pass_on(signal),
                _ => {
                    self.stop = Some(signal);
                    self.pass_on(signal);
                    let kill_at = Instant::now() + self.options.grace;
                    if let Some(daemon) = &mut self.current
                        && !daemon.is_killed()
                    {
                        daemon.kill_at.get_or_insert(kill_at);
                    }
                }
            }
        }
    }

    fn pass_on(&self, signal: Signal) {
        if let Some(daemon) = &self.current {
            daemon.signal(signal);
        }
    }

    /// Starts a successor while the daemon still serves.
    fn upgrade(&mut self) {
        let Some(daemon) = &self.current else { return };
        let why = match () {
            () if self.stop.is_some() => "the keeper is about to end",
            () if self.next.is_some() => "a successor is about to take over already",
            () if daemon.unaware => "the daemon cannot be replaced",
            () if daemon.serves_since.is_none() || !self.hold.is_mounted() => "no daemon serves",
            () => match Daemon::start(&self.options.command) {
                Ok(mut next) => {
                    log::info!("a successor is started, process {}", next.pid());
                    next.kill_at = Some(Instant::now() + self.options.grace);
                    self.next = Some(next);
                    return;
                }
                Err(errno) => errno.desc(),
            },
        };
        log::error!("no successor of {} is started: {why}", self.name());
    }

    fn hear_daemons(&mut self) {
        for is_next in [false, true] {
            while let Some(daemon) = if is_next { &mut self.next } else { &mut self.current } {
                let Some((request, fds)) = daemon.hear() else { break };
                let answer = match request {
                    // What is kept is not for it; the daemon that serves goes on.
                    Ok(Request::Unaware) if is_next => Answer::Error(Errno::ENOTSUP),
                    // Nobody else knows of the mount that it speaks of.
                    Ok(_) if is_next => Answer::Error(Errno::EBUSY),
                    Ok(request) => self.do_as_asked(request, fds),
                    Err(errno) => Answer::Error(errno),
                };
                if let Some(daemon) = if is_next { &mut self.next } else { &mut self.current } {
                    daemon.say(answer, &[]);
                }
            }
        }
    }

    fn do_as_asked(&mut self, request: Request, fds: Vec<OwnedFd>) -> Answer {
        match request {
            Request::Keep(role) => {
                let Ok([fd]) = <[OwnedFd; 1]>::try_from(fds) else { return Answer::Error(Errno::EINVAL) };
                self.depot.keep(role, fd.as_fd());
                match self.hold.keep(role, fd) {
                    Ok(()) if role == Role::Device => {
                        self.serves();
                        self.depot.ready();
                        Answer::Ok
                    }
                    Ok(()) => Answer::Ok,
                    Err(errno) => Answer::Error(errno),
                }
            }
            Request::Forget => {
                self.watch = None;
                self.hold.forget();
                self.depot.forget();
                Answer::Ok
            }
            Request::Unaware if self.hold.is_mounted() => Answer::Error(Errno::ENOTSUP),
            Request::Unaware => {
                if let Some(daemon) = &mut self.current {
                    daemon.unaware = true;
                }
                log::warn!(
                    "{} does not declare itself recoverable (fuse_session_set_recoverable): it will not be restarted",
                    self.name()
                );
                self.depot.ready();
                Answer::Ok
            }
            // Not heard: it is told when nobody else is left.
            Request::Kept => Answer::Ok,
        }
    }

    /// The daemon has the mount.
    fn serves(&mut self) {
        if let Some(daemon) = &mut self.current {
            daemon.serves_since = Some(Instant::now());
        }
        self.observe();
    }

    /// Begins to look whether the daemon moves.
    fn observe(&mut self) {
        self.watch = Watch::begin(&self.hold);
        self.look_at = self.watch.as_ref().and(self.interval()).map(|interval| Instant::now() + interval);
    }

    /// How often it is looked whether the daemon moves.
    fn interval(&self) -> Option<Duration> {
        Some((self.options.deadline? / 4).clamp(Duration::from_millis(5), Duration::from_secs(1)))
    }

    /// Looks at who has ended; a status to end with.
    fn judge(&mut self) -> Option<u8> {
        if let Some(next) = self.next.take_if(|next| next.end.is_some()) {
            let end = next.end.unwrap_or(End::Unknown);
            log::error!("the successor {end} before it served: nothing has changed");
            self.bury(&next);
        }
        let daemon = self.current.as_mut()?;
        let end = daemon.end?;
        if end == End::Exited(0) && daemon.follow() {
            self.depot.set_daemon(self.current.as_ref());
            return None;
        }
        let daemon = self.current.take()?;
        let is_fine = self.hold.all().is_none();
        if self.stop.is_some() {
            if self.hold.is_mounted() {
                log::warn!("{} {end} and left its mount: programs on it get ENOTCONN", self.name());
            }
            return Some(end.status(is_fine));
        }
        if daemon.unaware || !self.hold.is_mounted() {
            let why = match () {
                () if daemon.unaware => "is not restarted, as it is not recoverable",
                () if self.hold.device().is_some() => "its mount is gone",
                () if daemon.serves_since.is_some() => "its mount was given up",
                () => "had no mount kept",
            };
            if end != End::Exited(0) || daemon.unaware {
                log::warn!("{} {end}; {why}", self.name());
            }
            self.depot.forget();
            return Some(end.status(is_fine));
        }
        self.replace(&daemon, end)
    }

    /// The mount has to have another daemon; a status to end with if that is given up.
    fn replace(&mut self, daemon: &Daemon, end: End) -> Option<u8> {
        let lived = daemon.serves_since.map(|since| since.elapsed());
        let lived_well = lived.is_some_and(|lived| lived >= self.options.well_after);
        let served = lived_well || lived.is_some() && self.watch.as_ref().is_some_and(Watch::has_served);
        self.fruitless = if served { 0 } else { self.fruitless + 1 };
        self.hurried = if lived_well || served && end == End::Exited(0) { 0 } else { self.hurried + 1 };
        if self.fruitless >= self.options.attempts {
            log::error!(
                "{} {end}; {} in a row never served: the mount is given up, programs on it get ENOTCONN",
                self.name(),
                self.fruitless
            );
            self.depot.forget();
            return Some(FAILED);
        }
        self.bury(daemon);
        if let Some(next) = self.next.take() {
            log::info!("{} {end}; process {} takes over", self.name(), next.pid());
            self.install(next);
            return None;
        }
        let delay = delay(self.hurried, self.options.max_delay);
        match delay.as_millis() {
            0 => log::info!("{} {end}; it is restarted", self.name()),
            ms => log::info!("{} {end}; it is restarted in {ms} ms", self.name()),
        }
        self.retry_at = Some(Instant::now() + delay);
        None
    }

    /// Kills what a daemon that is gone has left behind.
    fn bury(&mut self, daemon: &Daemon) {
        for pid in daemon.left() {
            if let Ok(pidfd) = open_pidfd(pid) {
                let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
                self.orphans.push(pid);
            }
        }
    }

    fn install(&mut self, mut daemon: Daemon) {
        daemon.kill_at = None;
        self.observe();
        self.depot.set_daemon(Some(&daemon));
        self.current = Some(daemon);
        self.stuck = false;
    }

    /// Does what is due; a status to end with.
    fn act(&mut self) -> Option<u8> {
        if self.current.is_none() {
            if let Some(signal) = self.stop {
                log::warn!("no daemon runs: the mount is given up, programs on it get ENOTCONN");
                self.depot.forget();
                return Some(End::Killed(signal as i32).status(false));
            }
            if !self.hold.is_mounted() {
                log::info!("the mount is gone");
                self.depot.forget();
                return Some(0);
            }
        }
        let now = Instant::now();
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            match Daemon::start(&self.options.command) {
                Ok(daemon) => self.install(daemon),
                Err(errno) => {
                    log::error!("{} cannot be started: {}", self.name(), errno.desc());
                    self.hurried += 1;
                    self.fruitless += 1;
                    if self.fruitless >= self.options.attempts {
                        log::error!("the mount is given up, programs on it get ENOTCONN");
                        self.depot.forget();
                        return Some(CANNOT_START);
                    }
                    self.retry_at = Some(now + delay(self.hurried, self.options.max_delay));
                }
            }
        }
        self.look(now);
        self.fence(now);
        self.answer()
    }

    /// Kills a daemon in which nothing moves.
    fn look(&mut self, now: Instant) {
        let Some(deadline) = self.options.deadline else { return };
        if self.look_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        self.look_at = self.interval().map(|interval| now + interval);
        let hung = self.watch.as_mut().is_some_and(|watch| watch.is_hung(&self.hold, deadline));
        if let Some(daemon) = self.current.as_mut().filter(|daemon| hung && !daemon.is_killed()) {
            log::warn!(
                "process {}: nothing has moved for {deadline:?} although requests wait: it is killed",
                daemon.pid()
            );
            daemon.kill();
        }
    }

    /// Kills those whose time is up.
    fn fence(&mut self, now: Instant) {
        for (daemon, what) in [(&mut self.current, "the daemon"), (&mut self.next, "the successor")] {
            let Some(daemon) = daemon else { continue };
            if daemon.kill_at.is_some_and(|at| at <= now) {
                log::warn!("{what}, process {}, took longer than {:?}: it is killed", daemon.pid(), self.options.grace);
                daemon.kill();
            }
            if !self.stuck && daemon.is_stuck(self.options.grace) {
                self.stuck = true;
                log::error!("process {} was killed and does not end: it sleeps in the kernel", daemon.pid());
            }
        }
    }

    /// Tells who asks what is kept, as soon as nobody else is there.
    fn answer(&mut self) -> Option<u8> {
        let asks = |daemon: &Option<Daemon>| daemon.as_ref().is_some_and(|daemon| daemon.asks);
        if asks(&self.next) {
            // It is ready: its predecessor may go now. Not before, so that the mount is without a daemon for a moment only.
            if let (Some(next), Some(current)) = (&mut self.next, &mut self.current)
                && next.kill_at.take().is_some()
                && current.kill_at.is_none()
            {
                current.signal(self.options.upgrade_signal);
                current.kill_at = Some(Instant::now() + self.options.grace);
            }
        }
        if asks(&self.current) && self.orphans.is_empty() {
            let fds = self.hold.all();
            let daemon = self.current.as_mut()?;
            match fds {
                Some(fds) => {
                    daemon.tell(Answer::Kept(fds.len()), &fds);
                    self.serves();
                }
                None => daemon.tell(Answer::None, &[]),
            }
        }
        None
    }
}

/// How long to wait before a restart, after so many daemons in a row that did not live for long.
fn delay(hurried: u32, max: Duration) -> Duration {
    match hurried {
        0 | 1 => Duration::ZERO,
        more => MIN_DELAY.saturating_mul(1 << (more - 2).min(20)).min(max),
    }
}
