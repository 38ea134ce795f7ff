//! A daemon with every callback. It looks at each byte that it is given, and answers at once, later, twice, or from an
//! interrupt function, as the message's action says.

use super::c::*;
use super::guarded::{CURRENT, Current, ROOM};
use super::sink::{Held, Shared};
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::hint::black_box;
use core::ptr;
use fusewire::abi::c::common::{FUSE_BUF_IS_FD, fuse_bufvec, fuse_conn_info, fuse_file_info, fuse_pollhandle};
use fusewire::abi::c::lowlevel::{fuse_entry_param, fuse_forget_data, fuse_ino_t, fuse_lowlevel_ops, fuse_req_t};
use libc::{dev_t, flock, mode_t, off_t, stat};
use std::sync::atomic::Ordering;

fn current() -> Current {
    CURRENT.get().expect("a callback runs while a message is processed")
}

/// Data of the message.
pub(super) unsafe fn look_at(data: *const c_void, len: usize) {
    if len == 0 {
        return;
    }
    // SAFETY: the message stays while the callback runs.
    let message = unsafe { &*current().bytes }.as_ptr_range();
    let start: *const u8 = data.cast();
    assert!(
        current().piped || message.contains(&start) && len <= message.end.addr() - start.addr(),
        "{len} bytes outside the message"
    );
    // SAFETY: just checked, or by a checker of addresses.
    check_bytes(unsafe { core::slice::from_raw_parts(start, len) });
}

/// What the daemon is given is of this message: nothing of an earlier one, and nothing else.
fn check_bytes(part: &[u8]) {
    // SAFETY: the message stays while the callback runs.
    let whole = unsafe { &*current().bytes };
    assert!(whole.windows(part.len().max(1)).any(|bytes| bytes == part) || part.is_empty(), "bytes of another message");
}

/// The name of a directory entry.
unsafe fn look_at_name(name: *const c_char) {
    // SAFETY: as the caller.
    let name = unsafe { look_at_text(name) };
    assert!(!name.is_empty() && !name.contains(&b'/'), "{name:?} is no entry's name");
}

/// A string of the message.
unsafe fn look_at_text<'a>(name: *const c_char) -> &'a [u8] {
    // SAFETY: the message stays while the callback runs.
    let message = unsafe { &*current().bytes }.as_ptr_range();
    if current().piped {
        // SAFETY: as the library promises.
        let name = unsafe { CStr::from_ptr(name) };
        check_bytes(name.to_bytes_with_nul());
        return name.to_bytes();
    }
    let start: *const u8 = name.cast();
    assert!(message.contains(&start), "a name outside the message");
    // SAFETY: from a byte of the message to its end.
    let rest = unsafe { core::slice::from_raw_parts(start, message.end.addr() - start.addr()) };
    let end = rest.iter().position(|&byte| byte == 0).expect("a name without its NUL");
    &rest[..end]
}

unsafe fn look_at_vector(bufv: *const fuse_bufvec) {
    // SAFETY: as the library promises.
    let (vector, only) = unsafe { (&*bufv, &(&(*bufv).buf)[0]) };
    assert_eq!((vector.count, vector.idx, vector.off), (1, 0, 0));
    if only.flags == 0 {
        // SAFETY: the message's data.
        return unsafe { look_at(only.mem, only.size) };
    }
    assert!(current().piped && only.flags == FUSE_BUF_IS_FD);
    if current().action & 8 != 0 {
        return; // what a daemon leaves there must not become part of the next message
    }
    let mut data = vec![0; only.size.min(ROOM)];
    // SAFETY: the descriptor is open, and the memory ours. There may be less than is stated, but the writer is gone, or
    // does not wait.
    let there = unsafe { libc::read(only.fd, data.as_mut_ptr().cast(), data.len()) };
    check_bytes(&data[..usize::try_from(there).unwrap_or(0)]);
}

