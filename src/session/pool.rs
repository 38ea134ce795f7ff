//! The multi-threaded loop: a pool of workers that grows with the load.
//!
//! Each worker receives and serves on its own. One that takes a request while no other waits for the next starts a
//! further worker first, so a slow callback never keeps others waiting while there is room to grow. The calling
//! thread serves nothing: it waits for the exit, which makes signals meet it and not a callback.

use super::Session;
use crate::abi::opcode::Opcode;
use crate::decode;
use crate::opt::loop_config::LoopConfig;
use crate::transport::{Channel, wake::Thread};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Scope;

/// How often workers that have not left are woken again, in milliseconds.
const REPEAT_WAKE: u16 = 5;
/// Stack of a worker when the system sets no limit: what threads of C programs have.
const DEFAULT_STACK: usize = 8 << 20;

/// One worker, as the thread that ends the pool sees it.
struct Worker {
    thread: Thread,
    receiving: AtomicBool,
}

struct Pool<'s> {
    session: &'s Session,
    config: LoopConfig,
    workers: Mutex<Vec<Arc<Worker>>>,
    running: AtomicU32,
    /// Workers that wait for a request.
    waiting: AtomicU32,
    failure: Mutex<Option<Errno>>,
}

impl Session {
    /// Serves requests on a pool of threads until the session ends. Returns as [`Session::run`] does.
    pub fn run_pool(&self, config: LoopConfig) -> Result<i32, Errno> {
        self.channel_to_serve()?;
        self.exit.bell()?;
        let pool = Pool {
            session: self,
            config,
            workers: Mutex::default(),
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            failure: Mutex::new(None),
        };
        let outcome = std::thread::scope(|scope| {
            pool.start_worker(scope).inspect_err(|_| log::error!("the first worker thread could not be started"))?;
            let mut waited = Ok(());
            while waited.is_ok() && !self.exited() {
                waited = self.wait_for_exit();
            }
            // Whatever ended the wait: the scope ends only when all workers have left.
            self.exit();
            pool.dismiss();
            waited
        });
        let failure = pool.failure.lock().take();
        self.finish_loop(failure.map_or(outcome, Err))
    }
}

impl<'s> Pool<'s> {
    /// Starts a worker, if there is room for one.
    fn start_worker<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<(), Errno> {
        // At once, as two workers may each have found that no other is waiting.
        let more = |running| (running < self.config.max_threads.max(1)).then_some(running + 1);
        if self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Ok(());
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let started = without_termination_signals(|| {
            let builder = std::thread::Builder::new().name("fuse-worker".into()).stack_size(stack_size());
            builder.spawn_scoped(scope, move || self.work(scope))
        });
        match started {
            Ok(_) => Ok(()),
            Err(e) => {
                self.running.fetch_sub(1, Ordering::Relaxed);
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                Err(e.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))
            }
        }
    }

    /// A worker's life.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        if let Err(errno) = self.serve(scope) {
            self.failure.lock().get_or_insert(errno);
            self.session.exit();
        }
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    fn serve<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<(), Errno> {
        let worker = Arc::new(Worker { thread: Thread::current()?, receiving: AtomicBool::new(false) });
        self.workers.lock().push(worker.clone());
        let own = self.own_channel();
        let channel = own.as_deref().map_or_else(|| self.session.channel(), Ok)?;
        let mut buf = vec![0; self.session.buf_size()];
        let outcome = loop {
            worker.receiving.store(true, Ordering::SeqCst);
            if self.session.exited() {
                break Ok(());
            }
            let received = self.session.receive(channel, &mut buf);
            worker.receiving.store(false, Ordering::Relaxed);
            let message = match received {
                Ok(0) => break Ok(()),
                Ok(n) => buf.get(..n).unwrap_or_default(),
                Err(Errno::EINTR) => continue,
                Err(errno) => break Err(errno),
            };
            self.take_request(scope, message);
            self.session.process(channel, message);
            if !self.wait_again() {
                break Ok(());
            }
        };
        self.workers.lock().retain(|w| !Arc::ptr_eq(w, &worker));
        if let Some(channel) = own {
            self.session.clones.lock().push(channel);
        }
        outcome
    }

    /// This worker is busy now. Forgets are brief and come in crowds: they are no reason to grow.
    fn take_request<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, message: &[u8]) {
        let brief = [Opcode::Forget as u32, Opcode::BatchForget as u32];
        let last = self.waiting.fetch_sub(1, Ordering::Relaxed) == 1;
        let brief = decode::header(message).is_some_and(|h| brief.contains(&h.opcode));
        if last && !brief {
            // Without a further worker the pool still serves, only less at once.
            let _ = self.start_worker(scope).inspect_err(|e| log::warn!("no further worker thread: {}", e.desc()));
        }
    }

    /// This worker is free again; false when enough others are waiting.
    fn wait_again(&self) -> bool {
        if self.waiting.load(Ordering::Relaxed) >= self.config.max_idle_threads.max(1) {
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        true
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
        made.map(Arc::new).inspect_err(|e| log::warn!("the device could not be cloned: {}", e.desc())).ok()
    }

    /// Wakes the workers until all have left. Those in a callback leave when it returns.
    fn dismiss(&self) {
        loop {
            let workers = self.workers.lock().clone();
            for worker in workers.iter().filter(|w| w.receiving.load(Ordering::SeqCst)) {
                worker.thread.wake();
            }
            if self.running.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(REPEAT_WAKE.into()));
        }
    }
}

/// Runs `start` with the signals blocked that end daemons, so that threads started in it leave those to the thread
/// that waits.
fn without_termination_signals<T>(start: impl FnOnce() -> T) -> T {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    let before = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
    let result = start();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    result
}

/// Stack of a worker in bytes: FUSE_THREAD_STACK, or what the system gives C threads.
fn stack_size() -> usize {
    let asked = std::env::var("FUSE_THREAD_STACK").ok();
    if let Some(size) = asked.as_deref().map(str::parse) {
        return size.unwrap_or_else(|_| {
            log::error!("FUSE_THREAD_STACK is no number of bytes: {}", asked.as_deref().unwrap_or_default());
            DEFAULT_STACK
        });
    }
    match nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_STACK) {
        Ok((soft, _)) if soft != nix::sys::resource::RLIM_INFINITY => soft as usize,
        _ => DEFAULT_STACK,
    }
}
