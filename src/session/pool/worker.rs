//! A worker's life.

use super::headcount::Next;
use super::{Pool, Workers};
use crate::abi::opcode::Opcode;
use crate::session::inbox::Inbox;
use crate::session::single::report_child;
use crate::transport::threads::Crew;
use crate::transport::{Channel, fork, wake::Thread};
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// A worker that has served so many requests asks the pool's thread to look.
const LIVELY: u32 = 64;

/// What a worker has for itself.
pub(super) struct Worker {
    /// Known once it runs.
    thread: OnceLock<Thread>,
    receiving: Arc<AtomicBool>,
    /// Turns between receiving, when it is even, and serving.
    turns: AtomicU32,
    /// What that was when the pool's thread looked last.
    seen: AtomicU32,
    /// It is to see whether its next callback goes to sleep.
    watched: AtomicBool,
    /// Locked by the worker as long as it lives.
    inbox: Mutex<Inbox>,
    /// Under clone_fd. It is lent to a thread that runs: only that gives it back.
    channel: OnceLock<Arc<Channel>>,
}

/// What a worker did since the pool's thread looked last.
pub(super) enum Progress {
    /// It has served so many requests.
    Served(u32),
    /// It is in the same callback as then.
    Stuck,
}

impl Worker {
    pub fn new(inbox: Inbox) -> Self {
        let ([turns, seen], watched) = ([0, 0].map(AtomicU32::new), AtomicBool::new(false));
        let (thread, receiving, channel) = (OnceLock::new(), Arc::default(), OnceLock::new());
        Self { thread, receiving, turns, seen, watched, inbox: Mutex::new(inbox), channel }
    }

    /// What it did since the last look; only one thread looks.
    pub fn look(&self) -> Progress {
        let turns = self.turns.load(Ordering::Relaxed);
        let before = self.seen.swap(turns, Ordering::Relaxed);
        if turns == before && turns % 2 == 1 {
            return Progress::Stuck;
        }
        // Two turns each; one that is under way counts when it is over.
        Progress::Served((turns / 2).wrapping_sub(before / 2))
    }

    /// Has it see whether its next callback goes to sleep.
    pub fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Begins to receive, or to serve.
    fn turn(&self) {
        // Nobody else writes.
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

impl Pool<'_> {
    fn serve(&self, workers: &Workers<'_, '_>, worker: &Worker) -> Result<(), Errno> {
        let _ = worker.thread.set(Thread::current()?);
        let shared = self.session.channel()?;
        let own = self.own_channel(worker).unwrap_or(shared);
        let mut inbox = worker.inbox.lock();
        let mut process = fork::Watch::begin();
        let mut unseen = 0;
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
                Err(errno) => {
                    self.session.forgive(channel, errno)?;
                    continue;
                }
            }
            worker.turn();
            self.take_request(workers, &mut inbox);
            self.watch_sleep(worker, || inbox.process(self.session, channel));
            worker.turn();
            if process.is_child() {
                report_child();
                // Nobody looks at the pool here.
                self.workers.set_lean(false);
            }
            if !self.lively.load(Ordering::Relaxed) {
                self.say_lively(&mut unseen);
            }
            if !self.stays() {
                return Ok(());
            }
        }
    }

    /// The worker's channel under clone_fd. Without one it serves from the shared channel.
    fn own_channel<'w>(&self, worker: &'w Worker) -> Option<&'w Channel> {
        if !self.config.clone_fd {
            return None;
        }
        let clone = self.session.lend_clone();
        let clone = clone.inspect_err(|e| log::warn!("the device could not be cloned: {}", e.desc())).ok()?;
        Some(worker.channel.get_or_init(|| clone))
    }

    /// This worker is busy now. Forgets are brief and come in crowds: they are no reason to grow.
    fn take_request(&self, workers: &Workers<'_, '_>, inbox: &mut Inbox) {
        let brief = [Opcode::Forget as u32, Opcode::BatchForget as u32];
        if self.workers.take() && !brief.contains(&inbox.opcode()) && self.grow(workers).is_err() {
            // Without a further worker the pool still serves, only less at once. Its thread tries again.
            self.session.ring();
        }
    }

    /// Serves, and says, for one request of many, if the thread went to sleep meanwhile: others would have been waiting.
    fn watch_sleep(&self, worker: &Worker, serve: impl FnOnce()) {
        let before = worker.watched.load(Ordering::Relaxed).then(sleeps);
        serve();
        if let Some(before) = before {
            self.note_sleep(worker, before);
        }
    }

    #[cold]
    fn note_sleep(&self, worker: &Worker, before: i64) {
        worker.watched.store(false, Ordering::Relaxed);
        self.slept.fetch_or(sleeps() != before, Ordering::Relaxed);
    }

    /// Has the pool's thread, which does not look, do so if there is a reason to.
    #[cold]
    fn say_lively(&self, unseen: &mut u32) {
        *unseen += 1;
        if *unseen >= LIVELY {
            *unseen = 0;
            self.lively.store(true, Ordering::Relaxed);
            self.session.ring();
        }
    }

    /// Whether the worker is to wait for another request, perhaps after a rest; else it is to end.
    fn stays(&self) -> bool {
        match self.workers.served() {
            Next::Wait => true,
            Next::Leave => false,
            Next::Rest => self.rest(),
        }
    }

    #[cold]
    fn rest(&self) -> bool {
        // Whoever rests serves nothing: a pause has not to wait for it.
        self.session.loop_ends();
        let called = self.workers.rest(|| self.session.exited());
        self.session.loop_begins();
        called
    }
}

/// How often the calling thread went to sleep of its own accord.
#[cold]
fn sleeps() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.voluntary_context_switches())
}

impl Crew for Pool<'_> {
    type Member = Worker;

    fn work(&self, workers: &Workers<'_, '_>, worker: &Worker) {
        self.session.loop_begins();
        self.session.list_receiver(&worker.receiving);
        if let Err(errno) = self.serve(workers, worker) {
            self.failure.lock().get_or_insert(errno);
            self.session.exit();
        }
    }

    fn ended(&self, worker: &Worker) {
        self.session.unlist_receiver(&worker.receiving);
        self.session.loop_ends();
        if let Some(channel) = worker.channel.get() {
            self.session.give_clone_back(channel.clone());
        }
        self.workers.leave(worker.receiving.load(Ordering::Relaxed));
        self.session.ring();
    }

    /// A worker in a callback ends when that returns.
    fn call_off(&self, worker: &Worker, loudly: bool) {
        self.workers.wake_resting();
        if worker.receiving.load(Ordering::SeqCst)
            && let Some(thread) = worker.thread.get()
        {
            thread.wake_to_end(loudly);
        }
    }
}
