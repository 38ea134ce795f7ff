//! The protocol's flag words.

use bitflags::bitflags;

bitflags! {
    /// What the kernel offers, and the file system takes, in INIT. The upper half travels in `flags2` and only
    /// when `INIT_EXT` is set.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct InitFlags: u64 {
        /// Reads of one file may be in flight together.
        const ASYNC_READ = 1 << 0;
        /// Remote POSIX locks.
        const POSIX_LOCKS = 1 << 1;
        /// The kernel sends file handles in getattr and setattr.
        const FILE_OPS = 1 << 2;
        /// open handles O_TRUNC itself.
        const ATOMIC_O_TRUNC = 1 << 3;
        /// lookup handles "." and "..".
        const EXPORT_SUPPORT = 1 << 4;
        /// Writes larger than a page.
        const BIG_WRITES = 1 << 5;
        /// The file system applies the umask.
        const DONT_MASK = 1 << 6;
        /// splice to the device.
        const SPLICE_WRITE = 1 << 7;
        /// Move pages when splicing to the device.
        const SPLICE_MOVE = 1 << 8;
        /// splice from the device.
        const SPLICE_READ = 1 << 9;
        /// Remote BSD locks.
        const FLOCK_LOCKS = 1 << 10;
        /// ioctl on directories.
        const HAS_IOCTL_DIR = 1 << 11;
        /// Cached pages are dropped when mtime or size changed.
        const AUTO_INVAL_DATA = 1 << 12;
        /// readdirplus.
        const DO_READDIRPLUS = 1 << 13;
        /// The kernel chooses between readdir and readdirplus.
        const READDIRPLUS_AUTO = 1 << 14;
        /// Asynchronous direct I/O.
        const ASYNC_DIO = 1 << 15;
        /// Write-back cache.
        const WRITEBACK_CACHE = 1 << 16;
        /// ENOSYS to open means that no open is needed.
        const NO_OPEN_SUPPORT = 1 << 17;
        /// Lookups and readdirs of one directory may be in flight together.
        const PARALLEL_DIROPS = 1 << 18;
        /// The file system clears set-uid bits and capabilities itself.
        const HANDLE_KILLPRIV = 1 << 19;
        /// POSIX ACLs.
        const POSIX_ACL = 1 << 20;
        /// Reading the device after an abort gives ECONNABORTED.
        const ABORT_ERROR = 1 << 21;
        /// INIT's reply carries max_pages.
        const MAX_PAGES = 1 << 22;
        /// Symbolic links are cached.
        const CACHE_SYMLINKS = 1 << 23;
        /// ENOSYS to opendir means that no opendir is needed.
        const NO_OPENDIR_SUPPORT = 1 << 24;
        /// Cached data is only invalidated explicitly.
        const EXPLICIT_INVAL_DATA = 1 << 25;
        /// INIT's reply carries map_alignment.
        const MAP_ALIGNMENT = 1 << 26;
        /// The kernel shows submounts.
        const SUBMOUNTS = 1 << 27;
        /// Second form of HANDLE_KILLPRIV: only where the kernel asks.
        const HANDLE_KILLPRIV_V2 = 1 << 28;
        /// setxattr's argument has the longer form.
        const SETXATTR_EXT = 1 << 29;
        /// INIT carries the upper half of these flags.
        const INIT_EXT = 1 << 30;
        /// Creates carry a security context.
        const SECURITY_CTX = 1 << 32;
        /// DAX per inode.
        const HAS_INODE_DAX = 1 << 33;
        /// Creates carry the supplementary group that matches the parent.
        const CREATE_SUPP_GROUP = 1 << 34;
        /// The kernel knows expire-only entry invalidation.
        const HAS_EXPIRE_ONLY = 1 << 35;
        /// Shared mmap of direct-io files.
        const DIRECT_IO_ALLOW_MMAP = 1 << 36;
        /// Passthrough to backing files.
        const PASSTHROUGH = 1 << 37;
        /// No lookups by nodeid at all.
        const NO_EXPORT_SUPPORT = 1 << 38;
        /// The kernel can resend requests.
        const HAS_RESEND = 1 << 39;
        /// Mounts may be idmapped.
        const ALLOW_IDMAP = 1 << 40;
        /// Requests may go over io_uring.
        const OVER_IO_URING = 1 << 41;
        /// INIT's reply carries a request timeout.
        const REQUEST_TIMEOUT = 1 << 42;
    }
}

impl core::fmt::Display for InitFlags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        bitflags::parser::to_writer(self, f)
    }
}

bitflags! {
    /// Flags of an OPEN or CREATE reply.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct OpenFlags: u32 {
        /// Bypass the page cache.
        const DIRECT_IO = 1 << 0;
        /// Keep what is cached from earlier opens.
        const KEEP_CACHE = 1 << 1;
        /// The file cannot seek.
        const NONSEEKABLE = 1 << 2;
        /// Cache the directory's entries.
        const CACHE_DIR = 1 << 3;
        /// The file has no position at all.
        const STREAM = 1 << 4;
        /// No FLUSH on close.
        const NOFLUSH = 1 << 5;
        /// Direct writes to one inode may be in flight together.
        const PARALLEL_DIRECT_WRITES = 1 << 6;
        /// I/O goes to the backing file.
        const PASSTHROUGH = 1 << 7;
    }
}

/// GETATTR carries a file handle.
pub const GETATTR_FH: u32 = 1 << 0;
/// SETATTR carries a file handle.
pub const FATTR_FH: u32 = 1 << 6;
/// SETATTR must clear set-uid and set-gid.
pub const FATTR_KILL_SUIDGID: u32 = 1 << 11;
/// SETATTR carries a lock owner.
pub const FATTR_LOCKOWNER: u32 = 1 << 9;
/// The lock is a BSD lock.
pub const LK_FLOCK: u32 = 1 << 0;
/// RELEASE should flush.
pub const RELEASE_FLUSH: u32 = 1 << 0;
/// RELEASE should drop the BSD lock.
pub const RELEASE_FLOCK_UNLOCK: u32 = 1 << 1;
/// The write comes from the page cache: pid and fh are guesses.
pub const WRITE_CACHE: u32 = 1 << 0;
/// The write carries a lock owner.
pub const WRITE_LOCKOWNER: u32 = 1 << 1;
/// The write must clear set-uid and set-gid.
pub const WRITE_KILL_SUIDGID: u32 = 1 << 2;
/// The read carries a lock owner.
pub const READ_LOCKOWNER: u32 = 1 << 1;
/// SETXATTR of an access ACL must clear set-gid.
pub const SETXATTR_ACL_KILL_SGID: u32 = 1 << 0;
/// fsync of the data only.
pub const FSYNC_FDATASYNC: u32 = 1 << 0;
/// The ioctl is not restricted: the reply may ask for a retry with other areas.
pub const IOCTL_UNRESTRICTED: u32 = 1 << 1;
/// Retry with the areas given.
pub const IOCTL_RETRY: u32 = 1 << 2;
/// The ioctl is on a directory.
pub const IOCTL_DIR: u32 = 1 << 4;
/// The poll wants a notification.
pub const POLL_SCHEDULE_NOTIFY: u32 = 1 << 0;
/// NOTIFY_INVAL_ENTRY: let it expire, do not drop it.
pub const EXPIRE_ONLY: u32 = 1 << 0;
/// OPEN and CREATE: the open must clear set-uid and set-gid.
pub const OPEN_KILL_SUIDGID: u32 = 1 << 0;
