//! Types of `fuse_common.h`.

use core::ffi::{c_int, c_uint, c_void};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub mod cap;

/// A file system that is mounted or about to be. Made by fuse_session_new(), freed by fuse_session_destroy().
#[repr(C)]
pub struct fuse_session {
    opaque: [u8; 0],
}

/// A poll(2) that waits for news of a file. The library makes it for the poll callback; whoever gets it there
/// notifies it once with fuse_lowlevel_notify_poll() and frees it with fuse_pollhandle_destroy().
#[repr(C)]
pub struct fuse_pollhandle {
    opaque: [u8; 0],
}

/// Connection options of a command line, see fuse_parse_conn_info_opts(). Freed with free(3).
#[repr(C)]
pub struct fuse_conn_info_opts {
    opaque: [u8; 0],
}

/// Options of a multi-threaded loop, see fuse_loop_cfg_create() (3.12). A program for an API version below 312 sees
/// the members of struct fuse_loop_config_v1 under this name instead.
#[repr(C)]
pub struct fuse_loop_config {
    opaque: [u8; 0],
}

/// An open file, as the callbacks see it.
///
/// cbindgen:ignore
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

/// An open file: what the kernel says of it, and what the file system answers when it is opened.
///
/// The kernel keeps one such file per open file description (open(2)), so several file descriptors and processes may
/// share it. The struct is only valid during the callback that gets it; what lasts is `fh`.
#[cfg(header_view)]
#[repr(C)]
pub struct fuse_file_info {
    /// Open flags as in open(2): access mode, O_APPEND, O_DIRECT and the like. Set in open, opendir, create, tmpfile,
    /// read, write, release and releasedir.
    pub flags: i32,
    /// Set in write: the page cache writes back, not a process. Then pid, uid and gid of the request are unknown and
    /// `fh` is one of the file's open handles, not necessarily the one that was written through.
    /// cbindgen:bitfield=1
    pub writepage: u32,
    /// For open and create to set: no page cache for this open file; each read and write reaches the file system.
    /// cbindgen:bitfield=1
    pub direct_io: u32,
    /// For open and opendir to set: what the page cache holds of the file is still right; without it, it is dropped
    /// at this open.
    /// cbindgen:bitfield=1
    pub keep_cache: u32,
    /// Set in flush, and in release when the file is to be flushed as well.
    /// cbindgen:bitfield=1
    pub flush: u32,
    /// For open and create to set: the file has no position; lseek(2), pread(2) and pwrite(2) fail.
    /// cbindgen:bitfield=1
    pub nonseekable: u32,
    /// Set in release: drop the flock(2) lock of `lock_owner`.
    /// cbindgen:bitfield=1
    pub flock_release: u32,
    /// For opendir to set: the kernel may cache what readdir returns and answer later reads itself (3.5).
    /// cbindgen:bitfield=1
    pub cache_readdir: u32,
    /// For open and create to set: closing a descriptor of this file needs no flush request (3.11).
    /// cbindgen:bitfield=1
    pub noflush: u32,
    /// For open and create to set, with direct_io: direct writes to the file may be in flight together, where they do
    /// not make it longer (3.15; at this position since 3.17).
    /// cbindgen:bitfield=1
    pub parallel_direct_writes: u32,
    /// Room for later bits; 0.
    /// cbindgen:bitfield=23
    pub padding: u32,
    /// Room for later bits; 0.
    /// cbindgen:bitfield=32
    pub padding2: u32,
    /// Room for later bits; 0.
    /// cbindgen:bitfield=32
    pub padding3: u32,
    /// The file system's own handle. What open, opendir, create or tmpfile store here comes back in every later
    /// callback for the file.
    pub fh: u64,
    /// Who owns the lock, in flush, release, getlk, setlk and flock: equal numbers mean the same owner.
    pub lock_owner: u64,
    /// In poll: the events that the caller waits for (poll(2)); 0 when the kernel did not say.
    pub poll_events: u32,
    /// For open and create to set: reads and writes go to the backing file of this id without coming here. The id is
    /// from fuse_passthrough_open(); 0 for none (3.17).
    pub backing_id: i32,
    /// For the library: which of the fields its caller knows (3.17).
    pub compat_flags: u64,
    /// Room for later fields; 0.
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

/// How to run the multi-threaded loop, in a program for an API version below 312. Newer ones make an opaque struct
/// with fuse_loop_cfg_create(), which can grow.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_loop_config_v1 {
    /// Not 0: each worker reads requests from a device descriptor of its own.
    pub clone_fd: c_int,
    /// How many workers may wait for requests; one that would be more ends. (unsigned)-1 for no limit.
    pub max_idle_threads: c_uint,
}

