//! The daemon's say in requests that are sent once more.

use super::request::{to_c, with_request};
use crate::abi::c::lowlevel::{FUSE_RESEND_ANSWER, FUSE_RESEND_HANDLE, fuse_req_t, fuse_resend_ops};
use crate::session::inflight::Slot;
use crate::session::{Hooks, State, Token, Verdict};
use core::ffi::c_void;
use nix::errno::Errno;

/// `struct fuse_resend_ops` and the pointer that goes with it.
pub struct ResendHooks {
    ops: fuse_resend_ops,
    userdata: *mut c_void,
}

// SAFETY: the functions and the userdata are the daemon's, which by the C interface's contract may be called from every
// thread of the session's loops.
unsafe impl Send for ResendHooks {}
// SAFETY: as above.
unsafe impl Sync for ResendHooks {}

impl ResendHooks {
    /// The daemon's functions.
    pub fn new(ops: fuse_resend_ops, userdata: *mut c_void) -> Self {
        Self { ops, userdata }
    }
}

impl Hooks for ResendHooks {
    fn classify(&self, token: Token, opcode: u32, nodeid: u64) -> Verdict {
        let Some(classify) = self.ops.classify else { return Verdict::Answer };
        // SAFETY: the daemon's function, called as its contract says.
        match unsafe { classify(to_c(token), opcode, nodeid) } {
            FUSE_RESEND_HANDLE => Verdict::Handle,
            FUSE_RESEND_ANSWER => Verdict::Answer,
            error @ ..0 => Verdict::Fail(Errno::from_raw(error.saturating_neg())),
            other => {
                log::error!("classify of fuse_resend_ops: {other} is no answer, the request fails");
                Verdict::Fail(Errno::EIO)
            }
        }
    }

    fn drained(&self, count: usize) {
        if let Some(drained) = self.ops.drained {
            // SAFETY: the daemon's function, called as its contract says.
            unsafe { drained(self.userdata, count) };
        }
    }
}

/// Lends the state that the session of a request keeps, with the request's slot. EINVAL, after a log line, when the request
/// is gone; ENOTSUP when its session keeps none.
pub fn with_kept<R>(req: fuse_req_t, function: &str, f: impl FnOnce(&State, &Slot) -> R) -> Result<R, Errno> {
    with_request(req, function, |session, slot| session.state().map(|state| f(state, slot)).ok_or(Errno::ENOTSUP))
        .unwrap_or(Err(Errno::EINVAL))
}
