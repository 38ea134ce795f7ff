//! The multi-threaded loop: a pool of workers that grows with the load.
//!
//! Each worker receives and serves on its own. One that takes a request while no other waits for the next calls or starts
//! a further worker first, so a slow callback never keeps others waiting while there is room to grow; while callbacks are
//! fast that would only cost, and the pool is lean (`pace`). The calling thread serves nothing: it waits for the exit,
//! which makes signals meet it and not a callback, joins workers that have ended, and sees to the pace.

mod headcount;
mod pace;
mod refusals;
mod slack;
mod worker;

use super::Session;
use super::inbox::Inbox;
use super::uring::{Loop, Rings};
use crate::opt::loop_config::LoopConfig;
use crate::transport::privilege;
use crate::transport::threads::{self, Crew, Uncancellable};
use core::cell::Cell;
use headcount::Headcount;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use pace::{Pace, Seen, TICK, Verdict};
use parking_lot::Mutex;
use refusals::Refusals;
use slack::Slack;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use worker::{Progress, Worker};

struct Pool<'s> {
    session: &'s Session,
    config: LoopConfig,
    workers: Headcount,
    refusals: Refusals,
    failure: Mutex<Option<Errno>>,
    /// Requests come, and the pool's thread looks at the workers all the time.
    lively: AtomicBool,
    /// A callback went to sleep.
    slept: AtomicBool,
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
        let [lively, slept] = [false, false].map(AtomicBool::new);
        let (refusals, failure) = (Refusals::default(), Mutex::new(None));
        let pool = Pool { session: self, config, workers, refusals, failure, lively, slept };
        let rings = Rings::new(self);
        self.settle();
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
        let (mut pace, mut last, slack) = (Pace::default(), Instant::now(), Slack::of_this_thread());
        while !self.session.exited() {
            if self.workers.nobody_waits()
                && (!self.workers.is_lean() || self.workers.nobody_serves())
                && let Err(errno) = self.grow(workers)
                && self.workers.is_empty()
            {
                log::error!("no worker thread could be started: {}", errno.desc());
                return Err(errno);
            }
            let lively = self.lively.load(Ordering::Relaxed);
            let retry = if self.workers.nobody_waits() { self.refusals.retry() } else { None };
            let soon = tend().into_iter().chain(lively.then_some(TICK)).chain(retry).min();
            let wait = || self.session.wait_for_bell(soon);
            if lively { slack.late(wait) } else { wait() }?;
            if self.session.is_paused() {
                workers.each(|worker| self.call_off(worker, false));
            }
            workers.reap();
            let now = Instant::now();
            // The bell may have rung before the time: nothing is slow that was not over in a moment.
            if lively && now.duration_since(last) >= TICK / 2 {
                let verdict = pace.judge(self.look(workers, now.duration_since(last)));
                last = now;
                self.workers.set_lean(verdict == Verdict::Lean);
                self.lively.store(verdict != Verdict::Quiet, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// What the workers do at this moment, so long after the last look. One of them sees to it, at its next request,
    /// whether callbacks sleep: asking the kernel takes longer than a request does.
    fn look(&self, workers: &Workers<'_, '_>, time: Duration) -> Seen {
        let (served, stuck) = (Cell::new(0), Cell::new(false));
        workers.each(|worker| match worker.look() {
            Progress::Served(requests) => {
                if requests > 0 && served.get() == 0 {
                    worker.watch();
                }
                served.set(served.get() + requests);
            }
            Progress::Stuck => stuck.set(true),
        });
        let slow = self.slept.swap(false, Ordering::Relaxed) || stuck.get();
        Seen { served: served.get(), time, slow }
    }

    /// A worker more waits: one that rested, or a new one if there is room for it.
    #[cold]
    fn grow(&self, workers: &Workers<'_, '_>) -> Result<(), Errno> {
        if self.workers.call() { Ok(()) } else { self.start_worker(workers) }
    }

    /// Starts a worker, if there is room for one and the last that was wanted was not refused just now.
    fn start_worker(&self, workers: &Workers<'_, '_>) -> Result<(), Errno> {
        let refused = self.refusals.are_recent() && !self.workers.is_empty();
        if refused || !self.workers.join() {
            return Ok(());
        }
        let started = Inbox::new(self.session)
            .and_then(|inbox| without_termination_signals(|| workers.start(Worker::new(inbox), stack_size())));
        let is_news = self.refusals.note(started);
        if let Err(errno) = started {
            self.workers.leave(true);
            if is_news && !self.workers.is_empty() {
                log::warn!("no further worker thread: {}", errno.desc());
            }
        }
        started
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
