//! The call of the daemon's callback: the one place where every operation meets its C function.

use super::arguments as args;
use super::opens;
use super::poll::PollHandle;
use super::request::{Pending, finish, refuse, to_c};
use crate::abi::c::common::cap::{
    FUSE_CAP_IOCTL_DIR, FUSE_CAP_NO_OPEN_SUPPORT, FUSE_CAP_NO_OPENDIR_SUPPORT, FUSE_CAP_PASSTHROUGH,
};
use crate::abi::c::common::fuse_file_info;
use crate::abi::c::lowlevel::{fuse_lowlevel_ops, fuse_req_t};
use crate::abi::flags::{FSYNC_FDATASYNC, GETATTR_FH, IOCTL_DIR};
use crate::abi::wire::{ForgetOne, InHeader, Kstatfs};
use crate::decode::{Forgets, Operation, Payload};
use crate::encode;
use crate::session::{EDITION, Session, Token, inflight, payload_buffer};
use core::ffi::c_int;
use core::ptr;
use nix::errno::Errno;
use zerocopy::IntoBytes;

/// Most that the reply to the first form of COPY_FILE_RANGE can count, in bytes: whole pages below 4 GiB.
const COPY_RANGE_MAX: u64 = 0xffff_f000;

/// Who replies where the daemon has no callback.
const IN_PLACE: &str = "a reply in the daemon's place";

/// Calls an operation with the request and what is given; without one the answer is what follows `else`. Looked at first, so
/// that nothing has to be kept over the call.
macro_rules! call {
    ($ops:ident.$operation:ident($req:expr $(, $argument:expr)* $(,)?) else $answer:expr) => {
        match $ops.$operation {
            Some(callback) => callback($req $(, $argument)*),
            None => $answer,
        }
    };
    ($ops:ident.$operation:ident($req:expr $(, $argument:expr)* $(,)?)) => {
        call!($ops.$operation($req $(, $argument)*) else refuse($req, Errno::ENOSYS))
    };
}

