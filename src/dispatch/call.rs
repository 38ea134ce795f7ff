//! The call of the daemon's callback: the one place where every operation meets its C function.

use super::arguments as args;
use super::opens;
use super::poll::PollHandle;
use super::request::{Pending, finish, refuse, to_c};
use crate::abi::c::common::cap::{FUSE_CAP_IOCTL_DIR, FUSE_CAP_NO_OPEN_SUPPORT, FUSE_CAP_NO_OPENDIR_SUPPORT};
use crate::abi::c::common::fuse_file_info;
use crate::abi::c::lowlevel::{fuse_lowlevel_ops, fuse_req_t};
use crate::abi::flags::{FSYNC_FDATASYNC, GETATTR_FH, IOCTL_DIR};
use crate::abi::wire::{ForgetOne, Kstatfs};
use crate::decode::{Forgets, Operation, Payload};
use crate::encode;
use crate::session::{Call, inflight, payload_buffer};
use core::ffi::c_int;
use core::ptr;
use nix::errno::Errno;
use std::io::IoSlice;
use zerocopy::IntoBytes;

/// Most that the reply to the first form of COPY_FILE_RANGE can count, in bytes: whole pages below 4 GiB.
const COPY_RANGE_MAX: u64 = 0xffff_f000;

/// Who replies where the daemon has no callback.
const IN_PLACE: &str = "a reply in the daemon's place";

/// Calls the callback for `call`, or answers in its place when the daemon has none.
pub fn dispatch(ops: &fuse_lowlevel_ops, call: &Call<'_>) {
    let req = to_c(call.token);
    let ino = call.header.nodeid;
    /// Calls an operation with the request and what is given, and says whether there is one.
    macro_rules! call {
        ($operation:ident $(, $argument:expr)*) => {
            match ops.$operation {
                Some(callback) => {
                    callback(req $(, $argument)*);
                    true
                }
                None => false,
            }
        };
    }
    // SAFETY: the functions are the daemon's callbacks, called with the arguments that their contract names: names are
    // NUL-terminated, buffers hold as many bytes as stated, structs are initialised, and all of them outlive the call.
    let called = unsafe {
        use Operation::*;
        match *call.operation {
            Lookup { name } => call!(lookup, ino, name.as_ptr()),
            Forget { nlookup } => call!(forget, ino, nlookup) || finish(req),
            BatchForget { entries } => batch_forget(ops, req, entries, call),
            Getattr { fh } => call!(getattr, ino, or_null(&mut fh.map(args::file))),
            Setattr(ref arg) => {
                let (mut st, to_set, mut fi) = args::setattr(arg);
                call!(setattr, ino, &mut st, to_set, or_null(&mut fi))
            }
            Readlink => call!(readlink, ino),
            Symlink { name, target } => call!(symlink, target.as_ptr(), ino, name.as_ptr()),
            Mknod { name, mode, rdev, .. } => call!(mknod, ino, name.as_ptr(), mode, rdev.into()),
            Mkdir { name, mode, .. } => call!(mkdir, ino, name.as_ptr(), mode),
            Unlink { name } => call!(unlink, ino, name.as_ptr()),
            Rmdir { name } => call!(rmdir, ino, name.as_ptr()),
            Rename { name, newdir, newname, flags } => {
                call!(rename, ino, name.as_ptr(), newdir, newname.as_ptr(), flags)
            }
            Link { oldnodeid, newname } => call!(link, oldnodeid, ino, newname.as_ptr()),
            Open(ref arg) => {
                call!(open, ino, &mut args::file_with_flags(0, arg.flags))
                    || opened_without_callback(req, call.wants & FUSE_CAP_NO_OPEN_SUPPORT)
            }
            Read(ref arg) => {
                call!(read, ino, arg.size as usize, arg.offset as i64, &mut args::file_of_read(arg))
            }
            Write { ref arg, data } => {
                let (off, mut fi) = (arg.offset as i64, args::file_of_write(arg));
                call!(write_buf, ino, &mut payload_buffer(&data), off, &mut fi)
                    // What stays in the pipe does so for write_buf.
                    || matches!(data, Payload::Memory(data)
                        if call!(write, ino, data.as_ptr().cast(), data.len(), off, &mut fi))
            }
            Statfs => call!(statfs, ino) || answer(req, default_statfs().as_bytes()),
            Release(ref arg) => {
                opens::release_arrived(call, req);
                call!(release, ino, &mut args::file_of_release(arg)) || answer(req, &[])
            }
            Fsync(ref arg) => {
                call!(fsync, ino, (arg.fsync_flags & FSYNC_FDATASYNC) as c_int, &mut args::file(arg.fh))
            }
            Setxattr { name, value, flags, .. } => {
                call!(setxattr, ino, name.as_ptr(), value.as_ptr().cast(), value.len(), flags as c_int)
            }
            Getxattr { name, size } => call!(getxattr, ino, name.as_ptr(), size as usize),
            Listxattr { size } => call!(listxattr, ino, size as usize),
            Removexattr { name } => call!(removexattr, ino, name.as_ptr()),
            Flush(ref arg) => call!(flush, ino, &mut args::file_of_flush(arg)),
            Opendir(ref arg) => {
                call!(opendir, ino, &mut args::file_with_flags(0, arg.flags))
                    || opened_without_callback(req, call.wants & FUSE_CAP_NO_OPENDIR_SUPPORT)
            }
            Readdir(ref arg) => {
                call!(readdir, ino, arg.size as usize, arg.offset as i64, &mut args::file(arg.fh))
            }
            Readdirplus(ref arg) => {
                call!(readdirplus, ino, arg.size as usize, arg.offset as i64, &mut args::file(arg.fh))
            }
            Releasedir(ref arg) => {
                call!(releasedir, ino, &mut args::file_with_flags(arg.fh, arg.flags)) || answer(req, &[])
            }
            Fsyncdir(ref arg) => {
                call!(fsyncdir, ino, (arg.fsync_flags & FSYNC_FDATASYNC) as c_int, &mut args::file(arg.fh))
            }
            Getlk(ref arg) => call!(getlk, ino, &mut args::file_of_lock(arg), &mut args::lock(&arg.lk)),
            Setlk { ref arg, wait } => match args::flock_operation(arg, wait) {
                Some(operation) => call!(flock, ino, &mut args::file_of_lock(arg), operation),
                None => call!(setlk, ino, &mut args::file_of_lock(arg), &mut args::lock(&arg.lk), wait.into()),
            },
            Access { mask } => call!(access, ino, mask as c_int),
            Create { ref arg, name } => {
                call!(create, ino, name.as_ptr(), arg.mode, &mut args::file_with_flags(0, arg.flags))
            }
            Bmap(ref arg) => call!(bmap, ino, arg.blocksize as usize, arg.block),
            Ioctl { ref arg, .. } if arg.flags & IOCTL_DIR != 0 && call.wants & FUSE_CAP_IOCTL_DIR == 0 => {
                return refuse(req, Errno::ENOTTY);
            }
            Ioctl { ref arg, data } => {
                let (user, input) = args::ioctl(arg, data);
                let (mut fi, out_size) = (args::file(arg.fh), arg.out_size as usize);
                call!(ioctl, ino, arg.cmd, user, &mut fi, arg.flags, input, data.len(), out_size)
            }
            Poll(ref arg) => {
                call!(poll, ino, &mut args::file_of_poll(arg), PollHandle::for_request(call.token, arg))
            }
            Fallocate(ref arg) => {
                let (mode, offset, length) = (arg.mode as c_int, arg.offset as i64, arg.length as i64);
                call!(fallocate, ino, mode, offset, length, &mut args::file(arg.fh))
            }
            Lseek(ref arg) => {
                call!(lseek, ino, arg.offset as i64, arg.whence as c_int, &mut args::file(arg.fh))
            }
            CopyFileRange { ref arg, wide } => {
                let (mut from, mut to) = (args::file(arg.fh_in), args::file(arg.fh_out));
                let (off_in, off_out) = (arg.off_in as i64, arg.off_out as i64);
                let len = if wide { arg.len } else { arg.len.min(COPY_RANGE_MAX) } as usize;
                call!(
                    copy_file_range,
                    ino,
                    off_in,
                    &mut from,
                    arg.nodeid_out,
                    off_out,
                    &mut to,
                    len,
                    arg.flags as c_int
                )
            }
            Syncfs => call!(syncfs, ino),
            Tmpfile(ref arg) => call!(tmpfile, ino, arg.mode, &mut args::file_with_flags(0, arg.flags)),
            Statx(ref arg) => {
                let mut fi = (arg.getattr_flags & GETATTR_FH != 0).then(|| args::file(arg.fh));
                call!(statx, ino, arg.sx_flags as c_int, arg.sx_mask as c_int, or_null(&mut fi))
            }
            // The session's own business, or nobody's.
            Init { .. } | CuseInit(_) | Destroy | Interrupt { .. } | NotifyReply { .. } | Unsupported => false,
        }
    };
    if !called {
        refuse(req, Errno::ENOSYS);
    }
}

