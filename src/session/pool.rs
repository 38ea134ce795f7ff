//! The multi-threaded loop: a pool of workers that grows with the load.
//!
//! Each worker receives and serves on its own. One that takes a request while no other waits for the next starts a
//! further worker first, so a slow callback never keeps others waiting while there is room to grow. The calling
//! thread serves nothing: it waits for the exit, which makes signals meet it and not a callback, and joins workers that
//! have ended.

mod headcount;

use super::Session;
use super::inbox::Inbox;
use super::single::report_child;
use super::uring::{Loop, Rings};
use crate::abi::opcode::Opcode;
use crate::opt::loop_config::LoopConfig;
use crate::transport::threads::{self, Crew, Uncancellable};
use crate::transport::{Channel, fork, privilege, wake::Thread};
use headcount::Headcount;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a worker has for itself.
struct Worker {
    /// Known once it runs.
    thread: OnceLock<Thread>,
    receiving: AtomicBool,
    /// Locked by the worker as long as it lives.
    inbox: Mutex<Inbox>,
    /// Under clone_fd.
    channel: Option<Arc<Channel>>,
}

struct Pool<'s> {
    session: &'s Session,
    config: LoopConfig,
    workers: Headcount,
    failure: Mutex<Option<Errno>>,
}

/// The workers of a pool.
type Workers<'p, 's> = threads::Threads<'p, Pool<'s>>;

impl Session {
    /// Serves requests on a pool of threads until the session ends. Returns as [`Session::run`] does.
    ///
    /// A callback may end its worker; another takes its place. The calling thread cannot be cancelled: the workers use
    /// what it has on its stack.
    pub fn run_pool(&self, config: LoopConfig) -> Result<i32, Errno> {
        self.channel_to_serve()?;
        self.exit.bell()?;
        self.served_by(Loop::POOL);
        let _uncancellable = Uncancellable::from_now();
        let mut config = config;
        if config.clone_fd && self.loses_clones() {
            log::warn!("clone_fd is not used: nobody keeps clones of the device for a successor");
            config.clone_fd = false;
        }
        let workers = Headcount::new(config.max_threads, config.max_idle_threads);
        let pool = Pool { session: self, config, workers, failure: Mutex::new(None) };
        let rings = Rings::new(self);
        let serve = |seats: &threads::Threads<'_, _>, workers: &Workers<'_, '_>| {
            let outcome = pool.supervise(workers, || rings.tend(seats));
            // Whatever ended it, workers that are left must hear of it. A loop that never ran leaves the session as it was.
            if !pool.workers.is_empty() {
                self.exit();
            }
            outcome
        };
        let outcome = threads::scope(&rings, |seats| threads::scope(&pool, |workers| serve(seats, workers)));
        let failure = pool.failure.lock().take().or_else(|| rings.take_failure());
        self.finish_loop(failure.map_or(outcome, Err))
    }
}

