//! Types of `fuse_lowlevel.h`.

use core::ffi::{c_char, c_int, c_uint, c_void};
use libc::{gid_t, iovec, mode_t, off_t, pid_t, ssize_t, stat, uid_t};

mod ops;
pub use ops::fuse_lowlevel_ops;

/// Number by which kernel and file system call an inode (node id). The file system chooses it in its answer to
/// lookup; FUSE_ROOT_ID is the root's. It lives from that answer until forget has taken back every lookup.
pub type fuse_ino_t = u64;

/// Number of the root directory.
pub const FUSE_ROOT_ID: c_int = 1;

/// A request of the kernel that waits for its answer.
#[repr(C)]
pub struct fuse_req {
    opaque: [u8; 0],
}

/// Handle of a request. A callback gets it and owes exactly one call of one of the reply functions for it, at once or
/// later, on any thread; that call ends it. A handle that is used once more is refused with a line in the log.
pub type fuse_req_t = *mut fuse_req;

/// What lookup and the callbacks that make an inode answer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fuse_entry_param {
    /// Node id. 0, in an answer to lookup: there is no such name, and the kernel may remember that for
    /// `entry_timeout`.
    pub ino: fuse_ino_t,
    /// Tells apart two inodes that had the same node id one after the other: the pair must be unique for as long as
    /// NFS clients may remember it. 0 where node ids are never used again.
    pub generation: u64,
    /// Attributes. They must be right even where `attr_timeout` is 0: the kernel takes type and size from here.
    pub attr: stat,
    /// How long the kernel may use the attributes without asking again, in seconds.
    pub attr_timeout: f64,
    /// How long the kernel may use the name without asking again, in seconds.
    pub entry_timeout: f64,
}

/// Who caused a request. Unknown (0) in requests of the kernel's own: forget, release, write-back.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct fuse_ctx {
    /// User id.
    pub uid: uid_t,
    /// Group id.
    pub gid: gid_t,
    /// Thread id; 0 when the thread is not visible from the daemon's pid namespace.
    pub pid: pid_t,
    /// umask of the caller, in mknod, mkdir, create and tmpfile.
    pub umask: mode_t,
}

/// One inode of forget_multi.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_forget_data {
    /// Node id.
    pub ino: fuse_ino_t,
    /// How many lookups to take back.
    pub nlookup: u64,
}

/// How a session that does not use /dev/fuse moves its bytes, see fuse_session_custom_io() (3.13). The functions
/// behave as the system calls of these names do: bytes moved, or -1 with errno set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fuse_custom_io {
    /// Sends one whole message. Required.
    pub writev:
        Option<unsafe extern "C" fn(fd: c_int, iov: *mut iovec, count: c_int, userdata: *mut c_void) -> ssize_t>,
    /// Receives one whole message. Returns its size in bytes, or -1 with errno; ENODEV ends the session, and fewer bytes
    /// than a request's head are EIO. It must return when a signal interrupts it, with EINTR: that is how a blocked
    /// thread learns of fuse_session_exit(). Required.
    pub read:
        Option<unsafe extern "C" fn(fd: c_int, buf: *mut c_void, buf_len: usize, userdata: *mut c_void) -> ssize_t>,
    /// Receives a message into a pipe. May be NULL: then messages are read into memory.
    pub splice_receive: Option<
        unsafe extern "C" fn(
            fdin: c_int,
            offin: *mut off_t,
            fdout: c_int,
            offout: *mut off_t,
            len: usize,
            flags: c_uint,
            userdata: *mut c_void,
        ) -> ssize_t,
    >,
    /// Sends a message from a pipe. May be NULL: then replies are sent from memory.
    pub splice_send: Option<
        unsafe extern "C" fn(
            fdin: c_int,
            offin: *mut off_t,
            fdout: c_int,
            offout: *mut off_t,
            len: usize,
            flags: c_uint,
            userdata: *mut c_void,
        ) -> ssize_t,
    >,
    /// Opens a further descriptor of the same connection for a worker thread. May be NULL: then the workers share one
    /// (3.17).
    pub clone_fd: Option<unsafe extern "C" fn(master_fd: c_int) -> c_int>,
}

