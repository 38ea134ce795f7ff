//! A connection to the kernel from mount to unmount: negotiation, requests in flight, loops, exit.
//!
//! `process` is the middle of a request's way: it decodes a message, answers what is the session's own business
//! (INIT, DESTROY, INTERRUPT, a retrieve's data), and passes the rest to the [`Handler`]. `straight` is the same in short,
//! for the operations that come most.
#![forbid(unsafe_code)]

mod busy;
mod capabilities;
mod clones;
mod cuse;
mod custom;
mod detour;
mod early;
mod edition;
mod exit;
#[cfg(test)]
mod fixture;
mod handler;
mod home;
mod inbox;
pub mod inflight;
mod init;
mod intake;
mod interrupt;
mod notify;
mod passthrough;
mod pause;
mod pool;
mod process;
mod recovery;
mod shown;
mod single;
pub mod start;
mod straight;
mod teardown;
mod uring;
pub mod wants;

pub use cuse::CharDevice;
pub use edition::EDITION;
pub use handler::{Handler, Provides};
pub use inflight::Token;
pub use intake::{Intake, Received};
pub use process::{memory_buffer, payload_buffer};
pub use recovery::{COUNTED, Hooks, State, Verdict};
pub use shown::Shown;

use crate::abi::c::common::fuse_conn_info;
use crate::abi::opcode::Opcode;
use crate::abi::wire::OutHeader;
use crate::encode;
use crate::mount;
use crate::transport::pipe::Outgoing;
use crate::transport::{Channel, Splice};
use busy::BusyPoll;
use clones::Clones;
use core::ffi::c_void;
use detour::{Detour, Why};
use early::SyncInit;
use exit::Exit;
use home::Home;
use intake::LargeWrites;
use interrupt::Interrupts;
use nix::errno::Errno;
use notify::Retrieves;
use parking_lot::Mutex;
use passthrough::Passthrough;
use pause::Pause;
use recovery::Recovery;
use std::io::IoSlice;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use uring::Uring;
use zerocopy::IntoBytes;

/// What a session is made with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Show every request and reply, from the start.
    pub debug: bool,
    /// Only the mount's owner and root may use the file system (`allow_root`).
    pub deny_others: bool,
    /// The mount option of that name, which INIT must agree with; 0 when there is none.
    pub max_read: u32,
    /// The program's `struct fuse_file_info` ends after 40 bytes: it was built before 3.17.
    pub compat_file_info: bool,
    /// Requests are to come over io_uring where that is possible, so many at most at each of its queues.
    pub io_uring: Option<u32>,
    /// For how long a loop looks for the next request before it goes to sleep.
    pub busy_poll: Duration,
    /// The daemon's pointer, passed to callbacks.
    pub userdata: usize,
}

/// What a session serves.
#[derive(Debug)]
pub enum Kind {
    /// A file system.
    FileSystem,
    /// A character device (CUSE).
    CharDevice(CharDevice),
}

impl Kind {
    /// The request that a session of this kind begins with.
    #[inline]
    fn first_request(&self) -> Opcode {
        match self {
            Self::FileSystem => Opcode::Init,
            Self::CharDevice(_) => Opcode::CuseInit,
        }
    }
}

/// How far a session is.
struct Stage;

impl Stage {
    /// Only the first request of its kind is served.
    const NEW: u8 = 0;
    /// That was answered.
    const SERVING: u8 = 1;
    /// DESTROY came: nothing is served.
    const ENDED: u8 = 2;
    /// It is being answered: it comes once, even where two threads read one at the same time.
    const STARTING: u8 = 3;
}

