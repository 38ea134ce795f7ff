//! An exit before, during and after a receive, in every order that threads may take. Run by `scripts/model`.

use super::{Ends, Gate};
use core::sync::atomic::Ordering::{Acquire, Release};
use loom::sync::atomic::AtomicBool;
use loom::sync::{Arc, Condvar, Mutex};
use loom::{model::Builder, thread};

const LOOP: i32 = 7;

/// A receive that nothing arrives for. What the system promises of one: a signal ends it if it comes after the call has
/// begun, and is lost if it comes before; whether it may block is looked at when it has begun.
#[derive(Default)]
struct Receive {
    state: Mutex<State>,
    changed: Condvar,
    nonblocking: AtomicBool,
    /// The daemon's own function: a wake-up may be lost in it, and it knows of no non-blocking.
    own: bool,
}

#[derive(Default)]
struct State {
    begun: bool,
    signalled: bool,
    alarm: bool,
}

impl Receive {
    fn receive(&self) {
        let mut state = self.state.lock().unwrap();
        (state.begun, state.signalled) = (true, false);
        drop(state);
        if !self.nonblocking.load(Acquire) {
            state = self.state.lock().unwrap();
            while !(state.alarm || state.signalled && !self.own) {
                state = self.changed.wait(state).unwrap();
            }
            drop(state);
        }
        self.state.lock().unwrap().begun = false;
    }

    fn is_undone(&self) -> bool {
        !self.nonblocking.load(Acquire) && !self.state.lock().unwrap().alarm
    }
}

impl Ends for Receive {
    fn set_nonblocking(&self, on: bool) -> bool {
        // Two steps, as fcntl(2) needs two calls.
        let changes = !self.own && self.nonblocking.load(Acquire) != on;
        if changes {
            self.nonblocking.store(on, Release);
        }
        changes
    }

    fn wake(&self, thread: i32) {
        assert_eq!(thread, LOOP);
        let mut state = self.state.lock().unwrap();
        if state.begun {
            state.signalled = true;
            self.changed.notify_all();
        }
    }

    fn set_alarm(&self, on: bool) {
        if self.own {
            self.state.lock().unwrap().alarm = on;
            self.changed.notify_all();
        }
    }
}

struct Both {
    gate: Gate,
    receive: Receive,
}

fn both(own: bool) -> Arc<Both> {
    Arc::new(Both { gate: Gate::default(), receive: Receive { own, ..Receive::default() } })
}

fn exit(both: &Both) {
    both.gate.close();
    both.gate.end_receive(&both.receive);
}

/// As `Session::run`.
fn run(both: &Both) {
    while both.gate.enter(LOOP) {
        both.receive.receive();
        both.gate.leave(&both.receive);
    }
    both.gate.leave(&both.receive);
}

/// A loop that was asked to end does: the checker finds one that waits for ever. It leaves nothing behind, so the next
/// waits for requests again. Up to so many switches of threads that nothing forced: more take minutes.
fn ends(own: bool, exits: usize, switches: usize) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(move || {
        let both = both(own);
        let threads: Vec<_> = (0..exits)
            .map(|_| {
                let both = both.clone();
                thread::spawn(move || exit(&both))
            })
            .collect();
        run(&both);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(both.gate.is_closed() && both.receive.is_undone());
        both.gate.open(Some(&both.receive));
        assert!(!both.gate.is_closed() && both.receive.is_undone());
    });
}

#[test]
fn a_receive_of_the_device_ends() {
    ends(false, 1, 4);
}

#[test]
fn a_receive_of_the_daemon_s_own_ends() {
    ends(true, 1, 4);
}

#[test]
fn two_exits_at_once() {
    ends(false, 2, 2);
}

#[test]
fn two_exits_at_once_with_an_alarm() {
    ends(true, 2, 2);
}
