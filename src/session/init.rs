//! INIT: what the kernel offers, what the daemon wants, what is answered.

use super::edition::{EDITION, Edition};
use super::handler::Provides;
use super::wants::{self, Agreed};
use super::{Session, Stage, capabilities, start};
use crate::abi::c::common::cap::*;
use crate::abi::c::common::fuse_conn_info;
use crate::abi::flags::InitFlags;
use crate::abi::wire::{InitIn, InitOut, KERNEL_VERSION, MIN_MINOR_VERSION, MIN_READ_BUFFER};
use crate::transport::{Channel, fork, page_size};
use nix::errno::Errno;
use std::io::IoSlice;
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;

/// What a receive buffer holds besides a write's data.
pub const HEADER_SIZE: usize = 4096;
/// Pages of a request from a kernel that does not offer MAX_PAGES.
const DEFAULT_PAGES: usize = 32;
/// Pages of a request at most, unless the system's limit says otherwise.
const MAX_PAGES: usize = 256;
/// Bytes of INIT's reply before 7.23.
const COMPAT_22_INIT_OUT: usize = 24;

/// The parameters before the first INIT.
pub fn initial_conn(max_read: u32) -> fuse_conn_info {
    fuse_conn_info {
        max_write: u32::try_from(MAX_PAGES * page_size()).unwrap_or(u32::MAX),
        max_readahead: u32::MAX,
        max_read,
        ..fuse_conn_info::default()
    }
}

/// Bytes of a receive buffer that takes whatever may be negotiated.
pub fn largest_buffer() -> usize {
    largest_write() + HEADER_SIZE
}

/// The largest write that may be negotiated. The kernel caps what it is answered at a limit of its own, which the
/// administrator can raise; to answer more than that would only waste memory.
fn largest_write() -> usize {
    let limit = std::fs::read_to_string("/proc/sys/fs/fuse/max_pages_limit").ok();
    let pages = limit.and_then(|text| text.trim().parse().ok()).filter(|_| EDITION.large_writes);
    pages.unwrap_or(MAX_PAGES).clamp(1, usize::from(u16::MAX)) * page_size()
}

impl Session {
    /// Answers INIT.
    pub(super) fn negotiate(&self, channel: &Channel, unique: u64, arg: &InitIn, flags2: u32) {
        if self.debug() {
            show_offer(arg, offer(arg, flags2));
        }
        match self.answer_init(arg, flags2) {
            Ok(out) => {
                if self.debug() {
                    show_answer(&out);
                }
                let agreed = arg.major == KERNEL_VERSION;
                if agreed {
                    self.save_negotiation(arg, flags2, &out);
                }
                // Before the reply: requests may arrive at once, on other threads.
                self.enter(if agreed { Stage::SERVING } else { Stage::NEW });
                let size = if agreed && arg.minor < 23 { COMPAT_22_INIT_OUT } else { size_of::<InitOut>() };
                let bytes = out.as_bytes().get(..size).unwrap_or_default();
                let sent = self.send(channel, unique, 0, &[IoSlice::new(bytes)]);
                if agreed && sent.is_ok() {
                    self.init_answered();
                }
            }
            Err(errno) => {
                self.enter(Stage::NEW);
                self.init_refused(errno);
                let _ = self.send(channel, unique, -(errno as i32), &[]);
            }
        }
    }

    /// The kernel has the answer to INIT, and does what was agreed on from now on.
    pub(super) fn init_answered(&self) {
        self.try_passthrough();
        self.begin_uring();
        start::answered();
    }