fn or_null(fi: &mut Option<fuse_file_info>) -> *mut fuse_file_info {
    fi.as_mut().map_or(ptr::null_mut(), ptr::from_mut)
}

/// A batch of forgets, for forget_multi or one by one. True: nothing is left to be done.
///
/// # Safety
/// As for [`dispatch`]: the table's functions are the daemon's callbacks.
unsafe fn batch_forget(ops: &fuse_lowlevel_ops, req: fuse_req_t, entries: Forgets<'_>, call: &Call<'_>) -> bool {
    if let Some(forget_multi) = ops.forget_multi {
        let mut forgets = args::forgets(entries);
        // SAFETY: as the caller vouches; the array has as many entries as stated and outlives the call.
        unsafe { forget_multi(req, forgets.len(), forgets.as_mut_ptr()) };
        return true;
    }
    if let Some(forget) = ops.forget {
        for ForgetOne { nodeid, nlookup } in entries.iter() {
            // Each callback ends a request of its own.
            let Some(one) = inflight::duplicate(call.token) else {
                log::error!("out of requests: the kernel's forgets of nodeid {nodeid} and following are lost");
                break;
            };
            // SAFETY: as the caller vouches.
            unsafe { forget(to_c(one), nodeid, nlookup) };
        }
    }
    finish(req)
}

/// open and opendir succeed without a callback, unless the daemon wants the capability that the kernel does without.
fn opened_without_callback(req: fuse_req_t, kernel_does_without: u64) -> bool {
    if kernel_does_without != 0 {
        return false;
    }
    if let Some(pending) = Pending::claim(req, IN_PLACE) {
        // A failure is logged where the reply is sent.
        let _ = pending.reply_open(None, encode::open(&fuse_file_info::default(), 0));
    }
    true
}

fn default_statfs() -> Kstatfs {
    Kstatfs { namelen: 255, bsize: 512, ..Kstatfs::default() }
}

/// Replies in the daemon's place. True: a failure is logged where the reply is sent, and nothing is left to be done.
fn answer(req: fuse_req_t, payload: &[u8]) -> bool {
    if let Some(pending) = Pending::claim(req, IN_PLACE) {
        let _ = pending.reply(0, &[IoSlice::new(payload)]);
    }
    true
}