/// A session.
pub struct Session {
    /// Itself, for those who may outlive it.
    own: Weak<Self>,
    config: Config,
    detour: Detour,
    kind: Kind,
    handler: Box<dyn Handler>,
    /// The parameters as the last INIT left them.
    conn: Mutex<fuse_conn_info>,
    /// The same as the daemon sees it.
    shown: Shown,
    /// INIT's flags in force, read on the request path.
    flags: AtomicU64,
    /// Whether the kernel offered to send requests again.
    resends: AtomicBool,
    /// Capabilities in force.
    wants: AtomicU64,
    /// Whether the data of large writes may stay in a pipe.
    splices_writes: AtomicBool,
    large_writes: LargeWrites,
    /// How far the session is, a [`Stage`].
    stage: AtomicU8,
    /// The daemon's init was called, and its destroy was not.
    started: AtomicBool,
    /// Bytes that a receive buffer needs.
    buf_size: AtomicUsize,
    /// What was mounted, or is a character device's.
    device: OnceLock<Channel>,
    /// The daemon's own I/O, where there is no device or in its place.
    custom: OnceLock<Channel>,
    clones: Mutex<Clones>,
    mount_options: mount::Options,
    mount: Mutex<Option<teardown::Mounted>>,
    sync_init: SyncInit,
    interrupts: Interrupts,
    retrieves: Retrieves,
    passthrough: Passthrough,
    recovery: Recovery,
    pause: Pause,
    home: Home,
    uring: Uring,
    busy_poll: BusyPoll,
    exit: Exit,
    /// Who may use the file system besides root, under `allow_root`.
    owner: u32,
}

impl Session {
    /// A session that is not connected yet.
    pub fn new(config: Config, kind: Kind, handler: Box<dyn Handler>, mount_options: mount::Options) -> Arc<Self> {
        let conn = init::initial_conn(config.max_read);
        let mut why = Why::NOT_SERVING;
        why.set(Why::DEBUG, config.debug);
        why.set(Why::GUARDED, config.deny_others);
        Arc::new_cyclic(|own| Self {
            own: own.clone(),
            config,
            detour: Detour::new(why),
            kind,
            mount_options,
            handler,
            buf_size: AtomicUsize::new(init::largest_buffer()),
            conn: Mutex::new(conn),
            shown: Shown::default(),
            flags: AtomicU64::new(0),
            resends: AtomicBool::new(false),
            wants: AtomicU64::new(0),
            splices_writes: AtomicBool::new(false),
            large_writes: LargeWrites::default(),
            stage: AtomicU8::new(Stage::NEW),
            started: AtomicBool::new(false),
            device: OnceLock::new(),
            custom: OnceLock::new(),
            clones: Mutex::default(),
            mount: Mutex::new(None),
            sync_init: SyncInit::default(),
            interrupts: Interrupts::default(),
            retrieves: Retrieves::default(),
            passthrough: Passthrough::default(),
            recovery: Recovery::default(),
            pause: Pause::default(),
            home: Home::default(),
            uring: Uring::default(),
            busy_poll: BusyPoll::new(config.busy_poll),
            exit: Exit::default(),
            owner: nix::unistd::getuid().as_raw(),
        })
    }

    /// The session, for one who may outlive it.
    pub fn weak(&self) -> Weak<Self> {
        self.own.clone()
    }

    /// What the session was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The daemon's pointer.
    pub fn userdata(&self) -> *mut c_void {
        core::ptr::with_exposed_provenance_mut(self.config.userdata)
    }

    /// Connects the session to a device. Only the first is taken; a second is EBUSY.
    pub fn connect(&self, device: Channel) -> Result<(), Errno> {
        self.device.set(device).map_err(|_| Errno::EBUSY)?;
        start::connected();
        Ok(())
    }

    /// Where the session receives and sends, once it is connected.
    #[inline]
    pub fn channel(&self) -> Result<&Channel, Errno> {
        self.custom.get().or_else(|| self.device.get()).ok_or(Errno::ENOTCONN)
    }

    /// Whom to ask for what is no message: the device also where the daemon's own I/O is in its place.
    pub fn device_end(&self) -> Result<&Channel, Errno> {
        self.device.get().or_else(|| self.custom.get()).ok_or(Errno::ENOTCONN)
    }

    /// The channel while it leads to a connection: ENOTCONN after the unmount as well.
    fn connected(&self) -> Result<&Channel, Errno> {
        self.channel().ok().filter(|channel| !channel.is_retired()).ok_or(Errno::ENOTCONN)
    }

    /// The channel, where a loop is to be run on it: that there is none is worth a log line.
    fn channel_to_serve(&self) -> Result<&Channel, Errno> {
        self.channel().inspect_err(|_| log::error!("the session is neither mounted nor connected: nothing to serve"))
    }

