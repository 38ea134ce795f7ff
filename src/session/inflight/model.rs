//! The life of a request, in every order that threads may take. Run by `scripts/model`.

use super::table::unused;
use super::{Arrival, Marks, Slot, Token, find, take, with_own};
use crate::abi::wire::InHeader;
use crate::sync::{AtomicU32, Mutex, here};
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use loom::sync::Arc;
use loom::thread;

fn arrive(unique: u64) -> Token {
    arrive_for(unique, 0)
}

fn arrive_for(unique: u64, server: usize) -> Token {
    arrive_at(0, unique, server)
}

/// A request of one of several sessions.
fn arrive_at(session: usize, unique: u64, server: usize) -> Token {
    take().expect("a slot is free").arrive(&Arrival {
        head: &InHeader { unique, nodeid: unique, opcode: unique as u32, ..InHeader::default() },
        flags: 0,
        umask: 0,
        session: core::ptr::without_provenance_mut(session),
        channel: core::ptr::null_mut(),
        userdata: core::ptr::null_mut(),
        marks: Marks::empty(),
        server,
    })
}

/// As the session does: the callback, then the slot goes back if it came home.
fn serve(unique: u64, callback: impl FnOnce(Token)) {
    let token = arrive_for(unique, here());
    with_own(|own| own.serve(slot(token), || callback(token)));
}

fn slot(token: Token) -> &'static Slot {
    find(token).expect("slots stay")
}

#[test]
fn one_of_two_replies() {
    loom::model(|| {
        let token = arrive(6);
        let reply = move || slot(token).claim(token).map(|claim| assert_eq!(claim.slot().unique(), 6)).is_some();
        let other = thread::spawn(reply);
        let replies = u32::from(reply()) + u32::from(other.join().unwrap());
        assert_eq!((replies, unused()), (1, 2));
        assert!(!slot(token).is_live(token));
    });
}

/// A handle that is used too late never means the next request in its slot.
#[test]
fn a_stale_handle_never_means_the_next_request() {
    loom::model(|| {
        let token = arrive(6);
        let late = thread::spawn(move || slot(token).claim(token).map(|claim| claim.slot().unique()));
        let mine = slot(token).claim(token).is_some();
        let next = arrive(8);
        let again = slot(token).claim(token).map(|claim| claim.slot().unique());
        let late = late.join().unwrap();
        assert!(late.is_none_or(|unique| unique == 6) && again.is_none_or(|unique| unique == 6));
        assert_eq!(u32::from(mine) + u32::from(late.is_some()) + u32::from(again.is_some()), 1);
        assert!(slot(next).claim(next).is_some());
        assert_eq!(unused(), 2);
    });
}

/// What is left goes to nobody, whoever lets go of it last.
#[test]
fn what_is_left_is_no_other_requests() {
    loom::model(|| {
        let token = arrive_for(6, here());
        let other = thread::spawn(move || drop(slot(token).pin(token)));
        let reply = || slot(token).claim(token).expect("nobody else replies").slot().leave();
        with_own(|own| own.serve(slot(token), reply));
        other.join().unwrap();
        assert_eq!(unused(), 1);
        assert!(!slot(token).is_live(token) && !slot(token).is_busy());
    });
}

/// What is pinned stays: its slot goes to nobody else before the pin is gone.
#[test]
fn a_pin_holds_the_request_in_place() {
    loom::model(|| {
        let token = arrive(6);
        let pinned = thread::spawn(move || {
            let Some(pin) = slot(token).pin(token) else { return };
            let (before, after) = (pin.slot().unique(), pin.slot().nodeid());
            assert_eq!((before, after), (6, 6));
        });
        let other = thread::spawn(move || drop(slot(token).claim(token)));
        // Whichever slot is free.
        let next = arrive(8);
        assert_eq!(slot(next).unique(), 8);
        drop(slot(next).claim(next));
        pinned.join().unwrap();
        other.join().unwrap();
        assert_eq!(unused(), 2);
    });
}

