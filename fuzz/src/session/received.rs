//! Messages on their way into a loop: through the daemon's own read, or into the library's pipe, where large writes stay.

use super::c::fuse_session_loop;
use super::guarded::{CURRENT, Current};
use super::{Message, Session};
use crate::oracle::word;
use core::cell::RefCell;
use core::ffi::{c_int, c_void};
use std::collections::VecDeque;

const WRITE: u32 = 16;
/// Where a WRITE's size stands, and its data begins.
const SIZE: usize = 56;
const DATA: usize = 80;
/// More than what the library leaves in a pipe.
const LARGE: usize = 70_000;

thread_local! {
    static COMING: RefCell<VecDeque<Message>> = const { RefCell::new(VecDeque::new()) };
    /// The one that is being served.
    static SERVED: RefCell<Option<Message>> = const { RefCell::new(None) };
}

/// Makes large ones of some writes: in inputs there is no room for them.
pub fn enlarge(mut messages: Vec<Message>) -> Vec<Message> {
    for message in &mut messages {
        let bytes = &mut message.bytes;
        if message.action & 1 == 0 || bytes.len() < DATA || word(bytes, 4) != Some(WRITE) {
            continue;
        }
        let mut number = message.unique as u32;
        while bytes.len() < DATA + LARGE + usize::from(message.action) {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.extend(number.to_ne_bytes());
        }
        let (len, size) = (bytes.len() as u32, (bytes.len() - DATA) as u32);
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        bytes[SIZE..SIZE + 4].copy_from_slice(&size.to_ne_bytes());
        bytes[36..38].fill(0);
    }
    messages
}

/// Runs loops until every message was received.
pub fn serve(session: &Session, messages: &[Message]) {
    COMING.set(messages.iter().cloned().collect());
    while COMING.with_borrow(|coming| !coming.is_empty()) {
        // SAFETY: the session exists. A message without a head ends a loop.
        unsafe { fuse_session_loop(session.0) };
    }
    CURRENT.set(None);
    SERVED.set(None);
}

/// Takes the next message, which is the current one from now on.
fn next<T>(give: impl FnOnce(&Message) -> T) -> Option<T> {
    let message = COMING.with_borrow_mut(VecDeque::pop_front)?;
    let given = give(&message);
    let bytes: *const [u8] = message.bytes.as_slice();
    let Message { unique, action, .. } = message;
    SERVED.set(Some(message));
    CURRENT.set(Some(Current { bytes, piped: true, unique, action }));
    Some(given)
}

pub unsafe extern "C" fn read(_: c_int, buf: *mut c_void, room: usize, _: *mut c_void) -> isize {
    let copy = |message: &Message| {
        let len = message.bytes.len().min(room);
        // SAFETY: as the library promises, there is that much room.
        unsafe { core::ptr::copy_nonoverlapping(message.bytes.as_ptr(), buf.cast(), len) };
        len as isize
    };
    next(copy).unwrap_or(-libc::ENODEV as isize)
}

pub unsafe extern "C" fn splice(
    _: c_int,
    _: *mut i64,
    pipe: c_int,
    _: *mut i64,
    room: usize,
    _: u32,
    _: *mut c_void,
) -> isize {
    let put = |message: &Message| {
        let len = message.bytes.len().min(room);
        // SAFETY: the pipe is open, the message is there.
        let put = unsafe { libc::write(pipe, message.bytes.as_ptr().cast(), len) };
        assert!(len == 0 || put == len as isize, "{put} of {len} bytes fit into the pipe");
        // Sometimes less comes than is said.
        let lie = len >= LARGE && message.action & 0x80 != 0 && len + 99 <= room;
        if lie { put + 99 } else { put }
    };
    next(put).unwrap_or(-libc::ENODEV as isize)
}
