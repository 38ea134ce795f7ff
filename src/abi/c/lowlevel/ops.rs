//! The callbacks of a low-level file system.

use super::{fuse_forget_data, fuse_ino_t, fuse_req_t};
use crate::abi::c::common::{fuse_bufvec, fuse_conn_info, fuse_file_info, fuse_pollhandle};
use core::ffi::{c_char, c_int, c_uint, c_void};
use libc::{dev_t, flock, mode_t, off_t, stat};

/// The callbacks of a low-level file system, given to fuse_session_new().
///
/// They run on the threads of the loop, several at once in a multi-threaded one. Each that gets a `req` owes it one
/// reply, by one of the functions that it names, within the call or later; fuse_reply_err() with a positive errno
/// reports a failure. What is said of errnos names the usual ones only: every errno reaches the caller as it is.
/// Names and buffers that are passed in are valid during the call, and so is `fi`: keep a copy to reply later.
///
/// How a callback may end:
/// - It returns. fuse_session_exit() may be called before; requests that are in callbacks then are still served.
/// - On a worker of fuse_session_loop_mt() it may call pthread_exit(3), or be cancelled once it has enabled that: another
///   worker takes the place, and the request stays the daemon's to answer. Workers cannot be cancelled otherwise.
/// - It must not leave by longjmp(3), nor by an exception of C++: both skip what the library has on the stack, and
///   nothing can be said of the session after that.
/// - It may fork(2). The child is to call exec(3) or _exit(2). It may also answer the request: the first answer counts,
///   the other one is -ENOENT. The data of a write_buf in a pipe can be read once, by either of them. A child that
///   returns serves requests beside its parent, with a copy of the daemon's memory that goes its own way: a log line
///   warns of it. In init of a single-threaded loop that is what daemon(3) does, and the parent has ended. No locks that
///   other threads held are free in the child. What the library counts for the daemon is the parent's: in the child
///   fuse_node_get() and its like, and fuse_passthrough_attach(), fail with ENOTSUP (with a loop of the daemon's own they
///   do not notice, and must not be called). Where passthrough is enabled, the child must not answer open, create, tmpfile
///   or release: the parent would not count that, and the kernel then fails a later open of the inode with EIO. For an
///   entry, get the node before the fork and put it in the parent.
///
/// A member that is NULL has ENOSYS answered for it, unless it says otherwise. Where ENOSYS is said to be remembered,
/// the kernel does not ask again until the file system is mounted anew.
///
/// Members are only ever added at the end: the library looks at no more of the struct than the `op_size` it is given.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct fuse_lowlevel_ops {
    /// The session starts: the kernel's first request, before every other callback. Change in `conn` what is to be
    /// different from the library's choice; options of the command line win over both. The kernel can be notified from
    /// here on.
    ///
    /// - `userdata`: what fuse_session_new() was given.
    /// - `conn`: what is offered and what will be asked for. It lasts as long as the session, and says what came of the
    ///   negotiation from the kernel's next request on; changing it then changes nothing.
    pub init: Option<unsafe extern "C" fn(userdata: *mut c_void, conn: *mut fuse_conn_info)>,
    /// The session ends: after the last callback, when the file system is unmounted or the session destroyed. The
    /// connection may be gone, so notifications may fail. Inodes may be left that no forget came for.
    ///
    /// - `userdata`: what fuse_session_new() was given.
    pub destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    /// Finds `name` in the directory `parent`. Each answer with a node id counts as one lookup of that inode, until
    /// forget takes it back. For a name that does not exist, answer ENOENT, or an entry with `ino` 0 to have the
    /// absence cached.
    ///
    /// Replies: fuse_reply_entry, fuse_reply_err. Errnos: ENOENT.
    pub lookup: Option<unsafe extern "C" fn(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char)>,
    /// The kernel drops `nlookup` of its lookups of `ino`. When the sum of all lookups that were answered (lookup, the
    /// callbacks that make an inode, the entries of readdirplus) has been taken back, the node id is free. Until then
    /// requests for the inode may come, even after its last name was removed: unlink, rmdir and rename must keep an
    /// inode that is still known.
    ///
    /// At unmount all lookups are void, and forgets may or may not come for them.
    ///
    /// Replies: fuse_reply_none.
    pub forget: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, nlookup: u64)>,
    /// Attributes of `ino`. With FUSE_CAP_WRITEBACK_CACHE the kernel keeps its own size and modification time for
    /// regular files.
    ///
    /// - `fi`: the open file, when the question comes through one; otherwise NULL. Only `fh` is set.
    ///
    /// Replies: fuse_reply_attr, fuse_reply_err.
    pub getattr: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info)>,
    /// Changes the attributes of `ino` that `to_set` names (chmod, chown, truncate, utimensat) and answers with all of
    /// them. A change of size or owner also has to clear set-user-id and set-group-id where FUSE_CAP_HANDLE_KILLPRIV is
    /// wanted. The kernel never calls this only because a file was read or written, unless FUSE_CAP_WRITEBACK_CACHE is
    /// on: timestamps are the file system's business.
    ///
    /// - `attr`: the new values; members that `to_set` does not name are undefined.
    /// - `to_set`: FUSE_SET_ATTR_MODE, _UID, _GID, _SIZE, _ATIME, _MTIME, _CTIME, _ATIME_NOW, _MTIME_NOW, _KILL_SUID
    ///   and _KILL_SGID, or-ed.
    /// - `fi`: the open file for ftruncate(2) and its like, otherwise NULL. Only `fh` is set.
    ///
    /// Replies: fuse_reply_attr, fuse_reply_err. Errnos: EPERM, EFBIG, ENOSPC.
    pub setattr: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, attr: *mut stat, to_set: c_int, fi: *mut fuse_file_info),
    >,
    /// Target of the symbolic link `ino`.
    ///
    /// Replies: fuse_reply_readlink, fuse_reply_err. Errnos: EINVAL.
    pub readlink: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t)>,
    /// Makes a regular file, device, FIFO or socket. The answer counts as one lookup.
    ///
    /// - `mode`: type and permissions; the umask has been applied unless FUSE_CAP_DONT_MASK is on.
    /// - `rdev`: device number, for devices.
    ///
    /// Replies: fuse_reply_entry, fuse_reply_err. Errnos: EEXIST, ENOSPC, EPERM.
    pub mknod: Option<
        unsafe extern "C" fn(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char, mode: mode_t, rdev: dev_t),
    >,
    /// Makes a directory. The answer counts as one lookup.
    ///
    /// - `mode`: permissions without a type; the umask has been applied unless FUSE_CAP_DONT_MASK is on.
    ///
    /// Replies: fuse_reply_entry, fuse_reply_err. Errnos: EEXIST, ENOSPC, EMLINK.
    pub mkdir: Option<unsafe extern "C" fn(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char, mode: mode_t)>,
    /// Removes a name that is not a directory's. An inode that has lookups left stays until forget. Answer 0 or an
    /// errno.
    ///
    /// Replies: fuse_reply_err.
    pub unlink: Option<unsafe extern "C" fn(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char)>,
    /// Removes an empty directory. An inode that has lookups left stays until forget. Answer 0 or an errno.
    ///
    /// Replies: fuse_reply_err. Errnos: ENOTEMPTY.
    pub rmdir: Option<unsafe extern "C" fn(req: fuse_req_t, parent: fuse_ino_t, name: *const c_char)>,
    /// Makes a symbolic link with the target `link` and the name `name`. The answer counts as one lookup.
    ///
    /// Replies: fuse_reply_entry, fuse_reply_err. Errnos: EEXIST, ENOSPC.
    pub symlink:
        Option<unsafe extern "C" fn(req: fuse_req_t, link: *const c_char, parent: fuse_ino_t, name: *const c_char)>,
    /// Moves `name` of `parent` to `newname` of `newparent`. What had the new name before is replaced in one step, and
    /// stays as long as it has lookups. Answer 0 or an errno.
    ///
    /// - `flags`: 0, RENAME_NOREPLACE (fail with EEXIST where the new name exists) or RENAME_EXCHANGE (swap the two,
    ///   both must exist), see renameat2(2).
    ///
    /// ENOSYS is remembered: renames with flags then fail with EINVAL.
    ///
    /// Replies: fuse_reply_err. Errnos: EINVAL for flags that are not supported, EEXIST, ENOTEMPTY.
    pub rename: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            parent: fuse_ino_t,
            name: *const c_char,
            newparent: fuse_ino_t,
            newname: *const c_char,
            flags: c_uint,
        ),
    >,
    /// Gives `ino` a further name. The answer counts as one lookup.
    ///
    /// Replies: fuse_reply_entry, fuse_reply_err. Errnos: EEXIST, EMLINK, EPERM.
    pub link:
        Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, newparent: fuse_ino_t, newname: *const c_char)>,
    /// Opens a file. `fi->flags` has the flags of open(2) without O_CREAT, O_EXCL and O_NOCTTY, which the kernel deals
    /// with, and without O_TRUNC unless FUSE_CAP_ATOMIC_O_TRUNC is on. Whether the access mode is permitted is for the
    /// file system to check unless it is mounted with `default_permissions`.
    ///
    /// Store a handle of your own in `fi->fh`, and set direct_io, keep_cache, nonseekable, noflush,
    /// parallel_direct_writes or backing_id there.
    ///
    /// With FUSE_CAP_WRITEBACK_CACHE, reads may come for a file that was opened write-only, and O_APPEND is to be
    /// ignored: the kernel knows where the end is. Without it, O_APPEND is the file system's to honour.
    ///
    /// If the answer does not reach the kernel because the open was interrupted, no release comes: fuse_reply_open()
    /// then returns -ENOENT. NULL succeeds, with `fh` 0.
    ///
    /// Replies: fuse_reply_open, fuse_reply_err. Errnos: EACCES; ENOSYS as FUSE_CAP_NO_OPEN_SUPPORT says.
    pub open: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info)>,
    /// Reads `size` bytes at `off`. Fewer mean end of file, and the kernel shows zeros for the rest; only with
    /// direct_io does a short answer reach the caller as it is.
    ///
    /// Replies: fuse_reply_buf, fuse_reply_data, fuse_reply_iov, fuse_reply_err. Errnos: EIO.
    pub read: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, size: usize, off: off_t, fi: *mut fuse_file_info),
    >,
    /// Writes `size` bytes at `off` and answers how many. Fewer than all is an error for the caller unless direct_io
    /// is set. With FUSE_CAP_HANDLE_KILLPRIV, set-user-id and set-group-id are to be cleared. Not called where
    /// write_buf is set.
    ///
    /// - `buf`: the data, valid during the call.
    ///
    /// Replies: fuse_reply_write, fuse_reply_err. Errnos: ENOSPC, EFBIG, EDQUOT, EIO.
    pub write: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            ino: fuse_ino_t,
            buf: *const c_char,
            size: usize,
            off: off_t,
            fi: *mut fuse_file_info,
        ),
    >,
    /// A descriptor of the file is closed: the last chance to tell close(2) of an error. It comes once for each
    /// descriptor that dup(2) or fork(2) made, so it is not the end of the file, and some ways to end a process skip
    /// it. Where locks are kept here, drop those of `fi->lock_owner`. Answer 0 or an errno.
    ///
    /// ENOSYS is remembered: close(2) then succeeds without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: EIO, ENOSPC, EDQUOT.
    pub flush: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info)>,
    /// The last descriptor and mapping of an open file are gone: one call for each open. Nobody waits for it, and the
    /// error that is answered reaches nobody. `fi->flags` is what open was given; see `flush` and `flock_release` of
    /// struct fuse_file_info. NULL succeeds.
    ///
    /// Replies: fuse_reply_err.
    pub release: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info)>,
    /// Brings what was written to the file to stable storage. Answer 0 or an errno.
    ///
    /// - `datasync`: not 0 for fdatasync(2): attributes that are not needed to read the data may wait.
    ///
    /// ENOSYS is remembered: fsync(2) then succeeds without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: EIO, ENOSPC.
    pub fsync: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, datasync: c_int, fi: *mut fuse_file_info)>,
    /// Opens a directory for reading. Store a handle of your own in `fi->fh`, and set keep_cache or cache_readdir
    /// there. If the answer does not reach the kernel, no releasedir comes: fuse_reply_open() then returns -ENOENT.
    /// NULL succeeds, with `fh` 0.
    ///
    /// Replies: fuse_reply_open, fuse_reply_err. Errnos: EACCES, ENOTDIR; ENOSYS as FUSE_CAP_NO_OPENDIR_SUPPORT says.
    pub opendir: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info)>,
    /// Reads entries of a directory into at most `size` bytes, made with fuse_add_direntry(). An empty answer is the
    /// end. No lookups are counted.
    ///
    /// - `off`: 0 at the start, then the offset that was given with an earlier entry: go on behind it. An entry that
    ///   was there all along between opendir and the end must come exactly once; for others either is fine. Offsets
    ///   that stay valid when entries come and go (not a mere index) are what telldir(3) needs.
    ///
    /// Replies: fuse_reply_buf, fuse_reply_data, fuse_reply_iov, fuse_reply_err.
    pub readdir: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, size: usize, off: off_t, fi: *mut fuse_file_info),
    >,
    /// The last descriptor of an open directory is gone: one call for each opendir. NULL succeeds.
    ///
    /// Replies: fuse_reply_err.
    pub releasedir: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info)>,
    /// Brings the entries of a directory to stable storage. Answer 0 or an errno.
    ///
    /// - `datasync`: not 0 for fdatasync(2).
    ///
    /// ENOSYS is remembered: fsync(2) of directories then succeeds without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: EIO.
    pub fsyncdir:
        Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, datasync: c_int, fi: *mut fuse_file_info)>,
    /// Figures of the file system (statvfs(3)). NULL answers names of up to 255 bytes, blocks of 512 bytes, and zeros.
    ///
    /// - `ino`: the inode that was asked about, or 0.
    ///
    /// Replies: fuse_reply_statfs, fuse_reply_err.
    pub statfs: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t)>,
    /// Sets the extended attribute `name` to the `size` bytes at `value`, which may contain any byte. Answer 0 or an
    /// errno.
    ///
    /// - `flags`: 0, XATTR_CREATE (fail with EEXIST where it exists) or XATTR_REPLACE (fail with ENODATA where it does
    ///   not), see setxattr(2).
    ///
    /// ENOSYS is remembered: setting then fails with EOPNOTSUPP without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: EEXIST, ENODATA, ENOSPC, ENOTSUP.
    pub setxattr: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            ino: fuse_ino_t,
            name: *const c_char,
            value: *const c_char,
            size: usize,
            flags: c_int,
        ),
    >,
    /// Value of the extended attribute `name`. With `size` 0 the question is how long it is: answer with
    /// fuse_reply_xattr(). Otherwise answer the value, or ERANGE where it is longer than `size`.
    ///
    /// ENOSYS is remembered: reading then fails with EOPNOTSUPP without asking.
    ///
    /// Replies: fuse_reply_buf, fuse_reply_data, fuse_reply_xattr, fuse_reply_err. Errnos: ENODATA, ERANGE.
    pub getxattr: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, name: *const c_char, size: usize)>,
    /// Names of all extended attributes, each with a NUL behind it. With `size` 0 the question is how long they are
    /// together: answer with fuse_reply_xattr(). Otherwise answer the names, or ERANGE where they are longer than
    /// `size`.
    ///
    /// ENOSYS is remembered: listing then fails with EOPNOTSUPP without asking.
    ///
    /// Replies: fuse_reply_buf, fuse_reply_data, fuse_reply_xattr, fuse_reply_err. Errnos: ERANGE.
    pub listxattr: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, size: usize)>,
    /// Removes the extended attribute `name`. Answer 0 or an errno.
    ///
    /// ENOSYS is remembered: removing then fails with EOPNOTSUPP without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: ENODATA.
    pub removexattr: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, name: *const c_char)>,
    /// Whether the caller may do what `mask` says (R_OK, W_OK, X_OK or-ed, or F_OK): comes for access(2), chdir(2) and
    /// their like, never with `default_permissions`. Answer 0 or an errno.
    ///
    /// ENOSYS is remembered: everything is then permitted without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: EACCES.
    pub access: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, mask: c_int)>,
    /// Makes a regular file and opens it, in one step. All that open says of `fi` holds, and all that mknod says of
    /// `mode`. The answer counts as one lookup. If it does not reach the kernel, no release comes: fuse_reply_create()
    /// then returns -ENOENT.
    ///
    /// ENOSYS is remembered: mknod and open are then called one after the other.
    ///
    /// Replies: fuse_reply_create, fuse_reply_err. Errnos: EEXIST, ENOSPC, EACCES.
    pub create: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            parent: fuse_ino_t,
            name: *const c_char,
            mode: mode_t,
            fi: *mut fuse_file_info,
        ),
    >,
    /// Whether the lock `lock` could be taken (F_GETLK of fcntl(2)): answer the lock that is in the way, with its
    /// owner's pid, or `lock` with the type F_UNLCK. Needs FUSE_CAP_POSIX_LOCKS.
    ///
    /// - `fi`: `fh` and `lock_owner`.
    ///
    /// Replies: fuse_reply_lock, fuse_reply_err.
    pub getlk:
        Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, lock: *mut flock)>,
    /// Takes, changes or drops a record lock (F_SETLK and F_SETLKW of fcntl(2)) of the owner `fi->lock_owner`; `lock`
    /// carries the pid for information only. Needs FUSE_CAP_POSIX_LOCKS. Answer 0 or an errno.
    ///
    /// - `sleep`: not 0 to wait for the lock; answer once it is there, or EINTR when the request was interrupted.
    ///
    /// Replies: fuse_reply_err. Errnos: EAGAIN, EINTR, EDEADLK.
    pub setlk: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, lock: *mut flock, sleep: c_int),
    >,
    /// Block of the device on which block `idx` of a file lies, in blocks of `blocksize` bytes. Only for file systems
    /// on a block device (mounted with `blkdev`).
    ///
    /// ENOSYS is remembered.
    ///
    /// Replies: fuse_reply_bmap, fuse_reply_err.
    pub bmap: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, blocksize: usize, idx: u64)>,
    /// ioctl(2) on a file or, with FUSE_CAP_IOCTL_DIR, a directory. The kernel has fetched what the number `cmd` says
    /// is input, and stores what is answered.
    ///
    /// - `cmd`: the request number; an int before API version 35.
    /// - `arg`: the third argument as a number; the memory is the caller's and must not be touched.
    /// - `flags`: FUSE_IOCTL_COMPAT, FUSE_IOCTL_DIR, FUSE_IOCTL_UNRESTRICTED, or-ed.
    /// - `in_buf`: `in_bufsz` bytes of input, valid during the call.
    /// - `out_bufsz`: the most that may be answered.
    ///
    /// Replies: fuse_reply_ioctl, fuse_reply_ioctl_iov, fuse_reply_ioctl_retry (CUSE only), fuse_reply_err. Errnos:
    /// ENOTTY.
    pub ioctl: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            ino: fuse_ino_t,
            cmd: c_uint,
            arg: *mut c_void,
            fi: *mut fuse_file_info,
            flags: c_uint,
            in_buf: *const c_void,
            in_bufsz: usize,
            out_bufsz: usize,
        ),
    >,
    /// Which events are there now (poll(2)); `fi->poll_events` are those asked for.
    ///
    /// - `ph`: NULL, or a handle that is the file system's from now on. Call fuse_lowlevel_notify_poll() with it when
    ///   something has happened since, and free it with fuse_pollhandle_destroy(). A newer handle of the same file
    ///   takes the place of an older one.
    ///
    /// ENOSYS is remembered: files then are always ready to be read and written.
    ///
    /// Replies: fuse_reply_poll, fuse_reply_err.
    pub poll: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, ph: *mut fuse_pollhandle),
    >,
    /// As write, which it is called in place of, with the data where it is: in memory or, where requests are spliced,
    /// in a pipe. fuse_buf_copy() takes it from there; fuse_buf_size() says how much it is. The buffers are valid
    /// during the call.
    ///
    /// Replies: fuse_reply_write, fuse_reply_err. Errnos: ENOSPC, EFBIG, EDQUOT, EIO.
    pub write_buf: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            ino: fuse_ino_t,
            bufv: *mut fuse_bufvec,
            off: off_t,
            fi: *mut fuse_file_info,
        ),
    >,
    /// The data that fuse_lowlevel_notify_retrieve() asked for: what the page cache holds of it from `offset` on,
    /// possibly less or nothing.
    ///
    /// - `cookie`: what was given to fuse_lowlevel_notify_retrieve().
    /// - `bufv`: the data, valid during the call.
    ///
    /// Replies: fuse_reply_none.
    pub retrieve_reply: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            cookie: *mut c_void,
            ino: fuse_ino_t,
            offset: off_t,
            bufv: *mut fuse_bufvec,
        ),
    >,
    /// Several forgets at once: `count` of them at `forgets`, valid during the call. NULL calls forget for each.
    ///
    /// Replies: fuse_reply_none.
    pub forget_multi: Option<unsafe extern "C" fn(req: fuse_req_t, count: usize, forgets: *mut fuse_forget_data)>,
    /// flock(2) lock of the owner `fi->lock_owner`. Needs FUSE_CAP_FLOCK_LOCKS. It is dropped by a release with
    /// `flock_release`. Answer 0 or an errno.
    ///
    /// - `op`: LOCK_SH, LOCK_EX or LOCK_UN, with LOCK_NB or-ed where it must not wait.
    ///
    /// Replies: fuse_reply_err. Errnos: EWOULDBLOCK, EINTR.
    pub flock: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, fi: *mut fuse_file_info, op: c_int)>,
    /// Reserves or frees space, as fallocate(2) says of `mode`. Answer 0 or an errno.
    ///
    /// ENOSYS is remembered: fallocate(2) then fails with EOPNOTSUPP without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: ENOSPC, EFBIG, EOPNOTSUPP for a mode that is not supported.
    pub fallocate: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            ino: fuse_ino_t,
            mode: c_int,
            offset: off_t,
            length: off_t,
            fi: *mut fuse_file_info,
        ),
    >,
    /// As readdir, with entries made by fuse_add_direntry_plus(): each entry but "." and ".." that the kernel gets
    /// counts as one lookup of its inode. Needs FUSE_CAP_READDIRPLUS. An entry with `ino` 0 brings no attributes and
    /// counts no lookup.
    ///
    /// Replies: fuse_reply_buf, fuse_reply_data, fuse_reply_iov, fuse_reply_err.
    pub readdirplus: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, size: usize, off: off_t, fi: *mut fuse_file_info),
    >,
    /// Copies `len` bytes at `off_in` of one open file to `off_out` of another, or the same, without moving them
    /// through the kernel, and answers how many. `flags` is 0. Since 3.4.
    ///
    /// ENOSYS is remembered: the kernel then copies by reading and writing, or fails with EOPNOTSUPP.
    ///
    /// Replies: fuse_reply_write, fuse_reply_err. Errnos: EXDEV, ENOSPC.
    pub copy_file_range: Option<
        unsafe extern "C" fn(
            req: fuse_req_t,
            ino_in: fuse_ino_t,
            off_in: off_t,
            fi_in: *mut fuse_file_info,
            ino_out: fuse_ino_t,
            off_out: off_t,
            fi_out: *mut fuse_file_info,
            len: usize,
            flags: c_int,
        ),
    >,
    /// Where the next data or the next hole at or behind `off` starts; ENXIO when there is none. Since 3.8.
    ///
    /// - `whence`: SEEK_DATA or SEEK_HOLE; the kernel deals with the others.
    ///
    /// ENOSYS is remembered: files then are all data.
    ///
    /// Replies: fuse_reply_lseek, fuse_reply_err. Errnos: ENXIO.
    pub lseek: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, off: off_t, whence: c_int, fi: *mut fuse_file_info),
    >,
    /// Makes a regular file without a name and opens it (O_TMPFILE of open(2)); link may give it one later. Otherwise
    /// as create. Since 3.17 (Linux 6.2).
    ///
    /// ENOSYS is remembered: O_TMPFILE then fails with EOPNOTSUPP without asking.
    ///
    /// Replies: fuse_reply_create, fuse_reply_err. Errnos: EOPNOTSUPP.
    pub tmpfile:
        Option<unsafe extern "C" fn(req: fuse_req_t, parent: fuse_ino_t, mode: mode_t, fi: *mut fuse_file_info)>,
    /// Attributes beyond those of getattr, such as the birth time (statx(2)). Since 3.18 (Linux 6.6).
    ///
    /// - `flags`: AT_STATX_FORCE_SYNC or AT_STATX_DONT_SYNC.
    /// - `mask`: the STATX_ fields that are asked for; others may be answered too.
    /// - `fi`: the open file, when the question comes through one; otherwise NULL. Only `fh` is set.
    ///
    /// ENOSYS is remembered: getattr is then called instead.
    ///
    /// Replies: fuse_reply_statx, fuse_reply_err.
    pub statx: Option<
        unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t, flags: c_int, mask: c_int, fi: *mut fuse_file_info),
    >,
    /// Brings everything to stable storage (syncfs(2), and sync(2) as far as the kernel passes it on). The kernel only
    /// asks daemons that it trusts: block device mounts (Linux 6.18) and virtiofs. Answer 0 or an errno. Since 3.19.
    ///
    /// ENOSYS is remembered: syncfs(2) then succeeds without asking.
    ///
    /// Replies: fuse_reply_err. Errnos: EIO, ENOSPC.
    pub syncfs: Option<unsafe extern "C" fn(req: fuse_req_t, ino: fuse_ino_t)>,
}
