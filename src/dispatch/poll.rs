//! What a daemon wakes a poll(2) with.

use crate::abi::c::common::fuse_pollhandle;
use crate::abi::flags::POLL_SCHEDULE_NOTIFY;
use crate::abi::wire::{NotifyPollWakeupOut, PollIn};
use crate::encode::Notification;
use crate::session::{Session, Token, inflight};
use nix::errno::Errno;

/// Behind a `struct fuse_pollhandle *`: the kernel's handle, and the session to notify.
pub struct PollHandle {
    kh: u64,
    session: *const Session,
}

impl PollHandle {
    /// A handle for the request in flight that `token` names, if it asks for one; the daemon owns it. Null when it does
    /// not, and when the request is gone.
    pub fn for_request(token: Token, arg: &PollIn) -> *mut fuse_pollhandle {
        let slot = inflight::find(token).filter(|slot| slot.is_live(token));
        let Some(slot) = slot.filter(|_| arg.flags & POLL_SCHEDULE_NOTIFY != 0) else {
            return core::ptr::null_mut();
        };
        Box::into_raw(Box::new(Self { kh: arg.kh, session: slot.session().cast_const().cast() })).cast()
    }

    /// Tells the kernel that the file is ready.
    ///
    /// # Safety
    /// `handle` came from [`for_request`](Self::for_request), was not destroyed, and its session still exists.
    pub unsafe fn notify(handle: *mut fuse_pollhandle) -> Result<(), Errno> {
        // SAFETY: the caller vouches for the handle.
        let Some(this) = (unsafe { handle.cast::<Self>().as_ref() }) else { return Ok(()) };
        // SAFETY: the caller vouches for the session.
        let session = unsafe { &*this.session };
        session.notify(&Notification::Poll(NotifyPollWakeupOut { kh: this.kh }), &[])
    }

    /// Frees a handle.
    ///
    /// # Safety
    /// `handle` is null, or came from [`for_request`](Self::for_request) and was not destroyed yet.
    pub unsafe fn destroy(handle: *mut fuse_pollhandle) {
        if !handle.is_null() {
            // SAFETY: the caller vouches for the handle, which Box made.
            drop(unsafe { Box::from_raw(handle.cast::<Self>()) });
        }
    }
}