/// Called when the process that caused a request was interrupted while it waits, see fuse_req_interrupt_func(). It
/// runs on a thread of the loop and must not answer the request itself unless it knows that nobody else does.
pub type fuse_interrupt_func_t = Option<unsafe extern "C" fn(req: fuse_req_t, data: *mut c_void)>;

/// Called when a session did not end in time after it had lost its connection, see
/// fuse_session_start_teardown_watchdog(); on a thread of its own (3.19).
pub type fuse_timeout_cb = Option<unsafe extern "C" fn(data: *mut c_void)>;

/// What the command line of a low-level file system says, see fuse_parse_cmdline().
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_cmdline_opts {
    /// `-s`: serve with one thread.
    pub singlethread: c_int,
    /// `-f`, or implied by `-d`: stay in the foreground.
    pub foreground: c_int,
    /// `-d` or `-o debug`: log every request and reply.
    pub debug: c_int,
    /// Not 0 when the command line names a `fsname=` or `subtype=`, so that none is made of the program's name.
    pub nodefault_subtype: c_int,
    /// The mountpoint as an absolute path, or `/dev/fd/N`; from malloc(3), for the program to free. NULL when none
    /// was given.
    pub mountpoint: *mut c_char,
    /// `-V` or `--version`.
    pub show_version: c_int,
    /// `-h` or `--help`.
    pub show_help: c_int,
    /// `-o clone_fd`: each worker reads from a device descriptor of its own.
    pub clone_fd: c_int,
    /// `-o max_idle_threads=N`; (unsigned)-1 when it was not given.
    pub max_idle_threads: c_uint,
    /// `-o max_threads=N`; 10 when it was not given (3.12).
    pub max_threads: c_uint,
}

/// Bytes of [`fuse_cmdline_opts`] before 3.12.
pub const CMDLINE_OPTS_COMPAT_SIZE: usize = 40;

/// How fuse_lowlevel_notify_inval_entry() and fuse_lowlevel_notify_expire_entry() treat a name.
pub type fuse_notify_entry_flags = c_int;
/// Forget the name.
pub const FUSE_LL_INVALIDATE: fuse_notify_entry_flags = 0;
/// Let its time be up: the next use asks the file system again, and mounts below it stay (Linux 6.2).
pub const FUSE_LL_EXPIRE_ONLY: fuse_notify_entry_flags = 1 << 0;

/// In fuse_req_flags(): set-user-id, security.capability and, where the group may execute the file, set-group-id are to
/// be cleared. In write, in open and create with O_TRUNC and in setattr of a size, where the caller has no CAP_FSETID;
/// in setattr of an owner. With FUSE_CAP_HANDLE_KILLPRIV_V2 in force (Linux 5.11).
pub const FUSE_REQ_KILL_SUIDGID: u32 = 1u32 << 0;
/// In fuse_req_flags(): `fi->lock_owner` of a read or write is that of a lock; without it, it means nothing.
pub const FUSE_REQ_LOCK_OWNER: u32 = 1u32 << 1;
/// In fuse_req_flags(): a setxattr of system.posix_acl_access whose caller is neither in the file's group nor has
/// CAP_FSETID, so set-group-id is to be cleared. With FUSE_CAP_SETXATTR_EXT in force (Linux 5.13).
pub const FUSE_REQ_ACL_KILL_SGID: u32 = 1u32 << 2;
/// In fuse_req_flags(): the request was delivered before, to this process or to one that served the connection earlier,
/// and may have been carried out already (Linux 6.9).
pub const FUSE_REQ_RESEND: u32 = 1u32 << 3;