/// Connection parameters, for the init callback to read and change.
///
/// cbindgen:ignore
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes)]
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

/// What the kernel and the file system agree on at the start: the init callback finds the kernel's offer and the
/// library's defaults here and changes what it wants otherwise. A value that the kernel does not allow is lowered to
/// what it does.
#[cfg(header_view)]
#[repr(C)]
pub struct fuse_conn_info {
    /// Major version of the protocol that is spoken. For reading only.
    pub proto_major: u32,
    /// Minor version of the protocol that is spoken. For reading only.
    pub proto_minor: u32,
    /// Largest write request, in bytes.
    pub max_write: u32,
    /// Largest read request, in bytes; 0 for the kernel's own limit. The mount option `max_read=` must say the same,
    /// since the kernel learns it at mount(2).
    pub max_read: u32,
    /// How far the kernel may read ahead, in bytes. Can be lowered only.
    pub max_readahead: u32,
    /// FUSE_CAP flags 0 to 31 of what kernel and library can do. For reading only.
    pub capable: u32,
    /// FUSE_CAP flags 0 to 31 that the file system wants; the library has set the ones that are on by default. Change
    /// either this or want_ext, through fuse_set_feature_flag() and fuse_unset_feature_flag() if the program need not
    /// run before 3.17.
    pub want: u32,
    /// How many background requests (readahead, write-back, asynchronous direct I/O) may be in flight together; 0 for
    /// the kernel's own limit.
    pub max_background: u32,
    /// From how many background requests in flight on the kernel takes the file system for congested; 0 for three
    /// quarters of max_background.
    pub congestion_threshold: u32,
    /// How fine the file system's timestamps are, in nanoseconds: a power of ten from 1 to 1000000000. Matters with
    /// FUSE_CAP_WRITEBACK_CACHE, where the kernel makes timestamps itself. The default is 1.
    pub time_gran: u32,
    /// How many stacked file systems may lie under a backing file of passthrough: FUSE_BACKING_STACKED_UNDER or
    /// FUSE_BACKING_STACKED_OVER (3.17).
    pub max_backing_stack_depth: u32,
    /// Ask the kernel for no interrupt requests: an interrupted operation goes on until it is answered (3.18).
    /// cbindgen:bitfield=1
    pub no_interrupt: u32,
    /// With io_uring: the thread that received a request also answers it (3.19). A promise that this library has no use
    /// for.
    /// cbindgen:bitfield=1
    pub io_uring_single_issuer: u32,
    /// Room for later bits; 0.
    /// cbindgen:bitfield=30
    pub padding: u32,
    /// All 64 FUSE_CAP flags of what kernel and library can do (3.17). For reading only.
    pub capable_ext: u64,
    /// All 64 FUSE_CAP flags that the file system wants (3.17).
    pub want_ext: u64,
    /// Seconds after which the kernel takes an unanswered request for a hang and aborts the connection; 0 for what
    /// /proc/sys/fs/fuse/default_request_timeout says, which is never unless it was changed. The kernel looks every 15
    /// seconds and raises smaller values to that (3.18, Linux 6.14).
    pub request_timeout: u16,
    /// Room for later fields; 0.
    pub reserved: [u16; 31],
}

/// In [`fuse_conn_info::bits`]: send no interrupts.
pub const CONN_NO_INTERRUPT: u32 = 1 << 0;
/// In [`fuse_conn_info::bits`]: each ring is submitted to by one thread only.
pub const CONN_IO_URING_SINGLE_ISSUER: u32 = 1 << 1;

/// For fuse_set_conn_flag(): sets io_uring_single_issuer (3.19).
pub const FUSE_CONN_FLAG_SINGLE_ISSUER: u32 = 1u32 << 0;
/// For fuse_set_conn_flag(): sets no_interrupt (3.19).
pub const FUSE_CONN_FLAG_NO_INTERRUPT: u32 = 1u32 << 1;

/// For max_backing_stack_depth: backing files lie on file systems that are not stacked themselves, and another file
/// system, such as overlayfs, may be stacked on this one (3.17).
pub const FUSE_BACKING_STACKED_UNDER: c_int = 0;
/// For max_backing_stack_depth: backing files may lie on a stacked file system, and none may be stacked on this one
/// (3.17).
pub const FUSE_BACKING_STACKED_OVER: c_int = 1;