/// Answers with one of the replies that there are.
pub unsafe fn answer_with(req: fuse_req_t, kind: u8) -> c_int {
    // SAFETY: plain numbers, for which zeros are valid.
    let (entry, st, vfs, lk) = unsafe {
        use core::mem::zeroed;
        (zeroed::<fuse_entry_param>(), zeroed::<stat>(), zeroed::<libc::statvfs>(), zeroed::<flock>())
    };
    let fi = fuse_file_info { fh: 7, bits: kind.into(), ..fuse_file_info::default() };
    let data = [kind; 100];
    let pieces: [libc::iovec; 40] =
        core::array::from_fn(|i| libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: i % 5 });
    // SAFETY: each function gets what its contract asks for.
    unsafe {
        match kind % 16 {
            0 => fuse_reply_entry(req, &entry),
            1 => fuse_reply_create(req, &entry, &fi),
            2 => fuse_reply_attr(req, &st, 1.5),
            3 => fuse_reply_readlink(req, c"target".as_ptr()),
            4 => fuse_reply_open(req, &fi),
            5 => fuse_reply_write(req, kind.into()),
            6 => fuse_reply_buf(req, data.as_ptr().cast(), usize::from(kind) % 100),
            7 => fuse_reply_iov(req, pieces.as_ptr(), c_int::from(kind) % 41),
            8 => fuse_reply_statfs(req, &vfs),
            9 => fuse_reply_xattr(req, kind.into()),
            10 => fuse_reply_lock(req, &lk),
            11 => fuse_reply_ioctl(req, 0, data.as_ptr().cast(), usize::from(kind) % 100),
            12 => fuse_reply_lseek(req, kind.into()),
            13 => fuse_reply_data(req, &mut fusewire::session::memory_buffer(&data), 0),
            14 => fuse_reply_err(req, 0),
            _ => fuse_reply_err(req, kind.into()),
        }
    }
}

unsafe extern "C" fn only_look(req: fuse_req_t, _: *mut c_void) {
    // SAFETY: any handle may be asked about.
    unsafe { fuse_req_interrupted(req) };
}

unsafe extern "C" fn answer_interrupted(req: fuse_req_t, _: *mut c_void) {
    // SAFETY: any handle may be answered.
    unsafe { fuse_reply_err(req, libc::EINTR) };
}

/// What every callback does in the end.
pub(super) unsafe fn answer(req: fuse_req_t) {
    let Current { unique, action, .. } = current();
    // SAFETY: the handle is the callback's; the userdata is ours.
    unsafe {
        let shared = Shared::of(fuse_req_userdata(req));
        shared.callbacks.fetch_add(1, Ordering::Relaxed);
        assert!(!fuse_req_ctx(req).is_null());
        assert_eq!(fuse_req_unique(req), unique);
        black_box(fuse_req_flags(req));
        read_groups(req);
        read_contexts(req);
        let kind = action >> 3;
        let hold = |contested| {
            let mut held = shared.held.lock().expect("no thread panics");
            held.push(Held { req: req.addr(), unique, contested });
        };
        match action & 7 {
            4 => hold(false),
            5 => {
                let function = if kind & 1 == 0 { only_look } else { answer_interrupted };
                hold(kind & 1 != 0);
                // Last: it may answer at once, and then so may others.
                fuse_req_interrupt_func(req, Some(function), ptr::null_mut());
            }
            6 => {
                assert_eq!(answer_with(req, kind), 0);
                assert!(fuse_reply_err(req, 0) < 0, "a second reply");
            }
            7 => {
                hold(false);
                answer_oldest(shared, kind);
            }
            _ => assert_eq!(answer_with(req, kind), 0),
        }
    }
}

/// Answers the request that was held longest, if there is one.
pub fn answer_oldest(shared: &Shared, kind: u8) -> bool {
    let oldest = {
        let mut held = shared.held.lock().expect("no thread panics");
        (!held.is_empty()).then(|| held.remove(0))
    };
    let Some(held) = oldest else { return false };
    // SAFETY: the request is in flight, or its interrupt function answered it.
    let result = unsafe { answer_with(held.req(), kind) };
    assert!(result == 0 || held.contested, "the reply to {} returned {result}", held.unique);
    true
}

