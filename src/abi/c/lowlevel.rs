//! Types of `fuse_lowlevel.h`.

use super::common::{fuse_bufvec, fuse_conn_info, fuse_file_info, fuse_pollhandle};
use core::ffi::{c_char, c_int, c_uint, c_void};
use libc::{dev_t, flock, gid_t, iovec, mode_t, off_t, pid_t, ssize_t, stat, uid_t};

/// Inode number as the kernel knows it: the file system's own choice, 1 for the root.
pub type fuse_ino_t = u64;

/// A request in flight.
#[repr(C)]
pub struct fuse_req {
    opaque: [u8; 0],
}

/// Handle of a request in flight. It is valid from the callback until the reply; used later it is recognised and
/// refused with a log line.
pub type fuse_req_t = *mut fuse_req;

/// What a lookup-like reply says of an inode.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fuse_entry_param {
    /// nodeid; 0 caches the absence of the name.
    pub ino: fuse_ino_t,
    /// Together with `ino` unique for the life of the file system.
    pub generation: u64,
    /// Attributes; `st_ino` is what applications see.
    pub attr: stat,
    /// How long the attributes may be cached, in seconds.
    pub attr_timeout: f64,
    /// How long the name may be cached, in seconds.
    pub entry_timeout: f64,
}

/// Who caused a request.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct fuse_ctx {
    /// User id.
    pub uid: uid_t,
    /// Group id.
    pub gid: gid_t,
    /// Thread id; 0 when the request does not come from a process of this pid namespace.
    pub pid: pid_t,
    /// umask, in mknod, mkdir, create and tmpfile.
    pub umask: mode_t,
}

/// One inode of forget_multi.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_forget_data {
    /// nodeid.
    pub ino: fuse_ino_t,
    /// Lookups to take back.
    pub nlookup: u64,
}

/// I/O functions of a session that does not talk to /dev/fuse, see fuse_session_custom_io().
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fuse_custom_io {
    /// Sends one whole reply. Required.
    pub writev:
        Option<unsafe extern "C" fn(fd: c_int, iov: *mut iovec, count: c_int, userdata: *mut c_void) -> ssize_t>,
    /// Receives one whole request. Required.
    pub read:
        Option<unsafe extern "C" fn(fd: c_int, buf: *mut c_void, buf_len: usize, userdata: *mut c_void) -> ssize_t>,
    /// Receives a request into a pipe. May be NULL.
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
    /// Sends a reply from a pipe. May be NULL.
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
    /// Gives another fd of the same connection. May be NULL (3.17).
    pub clone_fd: Option<unsafe extern "C" fn(master_fd: c_int) -> c_int>,
}

/// Called when a request is interrupted, see fuse_req_interrupt_func().
pub type fuse_interrupt_func_t = Option<unsafe extern "C" fn(req: fuse_req_t, data: *mut c_void)>;

/// What a command line of a low-level file system says, see fuse_parse_cmdline().
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_cmdline_opts {
    /// `-s`: serve with one thread.
    pub singlethread: c_int,
    /// `-f`: stay in the foreground.
    pub foreground: c_int,
    /// `-d`: debug output.
    pub debug: c_int,
    /// Add no subtype of our own.
    pub nodefault_subtype: c_int,
    /// The mountpoint, absolute, from malloc(3); NULL when none was given.
    pub mountpoint: *mut c_char,
    /// `-V`.
    pub show_version: c_int,
    /// `-h`.
    pub show_help: c_int,
    /// `-o clone_fd`.
    pub clone_fd: c_int,
    /// `-o max_idle_threads=`.
    pub max_idle_threads: c_uint,
    /// `-o max_threads=` (3.12).
    pub max_threads: c_uint,
}

/// Bytes of [`fuse_cmdline_opts`] before 3.12.
pub const CMDLINE_OPTS_COMPAT_SIZE: usize = 40;

