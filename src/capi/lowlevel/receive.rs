//! Requests in buffers that C owns.

use crate::abi::c::common::{FUSE_BUF_IS_FD, fuse_buf};
use crate::capi::common::buf::Gathered;
use crate::session::{Session, memory_buffer};
use nix::errno::Errno;

/// Receives one request into `buf`, whose memory is allocated if there is none.
///
/// # Safety
/// `buf` is null or points to a buffer that is zeroed or from an earlier call.
pub unsafe fn receive(se: &Session, buf: *mut fuse_buf) -> Result<usize, Errno> {
    // SAFETY: the caller vouches for the buffer.
    let Some(buf) = (unsafe { buf.as_mut() }) else {
        log::error!("fuse_session_receive_buf: null pointer");
        return Err(Errno::EINVAL);
    };
    let size = se.buf_size();
    #[cfg(not(soname = "3"))]
    if !se.config().compat_file_info && !buf.mem.is_null() && (1..size).contains(&buf.mem_size) {
        // From a session that needed less.
        // SAFETY: the memory is from malloc(3), and nothing in it is needed any more.
        unsafe { libc::free(buf.mem) };
        buf.mem = core::ptr::null_mut();
    }
    if buf.mem.is_null() {
        // SAFETY: calloc either fails or gives `size` zeroed bytes.
        buf.mem = unsafe { libc::calloc(1, size) };
        #[cfg(not(soname = "3"))]
        if !se.config().compat_file_info {
            buf.mem_size = if buf.mem.is_null() { 0 } else { size };
        }
    }
    if buf.mem.is_null() {
        log::error!("no memory for a buffer of {size} bytes");
        return Err(Errno::ENOMEM);
    }
    // SAFETY: the memory has `size` bytes at least, which are initialised.
    let memory = unsafe { core::slice::from_raw_parts_mut(buf.mem.cast::<u8>(), size) };
    let received = se.receive_one(memory)?;
    buf.size = received;
    buf.flags = 0;
    Ok(received)
}

/// Serves the request in `buf`.
///
/// # Safety
/// `buf` is null or holds what it states.
pub unsafe fn process(se: &Session, buf: *const fuse_buf) {
    // SAFETY: the caller vouches for the buffer.
    let Some(buf) = (unsafe { buf.as_ref() }).filter(|buf| !buf.mem.is_null() || buf.flags & FUSE_BUF_IS_FD != 0)
    else {
        return log::error!("fuse_session_process_buf: null pointer");
    };
    let Ok(channel) = se.channel() else {
        return log::error!("fuse_session_process_buf: the session is neither mounted nor connected");
    };
    if buf.flags & FUSE_BUF_IS_FD == 0 {
        // SAFETY: the caller vouches for `size` bytes.
        return se.process(channel, unsafe { core::slice::from_raw_parts(buf.mem.cast(), buf.size) });
    }
    // Member by member: the struct of a program built before 3.17 is shorter than ours.
    let mut one = memory_buffer(&[]);
    let [piped] = &mut one.buf;
    (piped.size, piped.flags, piped.mem, piped.fd, piped.pos) = (buf.size, buf.flags, buf.mem, buf.fd, buf.pos);
    // SAFETY: the caller vouches for the buffer.
    match unsafe { Gathered::new(&mut one, 0) } {
        Ok(message) => message.slices().iter().for_each(|message| se.process(channel, message)),
        Err(errno) => log::error!("fuse_session_process_buf: reading the request: {}", errno.desc()),
    }
}
