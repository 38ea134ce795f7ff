//! An interrupt before, during and after its request, in every order that threads may take. Run by `scripts/model`.

use super::super::fixture::session;
use super::super::inflight::{Arrival, Marks, Slot, Token, find, take};
use super::*;
use crate::abi::wire::InHeader;
use loom::thread;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

fn sent_back(kernel: &UnixDatagram) -> usize {
    std::iter::from_fn(|| kernel.recv(&mut [0; 100]).ok()).count()
}

fn slot(token: Token) -> &'static Slot {
    find(token).unwrap()
}

/// A request goes the way that `Session::process` sends it.
fn arrive(session: &Session, unique: u64) -> Token {
    let token = take().unwrap().arrive(&Arrival {
        head: &InHeader { unique, nodeid: 1, opcode: Opcode::Read as u32, ..InHeader::default() },
        flags: 0,
        umask: 0,
        session: session.address(),
        channel: core::ptr::null_mut(),
        userdata: core::ptr::null_mut(),
        marks: Marks::empty(),
        server: 0,
    });
    session.meet_interrupts(token, unique, session.channel().unwrap());
    token
}

/// On a thread of its own.
fn interrupt(session: &Arc<Session>, target: u64) -> thread::JoinHandle<()> {
    let session = session.clone();
    thread::spawn(move || session.interrupt(session.channel().unwrap(), target + 1, target))
}

fn kept(session: &Session) -> usize {
    let kept = session.interrupts.early.lock().len();
    assert_eq!(session.interrupts.count.load(Ordering::SeqCst), kept);
    kept
}

#[test]
fn before_or_after_the_arrival_it_is_met() {
    loom::model(|| {
        let (session, kernel) = session();
        let interrupt = interrupt(&session, 6);
        let token = arrive(&session, 6);
        interrupt.join().unwrap();
        assert!(slot(token).interrupted());
        assert_eq!((kept(&session), sent_back(&kernel)), (0, 0));
        drop(slot(token).claim(token));
    });
}

/// Too late, it waits for the next request, which it does not mean: then it goes back to the kernel.
#[test]
fn around_the_reply_it_is_met_or_goes_back() {
    loom::model(|| {
        let (session, kernel) = session();
        let interrupt = interrupt(&session, 6);
        let token = arrive(&session, 6);
        drop(slot(token).claim(token));
        interrupt.join().unwrap();
        let waiting = kept(&session);
        let next = arrive(&session, 8);
        assert!(!slot(next).interrupted());
        assert_eq!((kept(&session), sent_back(&kernel)), (0, waiting));
        drop(slot(next).claim(next));
    });
}

#[test]
fn another_request_is_not_interrupted() {
    loom::model(|| {
        let (session, kernel) = session();
        let interrupt = interrupt(&session, 6);
        let other = {
            let session = session.clone();
            thread::spawn(move || arrive(&session, 8))
        };
        let token = arrive(&session, 6);
        interrupt.join().unwrap();
        let other = other.join().unwrap();
        assert!(!slot(other).interrupted());
        assert_eq!(usize::from(slot(token).interrupted()) + sent_back(&kernel), 1);
        assert_eq!(kept(&session), 0);
        drop((slot(token).claim(token), slot(other).claim(other)));
    });
}
