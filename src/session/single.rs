//! The single-threaded loop.

use super::Session;
use super::edition::EDITION;
use super::inbox::Inbox;
use super::intake::{Intake, Received};
use super::uring::Loop;
use crate::abi::wire::InHeader;
use crate::transport::fork;
use crate::transport::wake::Thread;
use nix::errno::Errno;
use nix::unistd::getpid;

impl Session {
    /// Receives one message by `receive`.
    ///
    /// 0 means that the session has ended, by an exit or by an unmount; the latter asks for the exit. A request that
    /// arrives together with the exit is still served: nobody else would answer it.
    #[inline(always)] // once for each loop, with its receive
    pub(super) fn receive(&self, mut receive: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
        loop {
            match receive() {
                Ok(n) if n >= size_of::<InHeader>() => return Ok(n),
                Ok(n) => return Err(no_request(n)),
                // The request was interrupted before it could be read: there are others.
                Err(Errno::ENOENT) if !self.exited() => {}
                Err(errno) => return self.nothing_received(errno),
            }
        }
    }

    /// What it means that a receive failed.
    #[cold]
    fn nothing_received(&self, errno: Errno) -> Result<usize, Errno> {
        if self.exited() {
            return Ok(0);
        }
        if errno == Errno::ENODEV {
            self.exit();
            return Ok(0);
        }
        if !matches!(errno, Errno::EINTR | Errno::EAGAIN) {
            log::error!("reading device: {}", errno.desc());
        }
        Err(errno)
    }

    /// Receives one message for a loop of the daemon's own. EAGAIN while the session is paused: such a loop parks itself.
    pub fn receive_one(&self, intake: &mut Intake, buf: &mut [u8]) -> Result<Received, Errno> {
        self.served_by(Loop::OWN);
        let channel = self.channel_to_serve()?;
        if self.is_paused() && !self.exited() {
            return Err(Errno::EAGAIN);
        }
        intake.receive(self, channel, buf)
    }

    /// Serves requests on the calling thread until the session ends. Returns what the exit said: 0, or the number of
    /// the signal that asked for it.
    pub fn run(&self) -> Result<i32, Errno> {
        let channel = self.channel_to_serve()?;
        self.served_by(Loop::SINGLE);
        let mut thread = Thread::current()?;
        let mut alarm = self.set_alarm();
        let mut process = fork::Watch::begin();
        let mut inbox = Inbox::new(self)?;
        self.settle();
        self.loop_begins();
        let outcome = loop {
            if self.is_paused() {
                self.park();
            }
            let Some(receiving) = self.receiving(channel, thread) else { break Ok(()) };
            let received = inbox.receive(self, channel);
            drop(receiving);
            match received {
                Ok(false) => break Ok(()),
                Ok(true) => inbox.process(self, channel),
                Err(errno) => {
                    if let Err(errno) = self.forgive(channel, errno) {
                        break Err(errno);
                    }
                }
            }
            if process.is_child() {
                report_child();
                // A child has a thread of another number, and no timers. The old one goes first: a new one may get its number.
                drop(alarm.take());
                alarm = self.set_alarm();
                match Thread::current() {
                    Ok(current) => thread = current,
                    Err(errno) => break Err(errno),
                }
            }
        };
        self.loop_ends();
        self.finish_loop(outcome)
    }

    /// What a loop returns, the session left as programs of this edition expect it.
    pub(super) fn finish_loop(&self, outcome: Result<(), Errno>) -> Result<i32, Errno> {
        self.unsettle();
        let status = self.exit_status();
        if EDITION.loops_reset {
            self.reset();
        }
        match outcome {
            _ if status < 0 => Err(Errno::from_raw(-status)),
            Ok(()) => Ok(status),
            Err(errno) => Err(errno),
        }
    }
}

#[cold]
fn no_request(bytes: usize) -> Errno {
    log::error!("reading device: {bytes} bytes are no request");
    Errno::EIO
}

/// A callback was called in one process and has returned in a child of it: daemons do that on purpose that call
/// daemon(3) in init.
#[cold]
pub(super) fn report_child() {
    log::warn!("a callback forked and has returned in the child, process {}, which serves as well now", getpid());
}