/// Calls the callback for `operation`, or answers in its place when the daemon has none.
#[inline(always)] // where the operation is known one of the calls is left
pub fn dispatch(
    ops: &fuse_lowlevel_ops,
    session: &Session,
    token: Token,
    header: &InHeader,
    operation: &Operation<'_>,
) {
    let (req, ino) = (to_c(token), header.nodeid);
    // SAFETY: the functions are the daemon's callbacks, called with the arguments that their contract names: names are
    // NUL-terminated, buffers hold as many bytes as stated, structs are initialised, and all of them outlive the call.
    unsafe {
        use Operation::*;
        match *operation {
            Lookup { name } => call!(ops.lookup(req, ino, name.as_ptr())),
            Forget { nlookup } => call!(ops.forget(req, ino, nlookup) else finish(req)),
            Getattr(arg) => call!(ops.getattr(req, ino, or_null(&mut args::file_of_getattr(arg)))),
            Read(arg) => {
                call!(ops.read(req, ino, arg.size as usize, arg.offset as i64, &mut args::file_of_read(arg)))
            }
            Write { arg, data } => {
                let (off, mut fi) = (arg.offset as i64, args::file_of_write(arg));
                call!(ops.write_buf(req, ino, &mut payload_buffer(&data), off, &mut fi) else match data {
                    Payload::Memory(data) => call!(ops.write(req, ino, data.as_ptr().cast(), data.len(), off, &mut fi)),
                    // It stays there for write_buf only.
                    Payload::Piped(_) => refuse(req, Errno::ENOSYS),
                })
            }
            Readdirplus(arg) => {
                call!(ops.readdirplus(req, ino, arg.size as usize, arg.offset as i64, &mut args::file(arg.fh)))
            }
            BatchForget { entries } => batch_forget(ops, token, entries),
            Setattr(arg) => {
                let (mut st, to_set, mut fi) = args::setattr(arg);
                call!(ops.setattr(req, ino, &mut st, to_set, or_null(&mut fi)))
            }
            Readlink => call!(ops.readlink(req, ino)),
            Symlink { name, target } => call!(ops.symlink(req, target.as_ptr(), ino, name.as_ptr())),
            Mknod { arg, name } => call!(ops.mknod(req, ino, name.as_ptr(), arg.mode, arg.rdev.into())),
            Mkdir { arg, name } => call!(ops.mkdir(req, ino, name.as_ptr(), arg.mode)),
            Unlink { name } => call!(ops.unlink(req, ino, name.as_ptr())),
            Rmdir { name } => call!(ops.rmdir(req, ino, name.as_ptr())),
            Rename { name, newdir, newname, flags } => {
                call!(ops.rename(req, ino, name.as_ptr(), newdir, newname.as_ptr(), flags))
            }
            Link { oldnodeid, newname } => call!(ops.link(req, oldnodeid, ino, newname.as_ptr())),
            Open(arg) => {
                call!(ops.open(req, ino, &mut args::file_with_flags(0, arg.flags)) else opened_without_callback(req, session, FUSE_CAP_NO_OPEN_SUPPORT))
            }
            Statfs => call!(ops.statfs(req, ino) else answer(req, default_statfs().as_bytes())),
            Release(arg) => {
                if session.wants() & FUSE_CAP_PASSTHROUGH != 0 {
                    opens::release_arrived(session, req, header);
                }
                call!(ops.release(req, ino, &mut args::file_of_release(arg)) else answer(req, &[]))
            }
            Fsync(arg) => {
                call!(ops.fsync(req, ino, (arg.fsync_flags & FSYNC_FDATASYNC) as c_int, &mut args::file(arg.fh)))
            }
            Setxattr { name, value, flags, .. } => {
                call!(ops.setxattr(req, ino, name.as_ptr(), value.as_ptr().cast(), value.len(), flags as c_int))
            }
            Getxattr { name, size } => call!(ops.getxattr(req, ino, name.as_ptr(), size as usize)),
            Listxattr { size } => call!(ops.listxattr(req, ino, size as usize)),
            Removexattr { name } => call!(ops.removexattr(req, ino, name.as_ptr())),
            Flush(arg) => call!(ops.flush(req, ino, &mut args::file_of_flush(arg))),
            Opendir(arg) => {
                call!(ops.opendir(req, ino, &mut args::file_with_flags(0, arg.flags)) else opened_without_callback(req, session, FUSE_CAP_NO_OPENDIR_SUPPORT))
            }
            Readdir(arg) => {
                call!(ops.readdir(req, ino, arg.size as usize, arg.offset as i64, &mut args::file(arg.fh)))
            }
            Releasedir(arg) => {
                call!(ops.releasedir(req, ino, &mut args::file_with_flags(arg.fh, arg.flags)) else answer(req, &[]))
            }
            Fsyncdir(arg) => {
                call!(ops.fsyncdir(req, ino, (arg.fsync_flags & FSYNC_FDATASYNC) as c_int, &mut args::file(arg.fh)))
            }
            Getlk(arg) => call!(ops.getlk(req, ino, &mut args::file_of_lock(arg), &mut args::lock(&arg.lk))),
            Setlk { arg, wait } => match args::flock_operation(arg, wait) {
                Some(operation) => call!(ops.flock(req, ino, &mut args::file_of_lock(arg), operation)),
                None => call!(ops.setlk(req, ino, &mut args::file_of_lock(arg), &mut args::lock(&arg.lk), wait.into())),
            },
            Access { mask } => call!(ops.access(req, ino, mask as c_int)),
            Create { arg, name } => {
                call!(ops.create(req, ino, name.as_ptr(), arg.mode, &mut args::file_with_flags(0, arg.flags)))
            }
            Bmap(arg) => call!(ops.bmap(req, ino, arg.blocksize as usize, arg.block)),
            Ioctl { arg, .. } if arg.flags & IOCTL_DIR != 0 && session.wants() & FUSE_CAP_IOCTL_DIR == 0 => {
                refuse(req, Errno::ENOTTY);
            }
            Ioctl { arg, data } => {
                let (user, input) = args::ioctl(arg, data);
                let (mut fi, out_size) = (args::file(arg.fh), arg.out_size as usize);
                call!(ops.ioctl(req, ino, arg.cmd, user, &mut fi, arg.flags, input, data.len(), out_size))
            }
            Poll(arg) => {
                call!(ops.poll(req, ino, &mut args::file_of_poll(arg), PollHandle::for_request(token, arg)))
            }
            Fallocate(arg) => {
                let (mode, offset, length) = (arg.mode as c_int, arg.offset as i64, arg.length as i64);
                call!(ops.fallocate(req, ino, mode, offset, length, &mut args::file(arg.fh)))
            }
            Lseek(arg) => {
                call!(ops.lseek(req, ino, arg.offset as i64, arg.whence as c_int, &mut args::file(arg.fh)))
            }
            CopyFileRange { arg, wide } => {
                let (mut from, mut to) = (args::file(arg.fh_in), args::file(arg.fh_out));
                let (off_in, off_out) = (arg.off_in as i64, arg.off_out as i64);
                let len = if wide { arg.len } else { arg.len.min(COPY_RANGE_MAX) } as usize;
                call!(ops.copy_file_range(
                    req,
                    ino,
                    off_in,
                    &mut from,
                    arg.nodeid_out,
                    off_out,
                    &mut to,
                    len,
                    arg.flags as c_int
                ))
            }
            Syncfs => call!(ops.syncfs(req, ino)),
            Tmpfile(arg) => call!(ops.tmpfile(req, ino, arg.mode, &mut args::file_with_flags(0, arg.flags))),
            Statx(arg) => {
                let mut fi = (arg.getattr_flags & GETATTR_FH != 0).then(|| args::file(arg.fh));
                call!(ops.statx(req, ino, arg.sx_flags as c_int, arg.sx_mask as c_int, or_null(&mut fi)))
            }
            // The session's own business; nobody's.
            Init { .. } | CuseInit(_) | Destroy | Interrupt { .. } | NotifyReply { .. } | Unsupported => {
                refuse(req, Errno::ENOSYS);
            }
        }
    }
}
#[inline]
fn or_null(fi: &mut Option<fuse_file_info>) -> *mut fuse_file_info {
    fi.as_mut().map_or(ptr::null_mut(), ptr::from_mut)
}

