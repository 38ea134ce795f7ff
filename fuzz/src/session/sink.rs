//! Where a session's messages go, and what they must be.

use super::received;
use core::ffi::{c_int, c_void};
use fusewire::abi::c::lowlevel::{fuse_custom_io, fuse_req_t};
use fusewire::abi::wire::OutHeader;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A request that a callback has not answered.
pub struct Held {
    pub req: usize,
    pub unique: u64,
    /// Its interrupt function answers, too: whoever comes second is refused.
    pub contested: bool,
}

impl Held {
    pub fn req(&self) -> fuse_req_t {
        core::ptr::without_provenance_mut(self.req)
    }
}

/// What callbacks, threads and the sink of one session share; its userdata.
#[derive(Default)]
pub struct Shared {
    /// Number of replies by their unique.
    pub replies: Mutex<HashMap<u64, usize>>,
    pub held: Mutex<Vec<Held>>,
    /// Nothing may be sent any more.
    pub over: AtomicBool,
    pub callbacks: AtomicU64,
}

impl Shared {
    /// # Safety
    /// `userdata` is that of a session in use.
    pub unsafe fn of<'a>(userdata: *mut c_void) -> &'a Self {
        // SAFETY: the caller vouches for it; it outlives the session.
        unsafe { userdata.cast::<Self>().as_ref() }.expect("the session's userdata")
    }
}

pub const IO: fuse_custom_io = fuse_custom_io {
    writev: Some(writev),
    read: Some(received::read),
    splice_receive: Some(received::splice),
    splice_send: None,
    clone_fd: None,
};

/// Reads every byte of a message and checks its head as the kernel does.
unsafe extern "C" fn writev(_: c_int, iov: *mut libc::iovec, count: c_int, userdata: *mut c_void) -> isize {
    // SAFETY: as the library promises.
    let (pieces, shared) = unsafe { (core::slice::from_raw_parts(iov, count as usize), Shared::of(userdata)) };
    let mut whole = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.iov_len > 0) {
        // SAFETY: as the library promises.
        whole.extend_from_slice(unsafe { core::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len) });
    }
    assert!(!shared.over.load(Ordering::SeqCst), "a message after the session's end");
    let word = |at: usize| whole[at..at + 4].try_into().map(u32::from_ne_bytes).expect("four bytes");
    let (len, error, unique) = (word(0), word(4) as i32, u64::from(word(8)) | u64::from(word(12)) << 32);
    assert_eq!(len as usize, whole.len(), "the head's length");
    if unique == 0 && error > 0 {
        return whole.len() as isize; // a notification
    }
    assert!(error <= 0 && error > -512, "error {error}");
    assert!(error == 0 || whole.len() == size_of::<OutHeader>(), "an error with {} bytes", whole.len());
    *shared.replies.lock().expect("no thread panics").entry(unique).or_default() += 1;
    whole.len() as isize
}
