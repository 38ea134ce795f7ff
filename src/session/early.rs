//! Synchronous INIT: the session is served while it is being mounted, by a thread of its own, and one whose INIT fails
//! is not mounted.

use super::pool::{stack_size, without_termination_signals};
use super::{Channel, Session, Stage, start};
use crate::mount::{self, Early, Mount};
use crate::transport::threads::{self, Crew, Threads, Uncancellable};
use crate::transport::{Buffer, wake::Thread};
use nix::errno::Errno;
use parking_lot::Mutex;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};
use std::time::Duration;

/// How long to wait for a device that the daemon made non-blocking.
const PAUSE: Duration = Duration::from_millis(1);

/// Whether INIT is to be answered during the mount.
#[derive(Default)]
pub struct SyncInit {
    /// A [`Wish`].
    wish: AtomicU8,
    /// It is being mounted and served at once.
    under_way: AtomicBool,
    /// The errno that INIT was answered with, 0 for none.
    refused: AtomicI32,
}

/// What the daemon said of it.
struct Wish;

impl Wish {
    /// Nothing: it is done where a process waits to hear how the daemon starts, as it makes more of that known.
    const UNSAID: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
}

impl Session {
    /// Says whether INIT is to be answered while the session is being mounted, where that is possible.
    pub fn set_sync_init(&self, on: bool) {
        self.sync_init.wish.store(if on { Wish::YES } else { Wish::NO }, Ordering::Relaxed);
    }

    fn wants_sync_init(&self) -> bool {
        match self.sync_init.wish.load(Ordering::Relaxed) {
            Wish::UNSAID => start::was_expected(),
            wish => wish == Wish::YES,
        }
    }

    /// Makes the mount, served meanwhile if that is wanted. `nowhere` is for a device that is given up.
    pub(super) fn mount_served(&self, mountpoint: &CStr, nowhere: BorrowedFd<'_>) -> Result<(Mount, OwnedFd), Errno> {
        if !self.wants_sync_init() {
            return mount::mount(mountpoint, &self.mount_options, None);
        }
        // The thread uses what is on this one's stack.
        let _uncancellable = Uncancellable::from_now();
        threads::scope(&Serve(self), |threads| {
            mount::mount(mountpoint, &self.mount_options, Some(&Server { session: self, nowhere, threads }))
        })
    }

    /// INIT was answered with an error.
    pub(super) fn init_refused(&self, errno: Errno) {
        self.sync_init.refused.store(errno as i32, Ordering::SeqCst);
    }

    /// Whether the daemon's init ended the session, and the mount that waits for it is not to be.
    pub(super) fn init_withdrawn(&self) -> Result<(), Errno> {
        if !self.sync_init.under_way.load(Ordering::SeqCst) || !self.exited() {
            return Ok(());
        }
        log::error!("the session was ended during init: it is not mounted");
        Err(match self.exit_status() {
            0 => Errno::ECANCELED,
            status if status < 0 => Errno::from_raw(status.saturating_neg()),
            _ => Errno::EINTR,
        })
    }
}

/// What the thread does that serves. It is one at a time.
struct Serve<'s>(&'s Session);

/// What it has for itself.
struct Worker {
    /// Known once it runs.
    thread: OnceLock<Thread>,
    stop: AtomicBool,
    /// Locked by the thread as long as it lives.
    buffer: Mutex<Buffer>,
}

impl Serve<'_> {
    /// Serves what comes until called off. An exit does not stop it: INIT, which the mount waits for, must be answered.
    fn serve(&self, worker: &Worker) -> Result<(), Errno> {
        let _ = worker.thread.set(Thread::current()?);
        let channel = self.0.channel()?;
        let mut buffer = worker.buffer.lock();
        let buf = buffer.bytes();
        while !worker.stop.load(Ordering::SeqCst) {
            match channel.recv(buf) {
                Ok(n) => self.0.process(channel, buf.get(..n).unwrap_or_default()),
                // Woken, or a request was interrupted before it could be read.
                Err(Errno::EINTR | Errno::ENOENT) => {}
                Err(Errno::EAGAIN) => std::thread::sleep(PAUSE),
                // The mount failed.
                Err(_) => break,
            }
        }
        Ok(())
    }
}

impl Crew for Serve<'_> {
    type Member = Worker;

    fn work(&self, _: &Threads<'_, Self>, worker: &Worker) {
        if let Err(errno) = self.serve(worker) {
            log::error!("synchronous INIT: {}", errno.desc());
        }
    }

    fn ended(&self, _: &Worker) {}

    fn call_off(&self, worker: &Worker, _: bool) {
        worker.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = worker.thread.get() {
            thread.wake();
        }
    }
}

/// Serves a session for who mounts it.
struct Server<'a, 'c, 's> {
    session: &'a Session,
    nowhere: BorrowedFd<'a>,
    threads: &'a Threads<'c, Serve<'s>>,
}

impl Early for Server<'_, '_, '_> {
    fn begin(&self, device: OwnedFd) -> Result<(), Errno> {
        let session = self.session;
        session.sync_init.refused.store(0, Ordering::SeqCst);
        session.sync_init.under_way.store(true, Ordering::SeqCst);
        let started = session.take_device(device).and_then(|_| {
            let buffer = Mutex::new(Buffer::new(session.buf_size())?);
            let worker = Worker { thread: OnceLock::new(), stop: AtomicBool::new(false), buffer };
            without_termination_signals(|| self.threads.start(worker, stack_size()))
        });
        started.inspect_err(|errno| {
            log::error!("synchronous INIT: {}", errno.desc());
            let _ = self.end(false);
        })
    }

    fn end(&self, mounted: bool) -> Result<(), Errno> {
        self.threads.dismiss();
        let session = self.session;
        session.sync_init.under_way.store(false, Ordering::SeqCst);
        if mounted {
            return Ok(());
        }
        session.give_up_device(self.nowhere);
        match session.sync_init.refused.load(Ordering::SeqCst) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno)),
        }
    }
}

impl Session {
    /// Connects the session to a device, its first or, after a mount that failed, another.
    pub(super) fn take_device(&self, device: OwnedFd) -> Result<&Channel, Errno> {
        match self.device.get() {
            Some(channel) => channel.renew(&device).map(|()| channel),
            None => Ok(self.device.get_or_init(|| Channel::device(device))),
        }
    }

    /// The mount of the device failed: another may be tried.
    fn give_up_device(&self, nowhere: BorrowedFd<'_>) {
        if let Some(channel) = self.device.get()
            && let Err(errno) = channel.retire(nowhere)
        {
            log::error!("closing device: {}", errno.desc());
        }
        self.enter(Stage::NEW);
    }

    /// Whether the session has a connection, or had one.
    pub(super) fn is_taken(&self) -> bool {
        let unused = |device: &Channel| device.is_retired() && self.stage() == Stage::NEW;
        self.custom.get().is_some() || self.device.get().is_some_and(|device| !unused(device))
    }
}