    /// The fd's number; none before it is connected and after the unmount.
    pub fn raw_fd(&self) -> Option<RawFd> {
        self.connected().ok().map(Channel::raw_fd)
    }

    /// Bytes that a receive buffer needs. It only shrinks, when INIT is answered.
    pub fn buf_size(&self) -> usize {
        self.buf_size.load(Ordering::Relaxed)
    }

    /// Capabilities in force.
    #[inline]
    pub fn wants(&self) -> u64 {
        self.wants.load(Ordering::Relaxed)
    }

    /// Whether the data of large writes may stay in a pipe: the daemon wants it, and takes it there.
    #[inline]
    fn splices_writes(&self) -> bool {
        self.splices_writes.load(Ordering::Relaxed)
    }

    /// The address by which requests in flight name their session.
    fn address(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Sends a reply, and logs a failure as its kind deserves: ENOENT means that the request was interrupted and is
    /// no longer waited for, and after the end nothing is surprising.
    #[inline(always)] // into the few functions that reply
    pub fn send(&self, channel: &Channel, unique: u64, error: i32, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        match parts {
            [] => self.send_message(channel, unique, error, 0, |head| channel.send(&[head])),
            [one] => self.send_message(channel, unique, error, one.len(), |head| channel.send(&[head, *one])),
            many => self.send_many(channel, unique, error, many),
        }
    }

    #[inline(never)] // apart, so that a single struct goes without it
    fn send_many(&self, channel: &Channel, unique: u64, error: i32, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
        let payload = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        self.send_message(channel, unique, error, payload, |head| match parts {
            [one, two] => channel.send(&[head, *one, *two]),
            many => channel.send(&[&[head], many].concat()),
        })
    }

    #[inline(always)] // for each number of pieces
    fn send_message(
        &self,
        channel: &Channel,
        unique: u64,
        error: i32,
        payload: usize,
        send: impl FnOnce(IoSlice<'_>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let head = match encode::head(unique, error, payload) {
            Ok(head) => head,
            Err(errno) => return self.refuse_payload(channel, unique, payload, errno),
        };
        if self.debug() {
            show_reply(&head);
        }
        send(IoSlice::new(head.as_bytes())).inspect_err(|&errno| self.report_unsent(errno))
    }

    /// Sends a reply whose payload of so many bytes is in a pipe, behind the place for its head. The pipe is empty
    /// afterwards, unless that failed. `moves`: the pages may become the kernel's.
    pub fn send_piped(
        &self,
        channel: &Channel,
        unique: u64,
        payload: usize,
        message: &mut Outgoing,
        moves: bool,
    ) -> Result<(), Errno> {
        let head = match encode::head(unique, 0, payload) {
            Ok(head) => head,
            Err(errno) => return self.refuse_payload(channel, unique, payload, errno),
        };
        if self.debug() {
            show_reply(&head);
        }
        message.set_head(head.as_bytes());
        let how = if moves { Splice::SPLICE_F_MOVE } else { Splice::empty() };
        let len = head.len as usize;
        let sent = channel.splice_out(message.reader(), len, how);
        sent.and_then(|sent| if sent == len { Ok(()) } else { Err(Errno::EIO) })
            .inspect_err(|&errno| self.report_unsent(errno))
    }

    #[cold]
    fn report_unsent(&self, errno: Errno) {
        if errno != Errno::ENOENT && !self.exited() {
            log::error!("writing device: {}", errno.desc());
        }
    }

    /// A reply that no message can carry: whoever waits for one gets an error instead.
    #[cold]
    fn refuse_payload(&self, channel: &Channel, unique: u64, payload: usize, errno: Errno) -> Result<(), Errno> {
        log::error!("a reply of {payload} bytes is larger than a message can be");
        let _ = self.send(channel, unique, -(Errno::EIO as i32), &[]);
        Err(errno)
    }
}

#[cold]
fn show_reply(head: &OutHeader) {
    let OutHeader { len, error, unique } = *head;
    match error {
        0 => log::debug!("   unique: {unique}, success, outsize: {len}"),
        _ => {
            let text = Errno::from_raw(-error).desc();
            log::debug!("   unique: {unique}, error: {error} ({text}), outsize: {len}");
        }
    }
}