    pub(super) fn answer_init(&self, arg: &InitIn, flags2: u32) -> Result<InitOut, Errno> {
        // A copy: what is agreed on is in force once the daemon's callback has had its say.
        let mut conn = *self.conn.lock();
        conn.proto_major = arg.major;
        conn.proto_minor = arg.minor;
        let version = InitOut { major: KERNEL_VERSION, minor: EDITION.minor, ..InitOut::default() };
        if arg.major > KERNEL_VERSION {
            // The kernel tries again with our major version.
            return Ok(version);
        }
        if arg.major < KERNEL_VERSION || arg.minor < MIN_MINOR_VERSION {
            log::error!("unsupported protocol version: {}.{}", arg.major, arg.minor);
            return Err(Errno::EPROTO);
        }
        let offer = offer(arg, flags2);
        // Buffers exist already that are as large as was said before INIT, so that is the limit, not what the system
        // would allow by now.
        let room = self.buf_size().saturating_sub(HEADER_SIZE);
        let largest = if offer.contains(InitFlags::MAX_PAGES) { room } else { room.min(DEFAULT_PAGES * page_size()) };
        let largest = u32::try_from(largest).unwrap_or(u32::MAX);
        conn.max_write = conn.max_write.min(largest);
        let mut further = self.agree(&mut conn, arg, offer)?;
        self.resends.store(offer.contains(InitFlags::HAS_RESEND), Ordering::Relaxed);
        if self.is_recoverable() {
            further |= offer & InitFlags::HAS_RESEND;
        }
        conn.max_write = conn.max_write.min(largest);
        further |= self.agree_uring(&mut conn, offer);
        self.buf_size.store((conn.max_write as usize + HEADER_SIZE).max(MIN_READ_BUFFER), Ordering::Relaxed);
        let out = reply(&mut conn, version, arg, offer, further);
        self.put_in_force(conn);
        self.wants.store(conn.want_ext, Ordering::Relaxed);
        let splices =
            conn.want_ext & FUSE_CAP_SPLICE_READ != 0 && self.handler.provides().contains(Provides::WRITE_BUF);
        self.splices_writes.store(splices, Ordering::Relaxed);
        self.flags.store(u64::from(out.flags) | u64::from(out.flags2) << 32, Ordering::Relaxed);
        Ok(out)
    }

    /// Shows the daemon what is offered and checks what it wants. Returns the flags that it wants besides what the
    /// capabilities stand for.
    fn agree(&self, conn: &mut fuse_conn_info, arg: &InitIn, offer: InitFlags) -> Result<InitFlags, Errno> {
        let provides = self.handler.provides();
        let capable = self.capabilities(arg, offer);
        let default = default_wants(provides, &EDITION) & capable;
        conn.max_readahead = conn.max_readahead.min(arg.max_readahead);
        conn.time_gran = 1;
        conn.capable = capable as u32;
        let ext = !self.config.compat_file_info;
        conn.capable_ext = if ext { capable } else { 0 };
        conn.want_ext = default;
        self.started.store(true, Ordering::SeqCst);
        let mut process = fork::Watch::begin();
        let Agreed { further, passthrough } =
            wants::negotiate(conn, self.shown.as_ptr().addr(), ext, offer, |conn| self.call_init(conn, capable));
        let is_child = process.is_child();
        self.note_fork(is_child);
        if is_child {
            self.move_home();
        }
        conn.capable_ext = capable;
        self.check(conn, capable)?;
        self.init_withdrawn()?;
        self.prepare_passthrough(passthrough, conn.want_ext);
        Ok(further)
    }

    fn check(&self, conn: &fuse_conn_info, capable: u64) -> Result<(), Errno> {
        let unknown = conn.want_ext & !capable;
        let fail = |line: String| {
            log::error!("{line}");
            self.exit_with(-(Errno::EPROTO as i32));
            Err(Errno::EPROTO)
        };
        if unknown != 0 {
            return fail(format!("init wants capabilities {unknown:#x} that the kernel does not offer"));
        }
        if conn.max_read != self.config.max_read {
            let (init, option) = (conn.max_read, self.config.max_read);
            return fail(format!("init set max_read to {init}, the mount option says {option}: they must be equal"));
        }
        // Only a warning: whoever mounted for us, and gave us the device, may have had the option.
        let checked = self.mount_options.default_permissions() || conn.want_ext & FUSE_CAP_POSIX_ACL != 0;
        if conn.want_ext & FUSE_CAP_ALLOW_IDMAP != 0 && !checked {
            log::warn!(
                "FUSE_CAP_ALLOW_IDMAP needs the mount option default_permissions: the kernel refuses all requests"
            );
        }
        Ok(())
    }

    /// What the daemon is told that it may want.
    fn capabilities(&self, arg: &InitIn, offer: InitFlags) -> u64 {
        let mut capable = capabilities::offered(offer);
        if let (14.., Ok(channel)) = (arg.minor, self.channel()) {
            if channel.splices_in() {
                capable |= FUSE_CAP_SPLICE_READ;
            }
            if channel.splices_out() {
                capable |= FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
            }
        }
        if arg.minor >= 18 {
            capable |= FUSE_CAP_IOCTL_DIR;
        }
        if arg.minor >= 38 {
            capable |= FUSE_CAP_EXPIRE_ONLY;
        }
        if !self.could_use_uring() {
            capable &= !FUSE_CAP_OVER_IO_URING;
        }
        // A program built before 3.17 has no fields for what came with passthrough.
        let fits = if self.config.compat_file_info { FUSE_CAP_PASSTHROUGH - 1 } else { u64::MAX };
        capable & fits & EDITION.known
    }
}

