//! A whole session through the C interface: every callback is set, messages come on one thread or several, replies
//! leave at once, later or not at all. Each request with a readable head that is owed a reply gets exactly one.

mod c;
mod daemon;
mod device;
mod guarded;
mod received;
mod sink;

use crate::log;
use crate::message::{self, Sender, byte};
use crate::oracle::{HEAD, shape, word};
use arbitrary::Unstructured;
use c::*;
use core::ffi::{c_char, c_int, c_void};
use fusewire::abi::c::common::{FUSE_BUF_IS_FD, fuse_buf, fuse_session, libfuse_version};
use fusewire::abi::c::opt::fuse_args;
use guarded::{CURRENT, Current, Guarded};
use sink::{IO, Shared};
use std::collections::HashMap;
use std::io::{PipeReader, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most messages of one input.
const MESSAGES: usize = 40;
/// A number that is no open descriptor: the sink needs none.
const NO_FD: c_int = c_int::MAX;

#[derive(Clone)]
struct Message {
    bytes: Vec<u8>,
    unique: u64,
    action: u8,
}

/// What a session serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    FileSystem,
    Device,
}

/// Makes sessions of the first two bytes, messages of the rest.
pub fn run(data: &[u8]) {
    run_kind(data, Kind::FileSystem);
}

/// The same with a character device.
pub fn run_device(data: &[u8]) {
    run_kind(data, Kind::Device);
}

fn run_kind(data: &[u8], kind: Kind) {
    log::quiet();
    let mut u = Unstructured::new(data);
    let (how, threads) = (byte(&mut u), byte(&mut u));
    let messages = messages(&mut u, how & 1 == 0, kind);
    let shared = Shared::default();
    let session = Session::new(how, kind, &shared);
    // Threads are slow to start, so few inputs ask for them.
    match threads {
        0xf8.. => session.feed_from_threads(usize::from(threads & 1) + 2, &messages, &shared),
        _ => feed_all(&session, &messages),
    }
    finish(session, how, &messages, &shared);
}

/// Messages that a loop receives by itself, through the daemon's own I/O.
pub fn run_received(data: &[u8]) {
    log::quiet();
    let mut u = Unstructured::new(data);
    let how = byte(&mut u);
    let messages = received::enlarge(messages(&mut u, true, Kind::FileSystem));
    let shared = Shared::default();
    let session = Session::new(how, Kind::FileSystem, &shared);
    received::serve(&session, &messages);
    finish(session, how, &messages, &shared);
}

/// Ends a session, and counts.
fn finish(session: Session, how: u8, messages: &[Message], shared: &Shared) {
    if how & 2 == 0 {
        while daemon::answer_oldest(shared, how >> 3) {}
    }
    drop(session);
    shared.over.store(true, Ordering::SeqCst);
    check(messages, shared);
}

fn messages(u: &mut Unstructured<'_>, starts: bool, kind: Kind) -> Vec<Message> {
    let mut all = Vec::new();
    if starts {
        let flags = if byte(u) & 1 == 0 { u32::MAX } else { u.arbitrary().unwrap_or(0) };
        let (opcode, len) = if kind == Kind::Device { (4096, 56) } else { (26, 104) };
        let minor = 45 - u32::from(byte(u)) % 40;
        let words = [len, opcode, 2, 0, 1, 0, 0, 0, 1, 0, 7, minor, 1 << 17, flags, u32::MAX];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.resize(len as usize, 0);
        all.push(Message { bytes, unique: 2, action: byte(u) });
    }
    while !u.is_empty() && all.len() < MESSAGES {
        let how = byte(u);
        // Numbers in order, and some that come twice.
        let next = 4 + 2 * all.len() as u64;
        let unique = if how & 7 == 7 { u64::from(how >> 3) % 6 } else { next };
        let earlier = next.saturating_sub(2 * u64::from(how >> 5));
        let action = byte(u);
        let Ok(bytes) = message::request(u, how & 8 != 0, Sender { unique, earlier }) else { break };
        all.push(Message { bytes, unique, action });
    }
    all
}

struct Session(*mut fuse_session);

// SAFETY: a session may be used by every thread.
unsafe impl Sync for Session {}

impl Session {
    fn new(how: u8, kind: Kind, shared: &Shared) -> Self {
        let mut argv: [*mut c_char; 4] = [c"fuzz", c"-o", c"allow_root", c"-d"].map(|text| text.as_ptr().cast_mut());
        let argc = if how & 0xc0 == 0xc0 { 4 } else { 1 + 2 * c_int::from(how & 0x20 != 0) };
        let mut args = fuse_args { argc, argv: argv.as_mut_ptr(), allocated: 0 };
        let operations = daemon::operations(how & 4 == 0, how & 8 == 0);
        let version = libfuse_version { major: 3, minor: if how & 16 == 0 { 19 } else { 14 }, hotfix: 0, padding: 0 };
        let userdata: *mut c_void = core::ptr::from_ref(shared).cast_mut().cast();
        // SAFETY: all that is pointed to lives on; the userdata outlives the session.
        unsafe {
            let size = size_of_val(&operations);
            let session = match kind {
                Kind::FileSystem => fuse_session_new_versioned(&mut args, &operations, size, &version, userdata),
                Kind::Device => device::session(&mut args, userdata),
            };
            fuse_opt_free_args(&mut args);
            assert!(!session.is_null());
            assert_eq!(fuse_session_custom_io_317(session, &IO, size_of_val(&IO), NO_FD), 0);
            Self(session)
        }
    }

