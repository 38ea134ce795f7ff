//! Types of `fuse_common.h`.

use core::ffi::{c_int, c_uint, c_void};

/// A mounted, or to be mounted, file system.
#[repr(C)]
pub struct fuse_session {
    opaque: [u8; 0],
}

/// What the kernel waits with in poll(2); made by the library, passed to fuse_lowlevel_notify_poll().
#[repr(C)]
pub struct fuse_pollhandle {
    opaque: [u8; 0],
}

/// Parsed connection options, see fuse_parse_conn_info_opts().
#[repr(C)]
pub struct fuse_conn_info_opts {
    opaque: [u8; 0],
}

/// Options of a multi-threaded loop, see fuse_loop_cfg_create().
#[repr(C)]
pub struct fuse_loop_config {
    opaque: [u8; 0],
}

/// An open file, as the callbacks see it. cbindgen:ignore
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fuse_file_info {
    /// Open flags (open(2)).
    pub flags: c_int,
    /// The bit-fields; [`fi`] has their masks.
    pub bits: u32,
    /// Padding of the C struct.
    pub padding2: u32,
    /// Padding of the C struct.
    pub padding3: u32,
    /// The file system's own handle.
    pub fh: u64,
    /// Lock owner id.
    pub lock_owner: u64,
    /// Events that poll asks for.
    pub poll_events: u32,
    /// Backing id of a passthrough open (3.17).
    pub backing_id: i32,
    /// Open flags that the caller understands (3.17).
    pub compat_flags: u64,
    /// Room for later fields.
    pub reserved: [u64; 2],
}

/// Masks of the bit-fields of [`fuse_file_info`].
pub mod fi {
    /// In a write: it comes from the page cache.
    pub const WRITEPAGE: u32 = 1 << 0;
    /// In open: bypass the page cache.
    pub const DIRECT_IO: u32 = 1 << 1;
    /// In open: keep what is cached.
    pub const KEEP_CACHE: u32 = 1 << 2;
    /// In release: flush.
    pub const FLUSH: u32 = 1 << 3;
    /// In open: the file cannot seek.
    pub const NONSEEKABLE: u32 = 1 << 4;
    /// In release: drop the BSD lock.
    pub const FLOCK_RELEASE: u32 = 1 << 5;
    /// In opendir: cache the entries.
    pub const CACHE_READDIR: u32 = 1 << 6;
    /// In open: no flush on close.
    pub const NOFLUSH: u32 = 1 << 7;
    /// In open: parallel direct writes (3.17).
    pub const PARALLEL_DIRECT_WRITES: u32 = 1 << 8;
}

/// Bytes of [`fuse_file_info`] that a program built before 3.17 has.
pub const FILE_INFO_COMPAT_SIZE: usize = 40;

/// Configuration of the multi-threaded loop for programs of API 3.2 to 3.11.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_loop_config_v1 {
    /// Not 0: each worker gets a device fd of its own.
    pub clone_fd: c_int,
    /// Largest number of workers that may idle.
    pub max_idle_threads: c_uint,
}

/// Connection parameters, for the init callback to read and change. cbindgen:ignore
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fuse_conn_info {
    /// Protocol major version.
    pub proto_major: u32,
    /// Protocol minor version.
    pub proto_minor: u32,
    /// Largest write, in bytes.
    pub max_write: u32,
    /// Largest read, in bytes; 0 for no limit.
    pub max_read: u32,
    /// Largest readahead, in bytes.
    pub max_readahead: u32,
    /// What the kernel can do.
    pub capable: u32,
    /// What the file system wants.
    pub want: u32,
    /// Largest number of background requests in flight.
    pub max_background: u32,
    /// Number of background requests from which the kernel calls the file system congested.
    pub congestion_threshold: u32,
    /// Granularity of timestamps in nanoseconds, a power of ten.
    pub time_gran: u32,
    /// How deep the file systems under a backing file may be stacked (3.17).
    pub max_backing_stack_depth: u32,
    /// The bit-fields: no_interrupt, io_uring_single_issuer (3.18, 3.19).
    pub bits: u32,
    /// What the kernel can do, all 64 bits (3.17).
    pub capable_ext: u64,
    /// What the file system wants, all 64 bits (3.17).
    pub want_ext: u64,
    /// Request timeout in seconds (3.18).
    pub request_timeout: u16,
    /// Room for later fields.
    pub reserved: [u16; 31],
}

/// In [`fuse_conn_info::bits`]: send no interrupts.
pub const CONN_NO_INTERRUPT: u32 = 1 << 0;
/// In [`fuse_conn_info::bits`]: each ring is submitted to by one thread only.
pub const CONN_IO_URING_SINGLE_ISSUER: u32 = 1 << 1;

/// Flags of a [`fuse_buf`], or-ed together.
pub type fuse_buf_flags = c_int;
/// The data is in the file `fd`, not in memory.
pub const FUSE_BUF_IS_FD: fuse_buf_flags = 1 << 1;
/// Seek to `pos` before reading or writing `fd`.
pub const FUSE_BUF_FD_SEEK: fuse_buf_flags = 1 << 2;
/// Go on after a short read or write of `fd` until the whole size or end of file is reached.
pub const FUSE_BUF_FD_RETRY: fuse_buf_flags = 1 << 3;

/// Flags of fuse_buf_copy(), or-ed together.
pub type fuse_buf_copy_flags = c_int;
/// Never splice(2).
pub const FUSE_BUF_NO_SPLICE: fuse_buf_copy_flags = 1 << 1;
/// Always splice(2), fail where it cannot.
pub const FUSE_BUF_FORCE_SPLICE: fuse_buf_copy_flags = 1 << 2;
/// Let splice(2) move pages instead of copying.
pub const FUSE_BUF_SPLICE_MOVE: fuse_buf_copy_flags = 1 << 3;
/// Do not block in splice(2).
pub const FUSE_BUF_SPLICE_NONBLOCK: fuse_buf_copy_flags = 1 << 4;