/// A session that ends takes what is its own, whosoever the slot is by then.
#[test]
fn a_request_is_claimed_for_its_own_session_only() {
    loom::model(|| {
        let token = arrive_at(1, 6, 0);
        let ending = thread::spawn(move || {
            let claim = slot(token).claim_of(core::ptr::without_provenance_mut(1));
            claim.is_some_and(|claim| claim.slot().unique() == 6)
        });
        let answered = slot(token).claim(token).is_some();
        let next = arrive_at(2, 8, 0);
        assert_eq!(u32::from(answered) + u32::from(ending.join().unwrap()), 1);
        assert!(slot(next).claim(next).is_some());
        assert_eq!(unused(), 2);
    });
}

/// An interrupt function is called once when the interrupt comes before or after it is set, and not after the reply
/// unless it was under way; it is dropped with its request.
#[test]
fn interrupt_functions_are_called_and_dropped() {
    loom::model(|| {
        let token = arrive(6);
        let called = Arc::new(AtomicU32::new(0));
        let seen = called.clone();
        let interrupt = thread::spawn(move || slot(token).pin(token).map(|pin| pin.interrupt()).is_some());
        if let Some(pin) = slot(token).pin(token) {
            pin.set_hook(Some(Box::new(move || _ = seen.fetch_add(1, Relaxed))));
        }
        let interrupted = interrupt.join().unwrap();
        assert!(interrupted && slot(token).interrupted());
        assert_eq!(called.load(Acquire), 1);
        drop(slot(token).claim(token));
        assert_eq!((Arc::strong_count(&called), unused()), (1, 2));
    });
}

/// A function that answers, against a reply of the daemon's own.
#[test]
fn an_interrupt_function_may_reply() {
    loom::model(|| {
        let token = arrive(6);
        let replies = Arc::new(Mutex::new(0));
        let reply = {
            let replies = replies.clone();
            move || {
                if let Some(claim) = slot(token).claim(token) {
                    *replies.lock() += 1;
                    drop(claim);
                }
            }
        };
        if let Some(pin) = slot(token).pin(token) {
            pin.set_hook(Some(Box::new(reply.clone())));
        }
        let interrupt = thread::spawn(move || {
            if let Some(pin) = slot(token).pin(token) {
                pin.interrupt();
            }
        });
        reply();
        interrupt.join().unwrap();
        assert_eq!((*replies.lock(), unused()), (1, 2));
    });
}

/// The slot goes back once, whoever of the serving thread and another replies, and whatever becomes of the slot then.
#[test]
fn a_slot_comes_home_or_is_given_back_elsewhere() {
    loom::model(|| {
        let tokens = Arc::new(Mutex::new(None));
        let handed = tokens.clone();
        let other = thread::spawn(move || {
            let Some(token) = *handed.lock() else { return };
            drop(slot(token).claim(token));
            serve(8, |token| drop(slot(token).claim(token)));
        });
        serve(6, |token| {
            *tokens.lock() = Some(token);
            drop(slot(token).claim(token));
        });
        other.join().unwrap();
        assert_eq!(unused(), 2);
    });
}

/// A pin that outlives the reply decides where the slot goes.
#[test]
fn the_last_pin_takes_the_slot_home_or_elsewhere() {
    loom::model(|| {
        let tokens = Arc::new(Mutex::new(None));
        let handed = tokens.clone();
        let interrupt = thread::spawn(move || {
            let token = *handed.lock();
            token.and_then(|token| slot(token).pin(token)).map(|pin| pin.interrupt());
        });
        serve(6, |token| {
            *tokens.lock() = Some(token);
            drop(slot(token).claim(token));
        });
        interrupt.join().unwrap();
        assert_eq!(unused(), 2);
    });
}

/// A request that nobody answered in its callback, against the answer.
#[test]
fn a_late_reply_gives_the_slot_back() {
    loom::model(|| {
        let tokens = Arc::new(Mutex::new(None));
        let handed = tokens.clone();
        let other = thread::spawn(move || {
            let token = *handed.lock();
            token.is_some_and(|token| slot(token).claim(token).is_some())
        });
        let mut mine = None;
        serve(6, |token| {
            *tokens.lock() = Some(token);
            mine = Some(token);
        });
        let answered = other.join().unwrap();
        if let Some(token) = mine {
            assert_eq!(slot(token).claim(token).is_some(), !answered);
        }
        assert_eq!(unused(), 2);
    });
}
