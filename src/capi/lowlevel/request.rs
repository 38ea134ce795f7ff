//! What a callback can ask about its request.

use crate::abi::c::lowlevel::{fuse_ctx, fuse_interrupt_func_t, fuse_req_t};
use crate::dispatch::find;
use core::ffi::{c_int, c_void};
use libc::gid_t;
use nix::errno::Errno;

/// The pointer that was given to fuse_session_new(); NULL, and a log line, when the request is not in flight.
///
/// May be called on any thread. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_userdata(req: fuse_req_t) -> *mut c_void {
    find(req, "fuse_req_userdata").map_or(core::ptr::null_mut(), |(slot, _)| slot.userdata())
}
symver!(fuse_req_userdata, "FUSE_3.0");

/// Who caused the request: user, group, thread id and, in mknod, mkdir, create and tmpfile, the umask.
///
/// The result is valid until the reply. NULL, and a log line, when the request is not in flight. May be called on any
/// thread. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_ctx(req: fuse_req_t) -> *const fuse_ctx {
    find(req, "fuse_req_ctx").map_or(core::ptr::null(), |(slot, _)| slot.ctx().cast())
}
symver!(fuse_req_ctx, "FUSE_3.0");

const _: () = assert!(size_of::<fuse_ctx>() == 16 && align_of::<fuse_ctx>() <= 4);

/// Whether the request was interrupted: a signal came, and the application waits only for the reply to end.
///
/// Returns 1 if so, 0 if not or when the request is not in flight. May be called on any thread. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_interrupted(req: fuse_req_t) -> c_int {
    find(req, "fuse_req_interrupted").is_some_and(|(slot, _)| slot.interrupted()).into()
}
symver!(fuse_req_interrupted, "FUSE_3.0");

/// The daemon's data, on its way to the thread that reads the interrupt.
struct Data(*mut c_void);

// SAFETY: that the data may be used by the thread that reads the interrupt is the interface's contract.
unsafe impl Send for Data {}

impl Data {
    fn get(&self) -> *mut c_void {
        self.0
    }
}

/// Sets the function to call when the request is interrupted; NULL takes it away.
///
/// It is called once, with `data`, on the thread that reads the interrupt, or at once and on this thread when the
/// request was interrupted before. It may reply. Taking it away waits for a call that is running; the function itself
/// must not do that. It has to return: one that ends its thread by pthread_exit(3), or leaves by longjmp(3), keeps the
/// request for good, and fuse_session_destroy() waits for it. After the reply it is not called any more. Since
/// libfuse 3.0.
///
/// # Safety
/// `func` can be called with `data` until it is taken away or the request is replied to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_req_interrupt_func(req: fuse_req_t, func: fuse_interrupt_func_t, data: *mut c_void) {
    let Some((slot, token)) = find(req, "fuse_req_interrupt_func") else { return };
    let Some(pin) = slot.pin(token) else { return };
    let (data, req) = (Data(data), Data(req.cast()));
    pin.set_hook(func.map(|func| -> crate::session::inflight::Hook {
        // SAFETY: the caller vouches for the function and its data.
        Box::new(move || unsafe { func(req.get().cast(), data.get()) })
    }));
}
symver!(fuse_req_interrupt_func, "FUSE_3.0");

/// The supplementary groups of the thread that caused the request.
///
/// `list`: room for `size` groups. Returns how many there are, of which no more than `size` were stored; -EIO when
/// the thread is gone or its groups cannot be read. Reads /proc, so it is slow, and the answer is of now. May be
/// called on any thread. Since libfuse 3.0.
///
/// # Safety
/// `list` has room for `size` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_req_getgroups(req: fuse_req_t, size: c_int, list: *mut gid_t) -> c_int {
    let Some((slot, _)) = find(req, "fuse_req_getgroups") else { return -(Errno::EINVAL as c_int) };
    let Some(groups) = groups_of(slot.pid()) else { return -(Errno::EIO as c_int) };
    let room = usize::try_from(size).unwrap_or(0);
    if !list.is_null() {
        for (i, group) in groups.iter().take(room).enumerate() {
            // SAFETY: the caller vouches for `size` elements, and i is below that.
            unsafe { list.add(i).write(*group) };
        }
    }
    c_int::try_from(groups.len()).unwrap_or(c_int::MAX)
}
symver!(fuse_req_getgroups, "FUSE_3.0");

fn groups_of(tid: u32) -> Option<Vec<gid_t>> {
    // Bytes: the thread's name is among them, which may be anything.
    let status = std::fs::read(format!("/proc/{tid}/task/{tid}/status")).ok()?;
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Groups:"))?;
    str::from_utf8(line).ok()?.split_whitespace().map(|group| group.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{getgroups, gettid};
    use std::ffi::CStr;

    #[test]
    fn threads_may_be_called_anything() {
        // The first as the kernel cuts names that are too long, inside of a character.
        for name in [b"backup-\xc3\0".as_slice(), b"\n\0"] {
            nix::sys::prctl::set_name(CStr::from_bytes_with_nul(name).unwrap()).unwrap();
            let groups = groups_of(gettid().as_raw().cast_unsigned()).unwrap();
            assert_eq!(groups, getgroups().unwrap().into_iter().map(|group| group.as_raw()).collect::<Vec<_>>());
        }
    }
}
