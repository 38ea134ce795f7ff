//! Requests over io_uring, where the daemon's user asks for it: whether the kernel and the session can, and what is kept of
//! it. [`start`] makes the entries of the queues, their threads are in [`crew`], and [`watch`] looks after them.
//!
//! The kernel decides about it when INIT is answered, and holds all requests back until every queue has an entry. So what
//! may fail is tried before; what fails later is taken back, upon which the kernel goes on with the device.

mod crew;
mod start;
mod watch;

pub(super) use crew::Rings;

use super::{Channel, Session};
use crate::abi::c::common::cap::FUSE_CAP_OVER_IO_URING;
use crate::abi::c::common::fuse_conn_info;
use crate::abi::flags::InitFlags;
use crate::abi::wire::MIN_READ_BUFFER;
use crate::transport::uring::Ring;
use nix::errno::Errno;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use watch::Queue;

/// Where the administrator switches it on, in every kernel that has it.
const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";

/// What a session has of this.
#[derive(Default)]
pub(super) struct Uring {
    /// A [`Status`].
    status: AtomicU8,
    /// A [`Loop`], of the loop that was begun last.
    served_by: AtomicU8,
    /// The init callback has returned in a child process, without the session's other threads.
    forked: AtomicBool,
    /// Seats of a queue.
    depth: AtomicUsize,
    /// Bytes of payload that an entry needs.
    payload: AtomicUsize,
    /// What it is taken back through, until it is on.
    reserve: Mutex<Option<Ring>>,
    queues: Mutex<Vec<Queue>>,
    /// Seats whose thread has ended in the midst of a callback, or goes on with one that has replied.
    orphans: Mutex<Vec<Place>>,
    /// Nobody looks at the queues until a request comes.
    asleep: AtomicBool,
}

/// A seat, and the number that a thread has there: when another has it, that one has the next.
#[derive(Clone)]
struct Place {
    channel: Arc<Channel>,
    number: u16,
}

/// Whose request a thread is serving.
#[derive(Clone, Copy)]
struct Served {
    /// Address of the seat's channel.
    channel: usize,
    /// The request's state.
    state: u64,
}

thread_local! {
    static SERVED: Cell<Option<Served>> = const { Cell::new(None) };
}

/// How far it is.
struct Status;

impl Status {
    const OFF: u8 = 0;
    /// INIT was answered so.
    const AGREED: u8 = 1;
    /// The queues' first threads are on their way.
    const STARTING: u8 = 2;
    const ON: u8 = 3;
}

/// Who serves.
pub(super) struct Loop;

impl Loop {
    /// The multi-threaded loop.
    pub const POOL: u8 = 1;
    /// The single-threaded loop, under which no two callbacks may run at once.
    pub const SINGLE: u8 = 2;
    /// One of the daemon's, which knows of the device only.
    pub const OWN: u8 = 3;
}

type Reason = Cow<'static, str>;

impl Session {
    /// Whether requests of this session could come over io_uring.
    pub(super) fn could_use_uring(&self) -> bool {
        let on_device = self.channel().is_ok_and(|channel| channel.as_device().is_some());
        on_device && !self.is_recoverable() && !self.mount_options.auto_unmount()
    }

    /// Whether the init callback, which has returned, did so in a child process.
    pub(super) fn note_fork(&self, is_child: bool) {
        self.uring.forked.store(is_child, Ordering::Relaxed);
    }

    /// Says, where io_uring was asked for, that a character device does without.
    pub(super) fn decline_uring(&self) {
        if self.config.io_uring.is_some() {
            not_used("a character device has none");
        }
    }

    /// Settles whether requests are to come over io_uring, which is the flag to answer INIT with, and what the capability
    /// says from now on.
    pub(super) fn agree_uring(&self, conn: &mut fuse_conn_info, offer: InitFlags) -> InitFlags {
        // Programs from before it was there cannot say anything about it.
        let wanted = self.config.compat_file_info || conn.want_ext & FUSE_CAP_OVER_IO_URING != 0;
        conn.want_ext &= !FUSE_CAP_OVER_IO_URING;
        conn.want = conn.want_ext as u32;
        if self.config.io_uring.is_none() {
            return InitFlags::empty();
        }
        if let Err(why) = self.prepare_uring(offer, wanted) {
            not_used(&why);
            return InitFlags::empty();
        }
        // As the kernel counts: whole pages, and not less than it wants of any buffer.
        self.uring.payload.store((conn.max_write as usize).max(MIN_READ_BUFFER), Ordering::Relaxed);
        conn.want_ext |= FUSE_CAP_OVER_IO_URING;
        conn.want = conn.want_ext as u32;
        InitFlags::OVER_IO_URING
    }