unsafe fn read_groups(req: fuse_req_t) {
    let mut groups = [0; 3];
    // SAFETY: an array of ours, with as many elements as stated.
    let count = unsafe { fuse_req_supp_groups(req, groups.len() as c_int, groups.as_mut_ptr()) };
    assert!(count >= 0 || count == -libc::EIO || count == -libc::ENOENT, "{count}");
}

unsafe fn read_contexts(req: fuse_req_t) {
    let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
    // SAFETY: three variables of ours.
    while unsafe { fuse_req_secctx_next(req, &mut name, &mut value, &mut len) } == 0 {
        // SAFETY: as the library promises.
        let (name, value) =
            unsafe { (CStr::from_ptr(name), core::slice::from_raw_parts(value.cast::<u8>(), len as usize)) };
        black_box((name.count_bytes(), value.iter().fold(0u8, |sum, byte| sum ^ byte)));
    }
}

/// A callback: what it takes behind the request and the nodeid, and what it looks at.
macro_rules! callback {
    ($name:ident($($arg:ident: $ty:ty),*) $look:block) => {
        unsafe extern "C" fn $name(req: fuse_req_t, _: fuse_ino_t $(, $arg: $ty)*) {
            // SAFETY: what is looked at is as the library promises; the handle is the callback's.
            unsafe { $look; answer(req) };
        }
    };
}

type Fi = *mut fuse_file_info;
type Name = *const c_char;

callback!(plain() {});
callback!(named(name: Name) { look_at_name(name) });
callback!(getattr(_fi: Fi) {});
callback!(setattr(_attr: *mut stat, _to_set: c_int, _fi: Fi) {});
callback!(mknod(name: Name, _mode: mode_t, _rdev: dev_t) { look_at_name(name) });
callback!(mkdir(name: Name, _mode: mode_t) { look_at_name(name) });
callback!(rename(name: Name, _dir: fuse_ino_t, new: Name, _flags: c_uint) { look_at_name(name); look_at_name(new) });
callback!(link(_dir: fuse_ino_t, name: Name) { look_at_name(name) });
callback!(read(_size: usize, _off: off_t, _fi: Fi) {});
callback!(write(buf: Name, size: usize, _off: off_t, _fi: Fi) { look_at(buf.cast(), size) });
callback!(write_buf(bufv: *mut fuse_bufvec, _off: off_t, _fi: Fi) { look_at_vector(bufv) });
callback!(fsync(_datasync: c_int, _fi: Fi) {});
callback!(setxattr(name: Name, value: Name, size: usize, _flags: c_int) {
    look_at_text(name);
    look_at(value.cast(), size)
});
callback!(getxattr(name: Name, _size: usize) { look_at_text(name) });
callback!(removexattr(name: Name) { look_at_text(name) });
callback!(sized(_size: usize) {});
callback!(access(_mask: c_int) {});
callback!(create(name: Name, _mode: mode_t, _fi: Fi) { look_at_name(name) });
callback!(getlk(_fi: Fi, _lock: *mut flock) {});
callback!(setlk(_fi: Fi, _lock: *mut flock, _sleep: c_int) {});
callback!(locked(_fi: Fi, _op: c_int) {});
callback!(bmap(_blocksize: usize, _idx: u64) {});
callback!(ioctl(_cmd: c_uint, _arg: *mut c_void, _fi: Fi, _flags: c_uint, data: *const c_void, size: usize, _out: usize) {
    look_at(data, size)
});
callback!(poll(_fi: Fi, handle: *mut fuse_pollhandle) {
    fuse_lowlevel_notify_poll(handle);
    fuse_pollhandle_destroy(handle)
});
callback!(fallocate(_mode: c_int, _off: off_t, _len: off_t, _fi: Fi) {});
callback!(copy(_off: off_t, _fi: Fi, _to: fuse_ino_t, _off_to: off_t, _fi_to: Fi, _len: usize, _flags: c_int) {});
callback!(lseek(_off: off_t, _whence: c_int, _fi: Fi) {});
callback!(tmpfile(_mode: mode_t, _fi: Fi) {});
callback!(statx(_flags: c_int, _mask: c_int, _fi: Fi) {});