/// In to_set of setattr: permission bits (`st_mode`).
pub const FUSE_SET_ATTR_MODE: c_int = 1 << 0;
/// In to_set of setattr: owner (`st_uid`).
pub const FUSE_SET_ATTR_UID: c_int = 1 << 1;
/// In to_set of setattr: group (`st_gid`).
pub const FUSE_SET_ATTR_GID: c_int = 1 << 2;
/// In to_set of setattr: size (`st_size`): truncate or extend.
pub const FUSE_SET_ATTR_SIZE: c_int = 1 << 3;
/// In to_set of setattr: access time (`st_atim`).
pub const FUSE_SET_ATTR_ATIME: c_int = 1 << 4;
/// In to_set of setattr: modification time (`st_mtim`).
pub const FUSE_SET_ATTR_MTIME: c_int = 1 << 5;
/// In to_set of setattr: access time, to the present.
pub const FUSE_SET_ATTR_ATIME_NOW: c_int = 1 << 7;
/// In to_set of setattr: modification time, to the present.
pub const FUSE_SET_ATTR_MTIME_NOW: c_int = 1 << 8;
/// In to_set of setattr: a mark inside the kernel, never passed on.
pub const FUSE_SET_ATTR_FORCE: c_int = 1 << 9;
/// In to_set of setattr: change time (`st_ctim`), with write-back caching.
pub const FUSE_SET_ATTR_CTIME: c_int = 1 << 10;
/// In to_set of setattr: clear set-user-id.
pub const FUSE_SET_ATTR_KILL_SUID: c_int = 1 << 11;
/// In to_set of setattr: clear set-group-id.
pub const FUSE_SET_ATTR_KILL_SGID: c_int = 1 << 12;
/// In to_set of setattr: never passed on; `fi` says whether the file is open.
pub const FUSE_SET_ATTR_FILE: c_int = 1 << 13;
/// In to_set of setattr: a mark inside the kernel, never passed on.
pub const FUSE_SET_ATTR_KILL_PRIV: c_int = 1 << 14;
/// In to_set of setattr: a mark inside the kernel, never passed on.
pub const FUSE_SET_ATTR_OPEN: c_int = 1 << 15;
/// In to_set of setattr: a mark inside the kernel, never passed on.
pub const FUSE_SET_ATTR_TIMES_SET: c_int = 1 << 16;
/// In to_set of setattr: a mark inside the kernel, never passed on.
pub const FUSE_SET_ATTR_TOUCH: c_int = 1 << 17;

/// Of fuse_resend_ops: the request is served as if it came for the first time.
pub const FUSE_RESEND_HANDLE: c_int = 0;
/// Of fuse_resend_ops: the reply that the predecessor recorded is sent; if there is none, as FUSE_RESEND_HANDLE. What is
/// done without these functions.
pub const FUSE_RESEND_ANSWER: c_int = 1;

/// What a daemon has to say of requests that the kernel sends once more, because a predecessor read them and died. Since
/// fusewire 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fuse_resend_ops {
    /// `sizeof(struct fuse_resend_ops)`: members that come later are absent for older programs.
    pub size: usize,
    /// Decides what becomes of a request, before it is served. It must not reply.
    ///
    /// - `req`: the request: fuse_req_journaled(), fuse_req_ctx() and the like may be used.
    /// - `opcode`: its number in `<linux/fuse.h>`.
    /// - `ino`: the inode that it is about.
    ///
    /// Returns FUSE_RESEND_HANDLE, FUSE_RESEND_ANSWER, or a negative errno, with which the request fails. May be NULL.
    pub classify: Option<unsafe extern "C" fn(req: fuse_req_t, opcode: u32, ino: fuse_ino_t) -> c_int>,
    /// All requests that were sent once more have been delivered; called once, on the thread that delivered the last one.
    ///
    /// - `userdata`: the session's.
    /// - `n`: how many there were.
    ///
    /// May be NULL.
    pub drained: Option<unsafe extern "C" fn(userdata: *mut c_void, n: usize)>,
}