/// What the kernel offers, for debug output.
#[cold]
fn show_offer(arg: &InitIn, offer: InitFlags) {
    log::debug!("INIT: {}.{}", arg.major, arg.minor);
    log::debug!("flags={:#010x} {offer}", offer.bits());
    log::debug!("max_readahead={:#010x}", arg.max_readahead);
}

/// What INIT is answered with, for debug output.
#[cold]
fn show_answer(out: &InitOut) {
    let flags = InitFlags::from_bits_retain(u64::from(out.flags) | u64::from(out.flags2) << 32);
    log::debug!("   INIT: {}.{}", out.major, out.minor);
    log::debug!("   flags={:#010x} {flags}", flags.bits());
    log::debug!("   max_readahead={:#010x}", out.max_readahead);
    log::debug!("   max_write={:#010x}", out.max_write);
    log::debug!("   max_background={}", out.max_background);
    log::debug!("   congestion_threshold={}", out.congestion_threshold);
    log::debug!("   time_gran={}", out.time_gran);
    log::debug!("   max_pages={}", out.max_pages);
    log::debug!("   max_stack_depth={}", out.max_stack_depth);
    log::debug!("   request_timeout={}", out.request_timeout);
}

/// All flags that the kernel offers.
fn offer(arg: &InitIn, flags2: u32) -> InitFlags {
    let low = InitFlags::from_bits_retain(u64::from(arg.flags));
    if low.contains(InitFlags::INIT_EXT) { low | InitFlags::from_bits_retain(u64::from(flags2) << 32) } else { low }
}

/// What is wanted unless the daemon says otherwise.
fn default_wants(provides: Provides, edition: &Edition) -> u64 {
    let depending = [
        (Provides::WRITE_BUF, FUSE_CAP_SPLICE_READ),
        (Provides::POSIX_LOCKS, FUSE_CAP_POSIX_LOCKS),
        (Provides::FLOCK, FUSE_CAP_FLOCK_LOCKS),
        (Provides::READDIRPLUS, FUSE_CAP_READDIRPLUS),
        (Provides::READDIRPLUS | Provides::READDIR, FUSE_CAP_READDIRPLUS_AUTO),
    ];
    let given = depending.iter().filter(|(needs, _)| provides.contains(*needs));
    given.fold(edition.wanted, |wants, (_, cap)| wants | cap)
}

/// The reply for what was agreed.
fn reply(conn: &mut fuse_conn_info, version: InitOut, arg: &InitIn, offer: InitFlags, further: InitFlags) -> InitOut {
    let mut flags = capabilities::wanted(conn.want_ext & !EDITION.unsent) | InitFlags::BIG_WRITES | further;
    let mut out = version;
    if offer.contains(InitFlags::MAX_PAGES) {
        flags |= InitFlags::MAX_PAGES;
        out.max_pages = (conn.max_write.max(1) - 1).div_euclid(page_size() as u32).saturating_add(1) as u16;
    }
    if flags.contains(InitFlags::PASSTHROUGH) {
        // Counted with FUSE itself.
        out.max_stack_depth = conn.max_backing_stack_depth.saturating_add(1);
    }
    if offer.contains(InitFlags::REQUEST_TIMEOUT) && conn.request_timeout != 0 {
        flags |= InitFlags::REQUEST_TIMEOUT;
        out.request_timeout = conn.request_timeout;
    }
    if arg.minor >= 13 {
        conn.max_background = conn.max_background.min(u32::from(u16::MAX));
        conn.congestion_threshold = conn.congestion_threshold.min(conn.max_background);
        if conn.congestion_threshold == 0 {
            conn.congestion_threshold = conn.max_background * 3 / 4;
        }
        out.max_background = conn.max_background as u16;
        out.congestion_threshold = conn.congestion_threshold as u16;
    }
    if arg.minor >= 23 {
        out.time_gran = conn.time_gran;
    }
    if offer.contains(InitFlags::INIT_EXT) {
        flags |= InitFlags::INIT_EXT;
        out.flags2 = (flags.bits() >> 32) as u32;
    }
    out.max_readahead = conn.max_readahead;
    out.max_write = conn.max_write;
    out.flags = flags.bits() as u32;
    out
}