/// For fuse_session_enable_passthrough(): the daemon clears set-user-ID and set-group-ID bits and file capabilities
/// itself where it writes to a file, truncates it (also by O_TRUNC in open) or changes its owner, so the kernel need not
/// ask for `security.capability` before each write, which would make writes many times slower. On a Linux file system
/// that takes no more than going without CAP_FSETID in the effective set then. Wants FUSE_CAP_HANDLE_KILLPRIV_V2
/// (fusewire 1.0).
pub const FUSE_PASSTHROUGH_KILLPRIV: u32 = 1u32 << 0;

/// In an ioctl callback's `flags`: the caller is a 32-bit process on a 64-bit kernel.
pub const FUSE_IOCTL_COMPAT: c_int = 1 << 0;
/// In an ioctl callback's `flags`: the callback may say itself what to fetch from the caller's memory and where to
/// store, with fuse_reply_ioctl_retry(). Only CUSE devices get that.
pub const FUSE_IOCTL_UNRESTRICTED: c_int = 1 << 1;
/// In the protocol's reply to ioctl: the reply describes memory to fetch, and the request comes again.
pub const FUSE_IOCTL_RETRY: c_int = 1 << 2;
/// In an ioctl callback's `flags`: the file is a directory.
pub const FUSE_IOCTL_DIR: c_int = 1 << 4;
/// Largest number of iovecs, in and out together, of fuse_reply_ioctl_retry().
pub const FUSE_IOCTL_MAX_IOV: c_int = 256;

/// Flags of a struct fuse_buf, or-ed together.
pub type fuse_buf_flags = c_int;
/// The data is in the file `fd`, not at `mem`.
pub const FUSE_BUF_IS_FD: fuse_buf_flags = 1 << 1;
/// Read or write `fd` at `pos`, leaving the file's own position alone. Without it the file's position is used.
pub const FUSE_BUF_FD_SEEK: fuse_buf_flags = 1 << 2;
/// After a short read or write of `fd` go on until all is done, or end of file or an error comes.
pub const FUSE_BUF_FD_RETRY: fuse_buf_flags = 1 << 3;

/// Flags of fuse_buf_copy() and the replies that use it, or-ed together. They matter where both sides are files.
pub type fuse_buf_copy_flags = c_int;
/// Copy by read(2) and write(2) even where splice(2) would do.
pub const FUSE_BUF_NO_SPLICE: fuse_buf_copy_flags = 1 << 1;
/// Use splice(2) and fail where it cannot be used.
pub const FUSE_BUF_FORCE_SPLICE: fuse_buf_copy_flags = 1 << 2;
/// Let splice(2) move pages rather than copy them: the source must not change afterwards.
pub const FUSE_BUF_SPLICE_MOVE: fuse_buf_copy_flags = 1 << 3;
/// Do not wait in splice(2): return what is there.
pub const FUSE_BUF_SPLICE_NONBLOCK: fuse_buf_copy_flags = 1 << 4;

/// A piece of data: in memory, or in a file that the library reads or writes when the data is wanted.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_buf {
    /// Size of the data in bytes.
    pub size: usize,
    /// Where the data is and how to get it.
    pub flags: fuse_buf_flags,
    /// The data, unless FUSE_BUF_IS_FD is set.
    pub mem: *mut c_void,
    /// The file, when FUSE_BUF_IS_FD is set. It is not closed.
    pub fd: c_int,
    /// Position in the file, when FUSE_BUF_FD_SEEK is set too.
    pub pos: libc::off_t,
    /// Bytes allocated at `mem`, where fuse_session_receive_buf() allocated it; 0 otherwise (3.17).
    #[cfg(not(soname = "3"))]
    pub mem_size: usize,
}

/// A row of buffers with a position in it, which copying moves on. Made with FUSE_BUFVEC_INIT() for one buffer, with
/// malloc(3) for more: `buf` really has `count` elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_bufvec {
    /// Number of buffers.
    pub count: usize,
    /// Index of the buffer at which the position is; `count` at the end.
    pub idx: usize,
    /// The position within that buffer, in bytes.
    pub off: usize,
    /// The buffers.
    pub buf: [fuse_buf; 1],
}

/// Version of the headers that a program was compiled with; the headers' inline functions pass it (3.17).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libfuse_version {
    /// FUSE_MAJOR_VERSION.
    pub major: u32,
    /// FUSE_MINOR_VERSION.
    pub minor: u32,
    /// FUSE_HOTFIX_VERSION.
    pub hotfix: u32,
    /// Room for later use; 0.
    pub padding: u32,
}
