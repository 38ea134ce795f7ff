//! Notifications, and the data that retrieve notifications ask for.

use super::Session;
use crate::encode::Notification;
use nix::errno::Errno;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::atomic::Ordering;

/// Set in the number of a retrieve notification where requests come over io_uring: the kernel looks for what is answered by
/// its number, and these are none of its own numbers, which are even, too.
const OVER_URING: u64 = 1 << 61;

/// Retrieve notifications whose data has not arrived: number of the notification -> the daemon's cookie.
#[derive(Default)]
pub struct Retrieves {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    cookies: HashMap<u64, usize>,
}

impl Session {
    /// Sends a notification, `payload` behind its fixed part. Errors are the kernel's, and not logged: ENOENT says
    /// no more than that the kernel does not cache what it is told of.
    pub fn notify(&self, notification: &Notification, payload: &[IoSlice<'_>]) -> Result<(), Errno> {
        let channel = self.channel()?;
        let fixed = notification.as_bytes();
        let length = payload.iter().fold(fixed.len(), |sum, part| sum.saturating_add(part.len()));
        let head = crate::encode::head(0, notification.code(), length)?;
        if self.debug() {
            log::debug!("NOTIFY: code={} length={} {notification:?}", notification.code(), head.len);
        }
        let parts = [IoSlice::new(zerocopy::IntoBytes::as_bytes(&head)), IoSlice::new(fixed)];
        self.hand_on_reply();
        channel.send(&[&parts, payload].concat())
    }

    /// Registers a retrieve notification and returns its number.
    pub fn await_retrieve(&self, cookie: usize) -> u64 {
        let mut waiting = self.retrieves.waiting.lock();
        waiting.last += 1;
        let number = if self.has_rings() { OVER_URING | waiting.last << 1 } else { waiting.last };
        waiting.cookies.insert(number, cookie);
        number
    }

    /// The cookie of a retrieve notification, once: its data arrived, or it could not be sent.
    pub fn take_retrieve(&self, number: u64) -> Option<usize> {
        self.retrieves.waiting.lock().cookies.remove(&number)
    }

    /// The protocol's minor version in force, from the init callback on; 0 before INIT.
    pub fn proto_minor(&self) -> u32 {
        self.conn.lock().proto_minor
    }

    /// Whether the kernel says that it can send requests again.
    pub fn has_resend(&self) -> bool {
        self.resends.load(Ordering::Relaxed)
    }

    /// Capabilities that the kernel offered, from the init callback on.
    pub fn capable(&self) -> u64 {
        self.conn.lock().capable_ext
    }
}
