//! The call of the daemon's callback: the one place where every operation meets its C function.

use super::arguments as args;
use super::poll::PollHandle;
use super::request::{Pending, refuse, to_c};
use crate::abi::c::common::cap::{FUSE_CAP_IOCTL_DIR, FUSE_CAP_NO_OPEN_SUPPORT, FUSE_CAP_NO_OPENDIR_SUPPORT};
use crate::abi::c::common::fuse_file_info;
use crate::abi::c::lowlevel::{fuse_lowlevel_ops, fuse_req_t};
use crate::abi::flags::{FSYNC_FDATASYNC, GETATTR_FH, IOCTL_DIR, POLL_SCHEDULE_NOTIFY};
use crate::abi::wire::{ForgetOne, Kstatfs};
use crate::decode::{Forgets, Operation};
use crate::encode;
use crate::session::{Call, inflight, memory_buffer};
use core::ffi::{c_int, c_void};
use core::ptr;
use nix::errno::Errno;
use std::io::IoSlice;
use zerocopy::IntoBytes;

/// Most that the reply to the first form of COPY_FILE_RANGE can count, in bytes: whole pages below 4 GiB.
const COPY_RANGE_MAX: u64 = 0xffff_f000;

/// Calls the callback for `call`, or answers in its place when the daemon has none.
pub fn dispatch(ops: &fuse_lowlevel_ops, call: &Call<'_>) {
    let req = to_c(call.token);
    let ino = call.header.nodeid;
    // SAFETY: the functions are the daemon's callbacks, called with the arguments that their contract names: names are
    // NUL-terminated, buffers hold as many bytes as stated, structs are initialised, and all of them outlive the call.
    let called = unsafe {
        use Operation::*;
        match *call.operation {
            Lookup { name } => ops.lookup.map(|f| f(req, ino, name.as_ptr())),
            Forget { nlookup } => Some(match ops.forget {
                Some(f) => f(req, ino, nlookup),
                None => refuse(req, None),
            }),
            BatchForget { entries } => Some(batch_forget(ops, req, entries, call)),
            Getattr { fh } => ops.getattr.map(|f| {
                let mut fi = fh.map(args::file);
                f(req, ino, or_null(&mut fi))
            }),
            Setattr(ref arg) => ops.setattr.map(|f| {
                let (mut st, to_set, mut fi) = args::setattr(arg);
                f(req, ino, &mut st, to_set, or_null(&mut fi))
            }),
            Readlink => ops.readlink.map(|f| f(req, ino)),
            Symlink { name, target } => ops.symlink.map(|f| f(req, target.as_ptr(), ino, name.as_ptr())),
            Mknod { name, mode, rdev, .. } => ops.mknod.map(|f| f(req, ino, name.as_ptr(), mode, rdev.into())),
            Mkdir { name, mode, .. } => ops.mkdir.map(|f| f(req, ino, name.as_ptr(), mode)),
            Unlink { name } => ops.unlink.map(|f| f(req, ino, name.as_ptr())),
            Rmdir { name } => ops.rmdir.map(|f| f(req, ino, name.as_ptr())),
            Rename { name, newdir, newname, flags } => {
                ops.rename.map(|f| f(req, ino, name.as_ptr(), newdir, newname.as_ptr(), flags))
            }
            Link { oldnodeid, newname } => ops.link.map(|f| f(req, oldnodeid, ino, newname.as_ptr())),
            Open(ref arg) => match ops.open {
                Some(f) => Some(f(req, ino, &mut args::file_with_flags(0, arg.flags))),
                None => opened_without_callback(req, call.wants & FUSE_CAP_NO_OPEN_SUPPORT != 0),
            },
            Read(ref arg) => {
                ops.read.map(|f| f(req, ino, arg.size as usize, arg.offset as i64, &mut args::file_of_read(arg)))
            }
            Write { ref arg, data } => {
                let mut fi = args::file_of_write(arg);
                let off = arg.offset as i64;
                match ops.write_buf {
                    Some(f) => Some(f(req, ino, &mut memory_buffer(data), off, &mut fi)),
                    None => ops.write.map(|f| f(req, ino, data.as_ptr().cast(), data.len(), off, &mut fi)),
                }
            }
            Statfs => Some(match ops.statfs {
                Some(f) => f(req, ino),
                None => default_statfs(req),
            }),
            Release(ref arg) => Some(match ops.release {
                Some(f) => f(req, ino, &mut args::file_of_release(arg)),
                None => answer(req, &[]),
            }),
            Fsync(ref arg) => {
                ops.fsync.map(|f| f(req, ino, (arg.fsync_flags & FSYNC_FDATASYNC) as c_int, &mut args::file(arg.fh)))
            }
            Setxattr { name, value, flags, .. } => {
                ops.setxattr.map(|f| f(req, ino, name.as_ptr(), value.as_ptr().cast(), value.len(), flags as c_int))
            }
            Getxattr { name, size } => ops.getxattr.map(|f| f(req, ino, name.as_ptr(), size as usize)),
            Listxattr { size } => ops.listxattr.map(|f| f(req, ino, size as usize)),
            Removexattr { name } => ops.removexattr.map(|f| f(req, ino, name.as_ptr())),
            Flush(ref arg) => ops.flush.map(|f| f(req, ino, &mut args::file_of_flush(arg))),
            Opendir(ref arg) => match ops.opendir {
                Some(f) => Some(f(req, ino, &mut args::file_with_flags(0, arg.flags))),
                None => opened_without_callback(req, call.wants & FUSE_CAP_NO_OPENDIR_SUPPORT != 0),
            },
            Readdir(ref arg) => {
                ops.readdir.map(|f| f(req, ino, arg.size as usize, arg.offset as i64, &mut args::file(arg.fh)))
            }
            Readdirplus(ref arg) => {
                ops.readdirplus.map(|f| f(req, ino, arg.size as usize, arg.offset as i64, &mut args::file(arg.fh)))
            }
            Releasedir(ref arg) => Some(match ops.releasedir {
                Some(f) => f(req, ino, &mut args::file_with_flags(arg.fh, arg.flags)),
                None => answer(req, &[]),
            }),
            Fsyncdir(ref arg) => {
                ops.fsyncdir.map(|f| f(req, ino, (arg.fsync_flags & FSYNC_FDATASYNC) as c_int, &mut args::file(arg.fh)))
            }
            Getlk(ref arg) => ops.getlk.map(|f| f(req, ino, &mut args::file_of_lock(arg), &mut args::lock(&arg.lk))),
            Setlk { ref arg, wait } => match args::flock_operation(arg, wait) {
                Some(operation) => ops.flock.map(|f| f(req, ino, &mut args::file_of_lock(arg), operation)),
                None => {
                    ops.setlk.map(|f| f(req, ino, &mut args::file_of_lock(arg), &mut args::lock(&arg.lk), wait.into()))
                }
            },
            Access { mask } => ops.access.map(|f| f(req, ino, mask as c_int)),
            Create { ref arg, name } => {
                ops.create.map(|f| f(req, ino, name.as_ptr(), arg.mode, &mut args::file_with_flags(0, arg.flags)))
            }
            Bmap(ref arg) => ops.bmap.map(|f| f(req, ino, arg.blocksize as usize, arg.block)),
            Ioctl { ref arg, .. } if arg.flags & IOCTL_DIR != 0 && call.wants & FUSE_CAP_IOCTL_DIR == 0 => {
                Some(refuse(req, Some(Errno::ENOTTY)))
            }
            Ioctl { ref arg, data } => ops.ioctl.map(|f| {
                let user = ptr::with_exposed_provenance_mut::<c_void>(arg.arg as usize);
                let input = if data.is_empty() { ptr::null() } else { data.as_ptr().cast() };
                let mut fi = args::file(arg.fh);
                f(req, ino, arg.cmd, user, &mut fi, arg.flags, input, data.len(), arg.out_size as usize)
            }),
            Poll(ref arg) => ops.poll.map(|f| {
                let mut fi = fuse_file_info { poll_events: arg.events, ..args::file(arg.fh) };
                let wants_handle = arg.flags & POLL_SCHEDULE_NOTIFY != 0;
                let handle = if wants_handle { PollHandle::for_request(call.token, arg.kh) } else { ptr::null_mut() };
                f(req, ino, &mut fi, handle)
            }),
            Fallocate(ref arg) => ops
                .fallocate
                .map(|f| f(req, ino, arg.mode as c_int, arg.offset as i64, arg.length as i64, &mut args::file(arg.fh))),
            Lseek(ref arg) => {
                ops.lseek.map(|f| f(req, ino, arg.offset as i64, arg.whence as c_int, &mut args::file(arg.fh)))
            }
            CopyFileRange { ref arg, wide } => ops.copy_file_range.map(|f| {
                let (mut from, mut to) = (args::file(arg.fh_in), args::file(arg.fh_out));
                let len = if wide { arg.len } else { arg.len.min(COPY_RANGE_MAX) } as usize;
                let (off_in, off_out) = (arg.off_in as i64, arg.off_out as i64);
                f(req, ino, off_in, &mut from, arg.nodeid_out, off_out, &mut to, len, arg.flags as c_int)
            }),
            Syncfs => ops.syncfs.map(|f| f(req, ino)),
            Tmpfile(ref arg) => ops.tmpfile.map(|f| f(req, ino, arg.mode, &mut args::file_with_flags(0, arg.flags))),
            Statx(ref arg) => ops.statx.map(|f| {
                let mut fi = (arg.getattr_flags & GETATTR_FH != 0).then(|| args::file(arg.fh));
                f(req, ino, arg.sx_flags as c_int, arg.sx_mask as c_int, or_null(&mut fi))
            }),
            // The session's own business, or nobody's.
            Init { .. } | CuseInit(_) | Destroy | Interrupt { .. } | NotifyReply { .. } | Unsupported => None,
        }
    };
    if called.is_none() {
        refuse(req, Some(Errno::ENOSYS));
    }
}

