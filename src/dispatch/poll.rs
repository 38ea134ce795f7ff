//! What a daemon wakes a poll(2) with.

use super::request::{self, to_c};
use crate::abi::c::common::fuse_pollhandle;
use crate::abi::flags::POLL_SCHEDULE_NOTIFY;
use crate::abi::wire::{NotifyPollWakeupOut, PollIn};
use crate::encode::Notification;
use crate::session::{Session, Token};
use nix::errno::Errno;
use std::sync::Weak;

/// Behind a `struct fuse_pollhandle *`: the kernel's handle, and the session to notify if it still exists.
pub struct PollHandle {
    kh: u64,
    session: Weak<Session>,
}

impl PollHandle {
    /// A handle for the request in flight that `token` names, if it asks for one; the daemon owns it. Null when it does
    /// not, and when the request is gone.
    pub fn for_request(token: Token, arg: &PollIn) -> *mut fuse_pollhandle {
        if arg.flags & POLL_SCHEDULE_NOTIFY == 0 {
            return core::ptr::null_mut();
        }
        let session = request::with_session(to_c(token), "poll", Session::weak);
        session.map_or(core::ptr::null_mut(), |session| Box::into_raw(Box::new(Self { kh: arg.kh, session })).cast())
    }

    /// Tells the kernel that the file is ready. A session that is gone is a log line and ENODEV.
    ///
    /// # Safety
    /// `handle` is null, or came from [`for_request`](Self::for_request) and was not destroyed.
    pub unsafe fn notify(handle: *mut fuse_pollhandle) -> Result<(), Errno> {
        // SAFETY: the caller vouches for the handle.
        let Some(this) = (unsafe { handle.cast::<Self>().as_ref() }) else { return Ok(()) };
        let Some(session) = this.session.upgrade() else {
            log::error!("fuse_lowlevel_notify_poll: the session of the poll handle is gone");
            return Err(Errno::ENODEV);
        };
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