    /// Gives one message to the library, at the end of readable memory.
    fn feed(&self, room: &mut Guarded, message: &Message) {
        let bytes = room.place(&message.bytes);
        let piped = message.action & 0xe3 == 0xe3;
        CURRENT.set(Some(Current { bytes, piped, unique: message.unique, action: message.action }));
        let mut buf = fusewire::session::memory_buffer(bytes).buf;
        let [buf]: &mut [fuse_buf; 1] = &mut buf;
        let pipe = piped.then(|| in_a_pipe(bytes));
        if let Some(pipe) = &pipe {
            // Sometimes more is stated than there is.
            buf.size = bytes.len() + usize::from(message.action & 4 != 0) * 77;
            (buf.flags, buf.fd) = (FUSE_BUF_IS_FD, pipe.as_raw_fd());
        }
        // SAFETY: the session exists, the buffer holds what it states, or ends where it does not.
        unsafe {
            fuse_session_process_buf(self.0, buf);
            if message.action == 0xff {
                fuse_lowlevel_notify_retrieve(self.0, 1, 10, 0, core::ptr::null_mut());
            }
        }
        CURRENT.set(None);
    }

    /// Feeders share the messages, after the first; another thread answers what they leave.
    fn feed_from_threads(&self, feeders: usize, messages: &[Message], shared: &Shared) {
        let Some((first, rest)) = messages.split_first() else { return };
        self.feed(&mut Guarded::new(), first);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let replier = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    daemon::answer_oldest(shared, 14);
                    std::thread::yield_now();
                }
            });
            let feed = |feeder| {
                let mut room = Guarded::new();
                let own = rest.iter().skip(feeder).step_by(feeders);
                own.for_each(|message| self.feed(&mut room, message));
            };
            let threads: Vec<_> = (0..feeders).map(|feeder| scope.spawn(move || feed(feeder))).collect();
            // Joined, not left to the scope, which does not wait for their last words: a leak to a leak checker.
            threads.into_iter().for_each(|thread| thread.join().expect("a feeder does not panic"));
            done.store(true, Ordering::Relaxed);
            replier.join().expect("the replier does not panic");
        });
    }
}

/// A pipe that holds a message, and to which nothing more will come.
fn in_a_pipe(message: &[u8]) -> PipeReader {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(message).expect("a pipe has room for a message");
    reader
}

fn feed_all(session: &Session, messages: &[Message]) {
    thread_local! { static ROOM: core::cell::RefCell<Guarded> = core::cell::RefCell::new(Guarded::new()); }
    ROOM.with_borrow_mut(|room| messages.iter().for_each(|message| session.feed(room, message)));
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: nobody uses it any more.
        unsafe { fuse_session_destroy(self.0) };
    }
}

/// Counts what was owed against what was sent. Numbers may come twice, so it is counted by number.
fn check(messages: &[Message], shared: &Shared) {
    let (mut owed, mut optional) = (HashMap::<u64, usize>::new(), HashMap::<u64, usize>::new());
    for message in messages {
        let bytes = message.bytes.get(..message.bytes.len().min(guarded::ROOM)).unwrap_or_default();
        let Some(opcode) = word(bytes, 4).filter(|_| bytes.len() >= HEAD) else { continue };
        let silent = shape(opcode, false).is_some_and(|shape| shape.silent);
        if !silent {
            *owed.entry(message.unique).or_default() += 1;
        } else if opcode == 36 {
            *optional.entry(message.unique).or_default() += 1; // an interrupt may be sent back
        }
    }
    let mut replies = shared.replies.lock().expect("no thread panics").clone();
    for held in shared.held.lock().expect("no thread panics").iter() {
        *optional.entry(held.unique).or_default() += 1;
        *owed.get_mut(&held.unique).expect("it was asked") -= 1;
        // SAFETY: any handle may be answered; its session is gone.
        assert!(unsafe { daemon::answer_with(held.req(), 0) } < 0, "a reply after the session's end");
    }
    for (unique, owed) in owed {
        let sent = replies.remove(&unique).unwrap_or(0);
        let most = owed + optional.remove(&unique).unwrap_or(0);
        assert!((owed..=most).contains(&sent), "{sent} replies to {unique}, {owed} to {most} owed");
    }
    for (unique, sent) in replies {
        assert!(sent <= optional.remove(&unique).unwrap_or(0), "{sent} replies to {unique}, which was not asked");
    }
}