fn or_null(fi: &mut Option<fuse_file_info>) -> *mut fuse_file_info {
    fi.as_mut().map_or(ptr::null_mut(), ptr::from_mut)
}

/// A batch of forgets, for forget_multi or one by one.
///
/// # Safety
/// As for [`dispatch`]: the table's functions are the daemon's callbacks.
unsafe fn batch_forget(ops: &fuse_lowlevel_ops, req: fuse_req_t, entries: Forgets<'_>, call: &Call<'_>) {
    if let Some(forget_multi) = ops.forget_multi {
        let mut forgets = args::forgets(entries);
        // SAFETY: as the caller vouches; the array has as many entries as stated and outlives the call.
        return unsafe { forget_multi(req, forgets.len(), forgets.as_mut_ptr()) };
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
    refuse(req, None);
}

/// open and opendir succeed without a callback, unless the daemon asked that the kernel should do without.
fn opened_without_callback(req: fuse_req_t, kernel_does_without: bool) -> Option<()> {
    (!kernel_does_without).then(|| answer(req, encode::open(&fuse_file_info::default()).as_bytes()))
}

fn default_statfs(req: fuse_req_t) {
    answer(req, Kstatfs { namelen: 255, bsize: 512, ..Kstatfs::default() }.as_bytes());
}

/// Replies in the daemon's place. A failure is logged where the reply is sent, and nobody else needs to know.
fn answer(req: fuse_req_t, payload: &[u8]) {
    if let Some(pending) = Pending::claim(req, "a reply in the daemon's place") {
        let _ = pending.reply(0, &[IoSlice::new(payload)]);
    }
}