impl Pool<'_> {
    /// Sees to it that there are workers, until the exit. `tend` does what else is to be done, and says how soon again.
    fn supervise(&self, workers: &Workers<'_, '_>, tend: impl Fn() -> Option<Duration>) -> Result<(), Errno> {
        while !self.session.exited() {
            if self.workers.nobody_waits()
                && let Err(errno) = self.start_worker(workers)
                && self.workers.is_empty()
            {
                log::error!("no worker thread could be started: {}", errno.desc());
                return Err(errno);
            }
            self.session.wait_for_bell(tend())?;
            if self.session.is_paused() {
                workers.each(|worker| self.call_off(worker));
            }
            workers.reap();
        }
        Ok(())
    }

    /// Starts a worker, if there is room for one.
    fn start_worker(&self, workers: &Workers<'_, '_>) -> Result<(), Errno> {
        if !self.workers.join() {
            return Ok(());
        }
        let started = Inbox::new(self.session).and_then(|inbox| {
            let (thread, receiving) = (OnceLock::new(), AtomicBool::new(false));
            let worker = Worker { thread, receiving, inbox: Mutex::new(inbox), channel: self.own_channel() };
            without_termination_signals(|| workers.start(worker, stack_size()))
        });
        if started.is_err() {
            self.workers.leave(true);
        }
        started
    }

    fn serve(&self, workers: &Workers<'_, '_>, worker: &Worker) -> Result<(), Errno> {
        let _ = worker.thread.set(Thread::current()?);
        let shared = self.session.channel()?;
        let own = worker.channel.as_deref().unwrap_or(shared);
        let mut inbox = worker.inbox.lock();
        let mut process = fork::Watch::begin();
        loop {
            if self.session.is_paused() {
                self.session.park();
            }
            worker.receiving.store(true, Ordering::SeqCst);
            if self.session.exited() {
                return Ok(());
            }
            // A request is answered where it was read.
            let channel = if self.session.has_read_before() { shared } else { own };
            let received = inbox.receive(self.session, channel);
            worker.receiving.store(false, Ordering::Relaxed);
            match received {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) if self.session.is_paused() => continue,
                Err(errno) => return Err(errno),
            }
            self.take_request(workers, inbox.opcode());
            inbox.process(self.session, channel);
            if process.is_child() {
                report_child();
            }
            if !self.workers.wait_again() {
                return Ok(());
            }
        }
    }

    /// This worker is busy now. Forgets are brief and come in crowds: they are no reason to grow.
    fn take_request(&self, workers: &Workers<'_, '_>, opcode: u32) {
        let brief = [Opcode::Forget as u32, Opcode::BatchForget as u32].contains(&opcode);
        if self.workers.take() && !brief {
            // Without a further worker the pool still serves, only less at once.
            let _ = self.start_worker(workers).inspect_err(|e| log::warn!("no further worker thread: {}", e.desc()));
        }
    }

    /// The channel of a worker under clone_fd: one that an earlier worker left, or a new one. Without one it serves
    /// from the shared channel.
    fn own_channel(&self) -> Option<Arc<Channel>> {
        if !self.config.clone_fd {
            return None;
        }
        if let Some(channel) = self.session.clones.lock().pop() {
            return Some(channel);
        }
        let made = self.session.channel().and_then(Channel::try_clone);
        // One that is not kept would take its requests with it if the process died.
        let made = made.and_then(|clone| self.session.keep_clone(&clone).map(|()| clone));
        made.map(Arc::new).inspect_err(|e| log::warn!("the device could not be cloned: {}", e.desc())).ok()
    }
}

impl Crew for Pool<'_> {
    type Member = Worker;

    fn work(&self, workers: &Workers<'_, '_>, worker: &Worker) {
        self.session.loop_begins();
        if let Err(errno) = self.serve(workers, worker) {
            self.failure.lock().get_or_insert(errno);
            self.session.exit();
        }
    }

    fn ended(&self, worker: &Worker) {
        self.session.loop_ends();
        if let Some(channel) = &worker.channel {
            self.session.clones.lock().push(channel.clone());
        }
        self.workers.leave(worker.receiving.load(Ordering::Relaxed));
        self.session.ring();
    }

    /// A worker in a callback ends when that returns.
    fn call_off(&self, worker: &Worker) {
        if worker.receiving.load(Ordering::SeqCst)
            && let Some(thread) = worker.thread.get()
        {
            thread.wake();
        }
    }
}

/// Runs `start` with the signals blocked that end daemons, so that threads started in it leave those to the thread
/// that waits.
pub(super) fn without_termination_signals<T>(start: impl FnOnce() -> T) -> T {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    let before = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
    let result = start();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    result
}

/// Stack of a worker in bytes, where FUSE_THREAD_STACK says one.
pub(super) fn stack_size() -> Option<usize> {
    let asked = privilege::variable("FUSE_THREAD_STACK")?;
    let size = asked.to_str().and_then(|number| number.parse().ok());
    if size.is_none() {
        log::error!("FUSE_THREAD_STACK is no number of bytes: {}", asked.to_string_lossy());
    }
    size
}