    fn prepare_uring(&self, offer: InitFlags, wanted: bool) -> Result<(), Reason> {
        let channel = self.channel().ok().filter(|channel| channel.as_device().is_some());
        let channel = channel.ok_or("the session does not read /dev/fuse itself")?;
        if self.is_recoverable() {
            return Err("the session is recoverable, and the kernel does not send such requests again".into());
        }
        if self.mount_options.auto_unmount() {
            // The rings let go of the device some milliseconds after a daemon that was killed.
            return Err("auto_unmount would look for the end of the daemon too early".into());
        }
        self.refuses_other_threads()?;
        if self.uring.forked.load(Ordering::Relaxed) {
            return Err("the init callback has forked".into());
        }
        if !offer.contains(InitFlags::OVER_IO_URING) {
            return Err(why_not_offered().into());
        }
        if !wanted {
            return Err("the init callback does not want FUSE_CAP_OVER_IO_URING".into());
        }
        let ring = channel.clone_device().and_then(Ring::new);
        let ring = ring.map_err(|errno| format!("no ring can be made: {}", errno.desc()))?;
        *self.uring.reserve.lock() = Some(ring);
        Ok(())
    }

    /// Why the loop that serves cannot do with threads of the library's.
    fn refuses_other_threads(&self) -> Result<(), Reason> {
        match self.uring.served_by.load(Ordering::Relaxed) {
            Loop::SINGLE => Err("a single-threaded loop serves the session".into()),
            Loop::OWN => Err("a loop of the daemon's own serves the session".into()),
            _ => Ok(()),
        }
    }

    /// INIT was answered: if that says so, the loop is to start the threads.
    pub(super) fn begin_uring(&self) {
        let flags = InitFlags::from_bits_retain(self.flags.load(Ordering::Relaxed));
        if flags.contains(InitFlags::OVER_IO_URING) {
            self.uring.status.store(Status::AGREED, Ordering::SeqCst);
            self.ring();
        }
    }

    /// A loop begins, or goes on. Where INIT was answered during the mount, that it cannot have such threads comes out
    /// only now.
    #[inline]
    pub(super) fn served_by(&self, kind: u8) {
        if self.uring.served_by.load(Ordering::Relaxed) != kind {
            self.change_loop(kind);
        }
    }

    #[cold]
    fn change_loop(&self, kind: u8) {
        self.uring.served_by.store(kind, Ordering::Relaxed);
        if let (Status::AGREED, Err(why)) = (self.uring.status.load(Ordering::SeqCst), self.refuses_other_threads()) {
            self.withdraw_uring(&why);
        }
    }

    /// Something else takes the device's place: takes back what was agreed, if that can be done yet.
    pub(super) fn leave_uring(&self) -> bool {
        self.served_by(Loop::OWN);
        !self.has_rings()
    }

    /// Takes it back.
    fn withdraw_uring(&self, why: &str) {
        self.uring.status.store(Status::OFF, Ordering::SeqCst);
        let taken_back = self.uring.reserve.lock().take().map_or(Err(Errno::EINVAL), |mut ring| ring.withdraw());
        match taken_back {
            Ok(()) => not_used(why),
            Err(errno) => log::error!("io_uring failed ({why}) and cannot be taken back: {}", errno.desc()),
        }
    }

    /// The calling thread is about to do what may wait for those whom it has replied to: replies that it would only send
    /// when the callback returns must not wait for that.
    #[inline]
    pub(super) fn hand_on_reply(&self) {
        if let Some(served) = SERVED.get() {
            self.hand_on(served);
        }
    }

    #[cold]
    fn hand_on(&self, served: Served) {
        let found = self.uring.queues.lock().iter().find_map(|queue| queue.seat_at(served.channel));
        if let Some(channel) = found
            && let Some(number) = channel.as_seat().and_then(|seat| seat.claim(served.state))
        {
            self.uring.orphans.lock().push(Place { channel, number });
            self.ring();
        }
    }

    /// Whether requests come over io_uring, or are about to.
    pub(super) fn has_rings(&self) -> bool {
        self.uring.status.load(Ordering::SeqCst) != Status::OFF
    }

    /// Whether requests come over io_uring.
    fn uses_uring(&self) -> bool {
        self.uring.status.load(Ordering::SeqCst) == Status::ON
    }

    /// The connection is given up: the rings must not hold it.
    pub(super) fn close_rings(&self) {
        *self.uring.reserve.lock() = None;
        for queue in self.uring.queues.lock().iter() {
            queue.close();
        }
    }
}

fn not_used(why: &str) {
    log::warn!("io_uring is not used, requests come through /dev/fuse: {why}");
}

fn why_not_offered() -> &'static str {
    match std::fs::read_to_string(SWITCH) {
        Ok(text) if text.trim() == "N" => "/sys/module/fuse/parameters/enable_uring is N",
        Ok(_) => "the kernel does not offer it",
        Err(_) => "the kernel does not have it (Linux 6.14, CONFIG_FUSE_IO_URING)",
    }
}