/// One piece of data, in memory or in a file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_buf {
    /// Size of the data in bytes.
    pub size: usize,
    /// Flags.
    pub flags: fuse_buf_flags,
    /// The data, unless FUSE_BUF_IS_FD is set.
    pub mem: *mut c_void,
    /// The file, when FUSE_BUF_IS_FD is set.
    pub fd: c_int,
    /// Position in the file, when FUSE_BUF_FD_SEEK is set.
    pub pos: libc::off_t,
    /// Bytes allocated at `mem`, where fuse_session_receive_buf() allocated it (3.17).
    #[cfg(not(soname = "3"))]
    pub mem_size: usize,
}

/// A list of buffers with a position in it. `buf` has `count` elements, of which C declares one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_bufvec {
    /// Number of buffers.
    pub count: usize,
    /// Index of the current buffer.
    pub idx: usize,
    /// Offset in the current buffer, in bytes.
    pub off: usize,
    /// The buffers.
    pub buf: [fuse_buf; 1],
}

/// Version of the headers that a program was compiled with.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libfuse_version {
    /// Major version.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
    /// Patch level.
    pub hotfix: u32,
    /// Not used.
    pub padding: u32,
}

/// Capabilities in `capable`, `want` and their 64-bit forms.
pub mod cap {
    /// Reads of one file may be in flight together.
    pub const FUSE_CAP_ASYNC_READ: u64 = 1 << 0;
    /// Remote POSIX locks.
    pub const FUSE_CAP_POSIX_LOCKS: u64 = 1 << 1;
    /// open handles O_TRUNC itself.
    pub const FUSE_CAP_ATOMIC_O_TRUNC: u64 = 1 << 3;
    /// lookup handles "." and "..".
    pub const FUSE_CAP_EXPORT_SUPPORT: u64 = 1 << 4;
    /// The file system applies the umask.
    pub const FUSE_CAP_DONT_MASK: u64 = 1 << 6;
    /// Replies may be spliced to the device.
    pub const FUSE_CAP_SPLICE_WRITE: u64 = 1 << 7;
    /// Splicing may move pages.
    pub const FUSE_CAP_SPLICE_MOVE: u64 = 1 << 8;
    /// Requests may be spliced from the device.
    pub const FUSE_CAP_SPLICE_READ: u64 = 1 << 9;
    /// Remote BSD locks.
    pub const FUSE_CAP_FLOCK_LOCKS: u64 = 1 << 10;
    /// ioctl on directories.
    pub const FUSE_CAP_IOCTL_DIR: u64 = 1 << 11;
    /// Cached pages are dropped when mtime or size changed.
    pub const FUSE_CAP_AUTO_INVAL_DATA: u64 = 1 << 12;
    /// readdirplus.
    pub const FUSE_CAP_READDIRPLUS: u64 = 1 << 13;
    /// The kernel chooses between readdir and readdirplus.
    pub const FUSE_CAP_READDIRPLUS_AUTO: u64 = 1 << 14;
    /// Asynchronous direct I/O.
    pub const FUSE_CAP_ASYNC_DIO: u64 = 1 << 15;
    /// Write-back cache.
    pub const FUSE_CAP_WRITEBACK_CACHE: u64 = 1 << 16;
    /// ENOSYS to open means that no open is needed.
    pub const FUSE_CAP_NO_OPEN_SUPPORT: u64 = 1 << 17;
    /// Lookups and readdirs of one directory may be in flight together.
    pub const FUSE_CAP_PARALLEL_DIROPS: u64 = 1 << 18;
    /// POSIX ACLs.
    pub const FUSE_CAP_POSIX_ACL: u64 = 1 << 19;
    /// The file system clears set-uid bits and capabilities itself.
    pub const FUSE_CAP_HANDLE_KILLPRIV: u64 = 1 << 20;
    /// As above, only where the kernel asks.
    pub const FUSE_CAP_HANDLE_KILLPRIV_V2: u64 = 1 << 21;
    /// Symbolic links are cached.
    pub const FUSE_CAP_CACHE_SYMLINKS: u64 = 1 << 23;
    /// ENOSYS to opendir means that no opendir is needed.
    pub const FUSE_CAP_NO_OPENDIR_SUPPORT: u64 = 1 << 24;
    /// Cached data is only invalidated explicitly.
    pub const FUSE_CAP_EXPLICIT_INVAL_DATA: u64 = 1 << 25;
    /// Expire-only entry invalidation.
    pub const FUSE_CAP_EXPIRE_ONLY: u64 = 1 << 26;
    /// setxattr gets extended flags.
    pub const FUSE_CAP_SETXATTR_EXT: u64 = 1 << 27;
    /// Shared mmap of direct-io files.
    pub const FUSE_CAP_DIRECT_IO_ALLOW_MMAP: u64 = 1 << 28;
    /// Passthrough to backing files.
    pub const FUSE_CAP_PASSTHROUGH: u64 = 1 << 29;
    /// No lookups by nodeid at all.
    pub const FUSE_CAP_NO_EXPORT_SUPPORT: u64 = 1 << 30;
    /// Requests may go over io_uring.
    pub const FUSE_CAP_OVER_IO_URING: u64 = 1 << 31;
    /// Mounts may be idmapped.
    pub const FUSE_CAP_ALLOW_IDMAP: u64 = 1 << 32;
    /// Creates carry a security context.
    pub const FUSE_CAP_SECURITY_CTX: u64 = 1 << 33;
}