/// A batch of forgets, for forget_multi or one by one.
///
/// # Safety
/// As for [`dispatch`]: the table's functions are the daemon's callbacks.
#[inline(never)] // it needs what the others do without
unsafe fn batch_forget(ops: &fuse_lowlevel_ops, token: Token, entries: Forgets<'_>) {
    let req = to_c(token);
    if let Some(forget_multi) = ops.forget_multi {
        let mut forgets = args::forgets(entries);
        // SAFETY: as the caller vouches; the array has as many entries as stated and outlives the call.
        return unsafe { forget_multi(req, forgets.len(), forgets.as_mut_ptr()) };
    }
    if let Some(forget) = ops.forget {
        for ForgetOne { nodeid, nlookup } in entries.iter() {
            // Each callback ends a request of its own.
            let Some(one) = inflight::duplicate(token) else {
                log::error!("out of requests: the kernel's forgets of nodeid {nodeid} and following are lost");
                break;
            };
            // SAFETY: as the caller vouches.
            unsafe { forget(to_c(one), nodeid, nlookup) };
        }
    }
    finish(req);
}

/// open and opendir succeed without a callback, unless the daemon wants the capability `without` that the kernel does
/// without, and expects the library to make use of it.
#[cold]
fn opened_without_callback(req: fuse_req_t, session: &Session, without: u64) {
    if EDITION.declines_opens && session.wants() & without != 0 {
        return refuse(req, Errno::ENOSYS);
    }
    if let Some(pending) = Pending::claim(req, IN_PLACE) {
        // A failure is logged where the reply is sent.
        let _ = pending.reply_open(None, encode::open(&fuse_file_info::default(), 0));
    }
}

fn default_statfs() -> Kstatfs {
    Kstatfs { namelen: 255, bsize: 512, ..Kstatfs::default() }
}

/// Replies in the daemon's place.
#[cold]
fn answer(req: fuse_req_t, payload: &[u8]) {
    if let Some(pending) = Pending::claim(req, IN_PLACE) {
        // A failure is logged where the reply is sent.
        let _ = pending.reply_bytes(payload);
    }
}
