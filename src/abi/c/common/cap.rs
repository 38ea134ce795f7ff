//! Capabilities: what kernel and library can do, and what the file system wants of it. Values are given as shifts of
//! `1u64` so that the C header can have them in `#if`.

/// Several reads of one open file may be in flight together and arrive in any order. Without it the kernel sends one
/// read at a time. On by default.
pub const FUSE_CAP_ASYNC_READ: u64 = 1u64 << 0;
/// fcntl(2) locks go to getlk and setlk, so that they can hold across machines. On by default where both are set.
pub const FUSE_CAP_POSIX_LOCKS: u64 = 1u64 << 1;
/// open gets O_TRUNC and truncates. Without it the kernel sends a setattr of size 0 before an open without O_TRUNC.
/// On by default.
pub const FUSE_CAP_ATOMIC_O_TRUNC: u64 = 1u64 << 3;
/// lookup answers "." and "..", so that NFS exports work after the kernel has forgotten an inode or the daemon was
/// restarted. Node ids must then stay valid for good and never be used again. Off by default.
pub const FUSE_CAP_EXPORT_SUPPORT: u64 = 1u64 << 4;
/// The kernel leaves the umask out of the mode of a new file; the file system applies it from struct fuse_ctx. Off by
/// default.
pub const FUSE_CAP_DONT_MASK: u64 = 1u64 << 6;
/// fuse_reply_data() splices data that is in files to the device, through a pipe of the calling thread, instead of
/// copying it. From 32 KiB on, where it is cheaper (measured into a warm page cache, Linux 6.18: a third of the
/// processor time saved at 128 KiB, nothing at 16 KiB); smaller replies only with FUSE_BUF_FORCE_SPLICE. A reply is
/// copied if its files cannot be spliced, or if a pipe has no room for it and one page
/// (/proc/sys/fs/pipe-max-size): without CAP_SYS_RESOURCE that is one of 1 MiB. Off by default.
pub const FUSE_CAP_SPLICE_WRITE: u64 = 1u64 << 7;
/// Splicing to and from the device may move pages. Off by default.
pub const FUSE_CAP_SPLICE_MOVE: u64 = 1u64 << 8;
/// write_buf gets the data of large writes in a pipe (FUSE_BUF_IS_FD), from where fuse_buf_copy() splices it on to a
/// file. From 64 KiB on, once a thread has seen such a write, and where the data comes out of the page cache: a sixth
/// of the processor time is saved at 128 KiB, a third at 512 KiB. Direct writes, all other requests, and everything in
/// a session without write_buf are received into memory. So is everything where a pipe has no room for max_write and
/// a page (/proc/sys/fs/pipe-max-size): without CAP_SYS_RESOURCE that is so for max_write = 1 MiB, the default. On by
/// default where write_buf is set.
pub const FUSE_CAP_SPLICE_READ: u64 = 1u64 << 9;
/// flock(2) locks go to the flock callback. Without it the kernel keeps them itself, for this machine alone. On by
/// default where flock is set.
pub const FUSE_CAP_FLOCK_LOCKS: u64 = 1u64 << 10;
/// ioctl(2) on directories is passed on. On by default.
pub const FUSE_CAP_IOCTL_DIR: u64 = 1u64 << 11;
/// The kernel asks for the attributes again when their time is up before it reads from its page cache, and drops the
/// cached pages when size or modification time have changed. For file systems whose files change behind the kernel's
/// back. On by default.
pub const FUSE_CAP_AUTO_INVAL_DATA: u64 = 1u64 << 12;
/// Directories are read with readdirplus, entries and attributes in one go. On by default where readdirplus is set.
pub const FUSE_CAP_READDIRPLUS: u64 = 1u64 << 13;
/// With FUSE_CAP_READDIRPLUS: the kernel uses it for the first batch of a directory and, after that, only as long as
/// the entries' attributes are being looked at; else readdir. On by default where both callbacks are set.
pub const FUSE_CAP_READDIRPLUS_AUTO: u64 = 1u64 << 14;
/// Parts of one direct read or write may be in flight together. On by default.
pub const FUSE_CAP_ASYNC_DIO: u64 = 1u64 << 15;
/// Writes are gathered in the page cache and written back later, in larger pieces. The kernel then is the authority
/// on size and modification time of open files, may read from a file that was opened write-only, and handles O_APPEND
/// itself. Off by default.
pub const FUSE_CAP_WRITEBACK_CACHE: u64 = 1u64 << 16;
/// Where the kernel offers it, open may answer ENOSYS: the open succeeds with fh 0, and from then on the kernel opens
/// and releases files without asking. Wanting it makes the library answer so where open is NULL (since 3.17, so
/// not in libfuse3.so.3). Off by default.
pub const FUSE_CAP_NO_OPEN_SUPPORT: u64 = 1u64 << 17;
/// lookup and readdir of one directory may be in flight together. Off by default.
pub const FUSE_CAP_PARALLEL_DIROPS: u64 = 1u64 << 18;
/// The kernel checks POSIX ACLs, which it gets and sets as the system.posix_acl_* attributes; permission checks of
/// the mount option `default_permissions` come with it. The file system keeps mode and ACL in step, and gives new
/// files the ACL they inherit. Off by default.
pub const FUSE_CAP_POSIX_ACL: u64 = 1u64 << 19;
/// The file system itself clears set-user-id, set-group-id and security.capability when a file is written, truncated
/// or changes owner. Off by default.
pub const FUSE_CAP_HANDLE_KILLPRIV: u64 = 1u64 << 20;
/// The file system clears set-user-id, set-group-id (of group-executable files) and security.capability where the
/// kernel marks a write, truncation or open as made without CAP_FSETID (FUSE_REQ_KILL_SUIDGID of fuse_req_flags()), and
/// always when the owner changes. It saves the kernel a getxattr before each write. Off by default (Linux 5.11).
pub const FUSE_CAP_HANDLE_KILLPRIV_V2: u64 = 1u64 << 21;
/// Targets of symbolic links are cached until fuse_lowlevel_notify_inval_inode() with offset and length 0 drops them.
/// Off by default (3.10, Linux 4.20).
pub const FUSE_CAP_CACHE_SYMLINKS: u64 = 1u64 << 23;
/// The same for opendir and releasedir. The kernel then also caches the entries that readdir returned. Off by default
/// (3.5, Linux 5.1).
pub const FUSE_CAP_NO_OPENDIR_SUPPORT: u64 = 1u64 << 24;
/// Cached pages are dropped only when the file system says so, by fuse_lowlevel_notify_inval_inode(), whatever size
/// and modification time do. Excludes FUSE_CAP_AUTO_INVAL_DATA. Off by default (3.10, Linux 5.2).
pub const FUSE_CAP_EXPLICIT_INVAL_DATA: u64 = 1u64 << 25;
/// The kernel knows fuse_lowlevel_notify_expire_entry(). On where the kernel does; wanting it changes nothing (3.12,
/// Linux 6.2).
pub const FUSE_CAP_EXPIRE_ONLY: u64 = 1u64 << 26;
/// The kernel sends setxattr with flags of its own, of which there is one: whether to clear set-group-id with an ACL
/// (FUSE_REQ_ACL_KILL_SGID of fuse_req_flags()). Off by default (3.13, Linux 5.13).
pub const FUSE_CAP_SETXATTR_EXT: u64 = 1u64 << 27;
/// A file opened with direct_io may be mapped shared. Such a mapping goes through the page cache beside the direct
/// reads and writes. Off by default (3.16, Linux 6.6).
pub const FUSE_CAP_DIRECT_IO_ALLOW_MMAP: u64 = 1u64 << 28;
/// open may name a backing file whose reads and writes the kernel does itself, see fuse_passthrough_open(). Excludes
/// FUSE_CAP_WRITEBACK_CACHE. Needs CAP_SYS_ADMIN. Off by default (3.17, Linux 6.9).
pub const FUSE_CAP_PASSTHROUGH: u64 = 1u64 << 29;
/// The file system cannot be exported over NFS at all, and the kernel refuses to make file handles
/// (open_by_handle_at(2)) for it. For file systems that cannot find an inode the kernel has forgotten. Off by default
/// (3.17, Linux 6.7).
pub const FUSE_CAP_NO_EXPORT_SUPPORT: u64 = 1u64 << 30;
/// Requests may travel over io_uring instead of reads and writes of /dev/fuse, where the option `io_uring` or
/// FUSE_URING_ENABLE in the environment asks for it too. On by default. Not offered where the library could not do it: for
/// recoverable sessions and those with I/O functions of their own (3.18, Linux 6.14).
pub const FUSE_CAP_OVER_IO_URING: u64 = 1u64 << 31;
/// The mount may be idmapped (mount_setattr(2)); needs `default_permissions` or FUSE_CAP_POSIX_ACL. In want_ext only.
/// Off by default (3.18, Linux 6.12).
pub const FUSE_CAP_ALLOW_IDMAP: u64 = 1u64 << 32;
/// Requests that make an inode carry its security context (security.selinux and the like), to be stored in the same
/// step. In want_ext only (3.19, Linux 5.17).
pub const FUSE_CAP_SECURITY_CTX: u64 = 1u64 << 33;
