//! A pool's workers come, wait, serve and go, in every order that threads may take. Run by `scripts/model`.

use super::{Headcount, Next};
use loom::sync::{Arc, Condvar, Mutex};
use loom::{model::Builder, thread};

/// Requests, and callbacks some of which wait for each other; the pool's bell.
struct Pool {
    count: Headcount,
    state: Mutex<State>,
    changed: Condvar,
    requests: usize,
    /// The callbacks of the last two requests return when both have begun: nobody else's do.
    slow: bool,
    /// The pool is lean for a while.
    lean: bool,
}

#[derive(Default)]
struct State {
    received: usize,
    begun: usize,
    alive: usize,
    rung: bool,
    ended: bool,
}

impl Pool {
    fn wait_until(&self, mut what: impl FnMut(&mut State) -> bool) {
        let mut state = self.state.lock().unwrap();
        while !what(&mut state) {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn tell(&self, what: impl FnOnce(&mut State)) {
        what(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    /// A request, or the end.
    fn receive(&self) -> bool {
        let mut received = false;
        self.wait_until(|state| {
            received = state.received < self.requests;
            state.received += usize::from(received);
            received || state.ended
        });
        received
    }

    fn call(&self) {
        let mut nth = 0;
        self.tell(|state| {
            state.begun += 1;
            nth = state.begun;
        });
        if self.slow && nth + 2 > self.requests {
            self.wait_until(|state| state.begun == self.requests);
        }
    }
}

fn start(pool: &Arc<Pool>) {
    if pool.count.join() {
        pool.tell(|state| state.alive += 1);
        let pool = pool.clone();
        thread::spawn(move || work(&pool));
    }
}

/// As `Pool::grow`.
fn grow(pool: &Arc<Pool>) {
    if !pool.count.call() {
        start(pool);
    }
}

/// As a worker of `Session::run_pool`.
fn work(pool: &Arc<Pool>) {
    let mut waiting = true;
    while waiting && pool.receive() {
        if pool.count.take() {
            grow(pool);
        }
        pool.call();
        waiting = match pool.count.served() {
            Next::Wait => true,
            Next::Leave => false,
            Next::Rest => pool.count.rest(|| pool.state.lock().unwrap().ended),
        };
    }
    pool.count.leave(waiting);
    pool.tell(|state| (state.rung, state.alive) = (true, state.alive - 1));
}

/// As the pool's thread, until every request is in its callback. The checker finds one that waits for ever.
fn supervise(pool: &Arc<Pool>) {
    if pool.lean {
        // Lean until a look, which comes at any time, finds a callback that takes its time.
        (0..2).for_each(|_| grow(pool));
        pool.count.set_lean(true);
        thread::yield_now();
        pool.count.set_lean(false);
    }
    loop {
        if pool.count.nobody_waits() {
            grow(pool);
        }
        let mut done = false;
        pool.wait_until(|state| {
            done = state.begun == pool.requests;
            done || core::mem::take(&mut state.rung)
        });
        if done {
            break;
        }
    }
    pool.tell(|state| state.ended = true);
    pool.count.wake_resting();
    pool.wait_until(|state| state.alive == 0);
    assert!(pool.count.is_empty() && pool.count.nobody_waits());
}

/// Up to so many switches of threads that nothing forced: more take minutes.
fn serves(lean: bool, max_threads: u32, max_idle: u32, requests: usize, slow: bool, switches: usize) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(move || {
        let (count, state) = (Headcount::new(max_threads, max_idle), Mutex::default());
        supervise(&Arc::new(Pool { count, state, changed: Condvar::new(), requests, slow, lean }));
    });
}

/// Two callbacks that end only when both have begun: the pool grows in time.
#[test]
fn a_slow_callback_keeps_nobody_waiting() {
    serves(false, 2, 2, 2, true, 2);
}

/// One leaves, as enough others wait, while the last of those takes a request and finds no room for another: there is
/// another in time, or the two slow callbacks would never end.
#[test]
fn who_leaves_is_replaced() {
    serves(false, 2, 1, 3, true, 1);
}

/// A pool of one serves one after the other.
#[test]
fn one_worker_is_enough() {
    serves(false, 1, 1, 3, false, 3);
}

/// A pool that was lean when a callback turned out to be slow: whoever rests, or is about to, is called.
#[test]
fn a_lean_pool_is_eager_in_time() {
    serves(true, 2, 2, 2, true, 2);
    serves(true, 2, 8, 3, true, 1);
}
