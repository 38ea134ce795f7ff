//! Passthrough, for daemons that leave the backing ids to the library. Sessions that do not enable it pay for none of
//! this.

use super::Session;
use super::wants::Asked;
use crate::abi::c::common::cap::{FUSE_CAP_DIRECT_IO_ALLOW_MMAP, FUSE_CAP_PASSTHROUGH, FUSE_CAP_WRITEBACK_CACHE};
use crate::abi::flags::OpenFlags;
use crate::abi::wire::OpenOut;
use crate::passthrough::{Mode, Status, Table};
use crate::recovery::opens::Opens;
use crate::transport::privilege;
use nix::errno::Errno;
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What a session knows of it.
#[derive(Default)]
pub(super) struct Passthrough {
    /// A [`Status`].
    status: AtomicU8,
    table: OnceLock<Table>,
    /// Errors that were logged: bits by the last six of their number. An open that goes on without passthrough is no
    /// news the second time.
    said: AtomicU64,
}

/// All that the kernel lets an open with a backing file say besides.
const WITH_PASSTHROUGH: OpenFlags = OpenFlags::PASSTHROUGH
    .union(OpenFlags::DIRECT_IO)
    .union(OpenFlags::PARALLEL_DIRECT_WRITES)
    .union(OpenFlags::NOFLUSH);

impl Session {
    /// Whether passthrough is on.
    pub fn passthrough_status(&self) -> Status {
        Status::from_u8(self.passthrough.status.load(Ordering::Acquire))
    }

    fn set_status(&self, status: Status) {
        self.passthrough.status.store(status as u8, Ordering::Release);
        match status {
            Status::On => log::info!("passthrough is on"),
            Status::NotAsked | Status::Starting => {}
            off => log::warn!("passthrough is off, files are read and written by the daemon: {}", off.reason()),
        }
    }

    /// The opens of the session's inodes, if it counts them. A recoverable session does so even where it may register no
    /// files: its predecessor may have done so, and its successor may again.
    #[inline]
    pub fn opens(&self) -> Option<&Table> {
        let counts = |_: &&Table| self.passthrough_status().is_usable() || self.is_recoverable();
        self.passthrough.table.get().filter(counts)
    }

    /// Before INIT is answered: what came of it, as far as the daemon's wants tell.
    pub(super) fn prepare_passthrough(&self, asked: Option<Asked>, wants: u64) {
        let both = FUSE_CAP_PASSTHROUGH | FUSE_CAP_WRITEBACK_CACHE;
        let status = match asked {
            Some(Asked::InVain) => Status::NotOffered,
            Some(Asked::Enabled) if wants & both == both => Status::Conflict,
            Some(Asked::Enabled) if wants & FUSE_CAP_PASSTHROUGH != 0 => Status::Starting,
            _ => Status::NotAsked,
        };
        if status == Status::Starting {
            self.passthrough.table.get_or_init(|| self.new_table(wants & FUSE_CAP_DIRECT_IO_ALLOW_MMAP != 0));
        } else if asked.is_none() && wants & both == both {
            log::warn!(
                "FUSE_CAP_WRITEBACK_CACHE is wanted together with FUSE_CAP_PASSTHROUGH, which the kernel drops then"
            );
        }
        self.set_status(status);
    }

    /// A table of opens; a recoverable session's is kept, and begins with what a predecessor left.
    fn new_table(&self, direct_may_cache: bool) -> Table {
        let Some(state) = self.state() else { return Table::new(direct_may_cache) };
        let (opens, found) = Opens::new(state.memory().clone());
        let (table, unneeded) = Table::kept(direct_may_cache, opens, found);
        unneeded.into_iter().for_each(|id| self.close_unneeded(Some(id)));
        table
    }

    /// After INIT was answered: asks the kernel, which says no by EPERM and looks at the file descriptor last.
    pub(super) fn try_passthrough(&self) {
        if self.passthrough_status() != Status::Starting {
            return;
        }
        self.set_status(match self.device_end().and_then(|device| device.open_backing(-1)) {
            Err(Errno::EBADF) => Status::On,
            Err(Errno::EPERM) => Status::NotPermitted,
            _ => Status::NotOffered,
        });
    }

    /// Registers a file by whose id others will write: without CAP_FSETID, so that the kernel clears the set-user-ID
    /// and set-group-ID bits when they do.
    pub fn open_backing_for_others(&self, fd: RawFd) -> Result<i32, Errno> {
        let device = self.device_end()?;
        privilege::without_fsetid(|| device.open_backing(fd))
    }

    /// Counts a passthrough open of an inode and returns its id, for which `fd` is registered if it is the first. Where
    /// passthrough is off, an id that a predecessor registered still serves.
    pub fn attach(&self, ino: u64, fd: RawFd) -> Result<i32, Errno> {
        self.check_home()?;
        let status = self.passthrough_status();
        let off = || Err(status.result().err().unwrap_or(Errno::EAGAIN));
        let Some(table) = self.opens() else { return off() };
        if !status.is_usable() {
            return table.attach(ino, off);
        }
        table.attach(ino, || self.open_backing_for_others(fd)).inspect_err(|&errno| self.say_once(ino, fd, errno))
    }

    #[cold]
    fn say_once(&self, ino: u64, fd: RawFd, errno: Errno) {
        let bit = 1 << (errno as u32 % u64::BITS);
        if errno == Errno::EBUSY || self.passthrough.said.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return;
        }
        let why = match errno {
            Errno::ELOOP => "its file system is stacked too deep (stack_depth)",
            Errno::EPERM => Status::NotPermitted.reason(),
            other => other.desc(),
        };
        log::warn!(
            "no passthrough for nodeid {ino}, file descriptor {fd}: {why}; further errors of this kind are not logged"
        );
    }

    /// An open is about to be answered with `out`: counts it, unless it is attached already, and makes of the answer
    /// what the kernel takes. None where the session counts no opens.
    #[inline]
    pub fn opening(&self, ino: u64, attached: bool, out: &mut OpenOut) -> Option<Mode> {
        let table = self.opens()?;
        let flags = OpenFlags::from_bits_retain(out.open_flags);
        let wanted = match out.backing_id {
            1.. => Mode::Passthrough(out.backing_id),
            _ if flags.contains(OpenFlags::DIRECT_IO) => Mode::Direct,
            _ => Mode::Cached,
        };
        let mode = match table.id(ino).filter(|_| attached) {
            Some(id) => Mode::Passthrough(id),
            None => table.open(ino, wanted),
        };
        if let Mode::Passthrough(id) = mode {
            out.backing_id = id;
            out.open_flags = (flags & WITH_PASSTHROUGH | OpenFlags::PASSTHROUGH).bits();
        }
        Some(mode)
    }

    /// An open that was counted came to nothing: the kernel did not take the answer, or it was an error.
    #[cold]
    pub fn abandon(&self, ino: u64, mode: Mode) {
        self.close_unneeded(self.opens().and_then(|table| table.abandon(ino, mode)));
    }

    /// A passthrough open that was not answered came to nothing.
    #[cold]
    pub fn detach(&self, ino: u64) {
        // The number does not matter here.
        self.abandon(ino, Mode::Passthrough(0));
    }

    /// A file was released.
    pub fn released(&self, ino: u64) {
        self.close_unneeded(self.opens().and_then(|table| table.close(ino)));
    }

    fn close_unneeded(&self, id: Option<i32>) {
        let Some(id) = id else { return };
        if let Err(errno) = self.device_end().and_then(|device| device.close_backing(id))
            && !self.exited()
        {
            log::warn!("backing id {id} cannot be closed: {}", errno.desc());
        }
    }
}