unsafe extern "C" fn symlink(req: fuse_req_t, target: Name, _: fuse_ino_t, name: Name) {
    // SAFETY: as in the other callbacks.
    unsafe { (look_at_text(target), look_at_name(name), answer(req)) };
}

unsafe extern "C" fn forget(req: fuse_req_t, _: fuse_ino_t, _: u64) {
    // SAFETY: the handle is the callback's.
    unsafe { fuse_reply_none(req) };
}

unsafe extern "C" fn forget_multi(req: fuse_req_t, count: usize, forgets: *mut fuse_forget_data) {
    // SAFETY: as the library promises.
    unsafe {
        assert!(count * size_of::<fuse_forget_data>() <= current().bytes.len());
        if count > 0 {
            black_box(core::slice::from_raw_parts(forgets, count).iter().fold(0, |sum, one| sum ^ one.nlookup));
        }
        fuse_reply_none(req);
    }
}

unsafe extern "C" fn retrieve_reply(req: fuse_req_t, _: *mut c_void, _: u64, _: off_t, bufv: *mut fuse_bufvec) {
    // SAFETY: as in the other callbacks.
    unsafe { (look_at_vector(bufv), fuse_reply_none(req)) };
}

pub(super) unsafe extern "C" fn init(_: *mut c_void, conn: *mut fuse_conn_info) {
    let action = current().action;
    // SAFETY: as the library promises.
    let conn = unsafe { &mut *conn };
    if action & 1 != 0 {
        conn.bits |= fusewire::abi::c::common::CONN_NO_INTERRUPT;
    }
    if action & 2 != 0 {
        conn.want_ext = conn.capable_ext;
    }
    if action & 4 != 0 {
        (conn.max_write, conn.max_readahead, conn.max_background) = (u32::MAX, 0, u32::MAX);
    }
}

/// Every callback but forget_multi, which is there when `batches` says so: forget does its work otherwise.
pub fn operations(batches: bool, copies: bool) -> fuse_lowlevel_ops {
    fuse_lowlevel_ops {
        init: Some(init),
        lookup: Some(named),
        forget: Some(forget),
        getattr: Some(getattr),
        setattr: Some(setattr),
        readlink: Some(plain),
        mknod: Some(mknod),
        mkdir: Some(mkdir),
        unlink: Some(named),
        rmdir: Some(named),
        symlink: Some(symlink),
        rename: Some(rename),
        link: Some(link),
        open: Some(getattr),
        read: Some(read),
        write: Some(write),
        flush: Some(getattr),
        release: Some(getattr),
        fsync: Some(fsync),
        opendir: Some(getattr),
        readdir: Some(read),
        releasedir: Some(getattr),
        fsyncdir: Some(fsync),
        statfs: Some(plain),
        setxattr: Some(setxattr),
        getxattr: Some(getxattr),
        listxattr: Some(sized),
        removexattr: Some(removexattr),
        access: Some(access),
        create: Some(create),
        getlk: Some(getlk),
        setlk: Some(setlk),
        bmap: Some(bmap),
        ioctl: Some(ioctl),
        poll: Some(poll),
        write_buf: (!copies).then_some(write_buf as _),
        retrieve_reply: Some(retrieve_reply),
        forget_multi: batches.then_some(forget_multi as _),
        flock: Some(locked),
        fallocate: Some(fallocate),
        readdirplus: Some(read),
        copy_file_range: Some(copy),
        lseek: Some(lseek),
        tmpfile: Some(tmpfile),
        statx: Some(statx),
        syncfs: Some(plain),
        ..fuse_lowlevel_ops::default()
    }
}