/// Declares `fuse_lowlevel_ops`: every member is an optional C function.
macro_rules! ops {
    ($($(#[$meta:meta])* $name:ident($($arg:ident: $ty:ty),* $(,)?);)*) => {
        /// The callbacks of a low-level file system. A member that is NULL answers ENOSYS, or what its documentation
        /// says. cbindgen:ignore
        #[repr(C)]
        #[derive(Clone, Copy, Default)]
        pub struct fuse_lowlevel_ops {
            $($(#[$meta])* pub $name: Option<unsafe extern "C" fn($($arg: $ty),*)>,)*
        }
    };
}

ops! {
    /// Start of the session.
    init(userdata: *mut c_void, conn: *mut fuse_conn_info);
    /// End of the session.
    destroy(userdata: *mut c_void);
    /// Finds a name in a directory.
    lookup(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char);
    /// The kernel forgets lookups of an inode.
    forget(req: fuse_req_t, ino: fuse_ino_t, nlookup: u64);
    /// Attributes.
    getattr(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info);
    /// Changes attributes.
    setattr(req: fuse_req_t, ino: fuse_ino_t, attr: *mut stat, to_set: c_int, fi: *mut fuse_file_info);
    /// Target of a symbolic link.
    readlink(req: fuse_req_t, ino: fuse_ino_t);
    /// Makes a file node.
    mknod(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char, mode: mode_t, rdev: dev_t);
    /// Makes a directory.
    mkdir(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char, mode: mode_t);
    /// Removes a file.
    unlink(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char);
    /// Removes a directory.
    rmdir(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char);
    /// Makes a symbolic link.
    symlink(req: fuse_req_t, link: *const c_char, parent: fuse_ino_t, name: *const c_char);
    /// Renames.
    rename(
        req: fuse_req_t, parent: fuse_ino_t, name: *const c_char, newparent: fuse_ino_t, newname: *const c_char,
        flags: c_uint,
    );
    /// Makes a hard link.
    link(req: fuse_req_t, ino: fuse_ino_t, newparent: fuse_ino_t, newname: *const c_char);
    /// Opens a file.
    open(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info);
    /// Reads.
    read(req: fuse_req_t, ino: fuse_ino_t, size: usize, off: off_t, fi: *mut fuse_file_info);
    /// Writes.
    write(req: fuse_req_t, ino: fuse_ino_t, buf: *const c_char, size: usize, off: off_t, fi: *mut fuse_file_info);
    /// A descriptor of an open file is closed.
    flush(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info);
    /// The last descriptor of an open file is closed.
    release(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info);
    /// Syncs a file.
    fsync(req: fuse_req_t, ino: fuse_ino_t, datasync: c_int, fi: *mut fuse_file_info);
    /// Opens a directory.
    opendir(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info);
    /// Reads a directory.
    readdir(req: fuse_req_t, ino: fuse_ino_t, size: usize, off: off_t, fi: *mut fuse_file_info);
    /// Closes a directory.
    releasedir(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info);
    /// Syncs a directory.
    fsyncdir(req: fuse_req_t, ino: fuse_ino_t, datasync: c_int, fi: *mut fuse_file_info);
    /// Figures of the file system.
    statfs(req: fuse_req_t, ino: fuse_ino_t);
    /// Sets an extended attribute.
    setxattr(req: fuse_req_t, ino: fuse_ino_t, name: *const c_char, value: *const c_char, size: usize, flags: c_int);
    /// Gets an extended attribute.
    getxattr(req: fuse_req_t, ino: fuse_ino_t, name: *const c_char, size: usize);
    /// Lists extended attributes.
    listxattr(req: fuse_req_t, ino: fuse_ino_t, size: usize);
    /// Removes an extended attribute.
    removexattr(req: fuse_req_t, ino: fuse_ino_t, name: *const c_char);
    /// Checks permissions.
    access(req: fuse_req_t, ino: fuse_ino_t, mask: c_int);
    /// Makes and opens a file.
    create(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char, mode: mode_t, fi: *mut fuse_file_info);
    /// Tests for a lock.
    getlk(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, lock: *mut flock);
    /// Takes, changes or drops a lock.
    setlk(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, lock: *mut flock, sleep: c_int);
    /// Maps a block of a file to one of the device.
    bmap(req: fuse_req_t, ino: fuse_ino_t, blocksize: usize, idx: u64);
    /// ioctl(2).
    ioctl(
        req: fuse_req_t, ino: fuse_ino_t, cmd: c_uint, arg: *mut c_void, fi: *mut fuse_file_info, flags: c_uint,
        in_buf: *const c_void, in_bufsz: usize, out_bufsz: usize,
    );
    /// poll(2).
    poll(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, ph: *mut fuse_pollhandle);
    /// Writes, with the data where it is.
    write_buf(req: fuse_req_t, ino: fuse_ino_t, bufv: *mut fuse_bufvec, off: off_t, fi: *mut fuse_file_info);
    /// Data that fuse_lowlevel_notify_retrieve() asked for.
    retrieve_reply(req: fuse_req_t, cookie: *mut c_void, ino: fuse_ino_t, offset: off_t, bufv: *mut fuse_bufvec);
    /// Several forgets.
    forget_multi(req: fuse_req_t, count: usize, forgets: *mut fuse_forget_data);
    /// BSD lock.
    flock(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, op: c_int);
    /// Reserves space.
    fallocate(req: fuse_req_t, ino: fuse_ino_t, mode: c_int, offset: off_t, length: off_t, fi: *mut fuse_file_info);
    /// Reads a directory with attributes.
    readdirplus(req: fuse_req_t, ino: fuse_ino_t, size: usize, off: off_t, fi: *mut fuse_file_info);
    /// Copies a range between files.
    copy_file_range(
        req: fuse_req_t, ino_in: fuse_ino_t, off_in: off_t, fi_in: *mut fuse_file_info, ino_out: fuse_ino_t,
        off_out: off_t, fi_out: *mut fuse_file_info, len: usize, flags: c_int,
    );
    /// Finds data or a hole.
    lseek(req: fuse_req_t, ino: fuse_ino_t, off: off_t, whence: c_int, fi: *mut fuse_file_info);
    /// Makes a file without a name (3.17).
    tmpfile(req: fuse_req_t, parent: fuse_ino_t, mode: mode_t, fi: *mut fuse_file_info);
    /// Attributes as statx sees them (3.18).
    statx(req: fuse_req_t, ino: fuse_ino_t, flags: c_int, mask: c_int, fi: *mut fuse_file_info);
    /// Syncs the file system (3.19).
    syncfs(req: fuse_req_t, ino: fuse_ino_t);
}

/// Flags of entry invalidation.
pub type fuse_notify_entry_flags = c_int;
/// Drop the entry.
pub const FUSE_LL_INVALIDATE: fuse_notify_entry_flags = 0;
/// Let the entry expire at its next use.
pub const FUSE_LL_EXPIRE_ONLY: fuse_notify_entry_flags = 1;
