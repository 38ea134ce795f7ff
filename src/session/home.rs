//! The process that serves a session. A callback may fork, and its child answer; but what the library counts goes on in
//! the parent alone. Of its tables a child has a copy, or shares what only one process may change.

use super::Session;
use crate::transport::fork;
use nix::errno::Errno;
use nix::unistd::getpid;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// No process in particular: until a loop begins, daemons may still go to the background.
const ANY: u32 = u32::MAX;

/// Where a session is at home.
pub(super) struct Home {
    /// The process, by its [`fork::descent`].
    process: AtomicU32,
    /// It was said that this is another one.
    said: AtomicBool,
}

impl Default for Home {
    fn default() -> Self {
        Self { process: AtomicU32::new(ANY), said: AtomicBool::new(false) }
    }
}

impl Session {
    /// One of the library's loops begins. Those of the daemon's own have no beginning that the library would know of.
    pub(super) fn settle(&self) {
        self.home.process.store(fork::descent(), Ordering::Relaxed);
    }

    /// The loop has ended.
    pub(super) fn unsettle(&self) {
        self.home.process.store(ANY, Ordering::Relaxed);
    }

    /// The init callback has returned in a child: the daemon went to the background, and the session goes with it.
    pub(super) fn move_home(&self) {
        if self.home.process.load(Ordering::Relaxed) != ANY {
            self.settle();
        }
    }

    /// ENOTSUP, and one log line, in a child that was forked while a loop runs.
    #[inline]
    pub fn check_home(&self) -> Result<(), Errno> {
        let home = self.home.process.load(Ordering::Relaxed);
        if home == fork::descent() || home == ANY { Ok(()) } else { self.refuse_child() }
    }

    #[cold]
    fn refuse_child(&self) -> Result<(), Errno> {
        if !self.home.said.swap(true, Ordering::Relaxed) {
            log::error!(
                "process {} was forked while the session is served: nodes and passthrough are its parent's alone",
                getpid()
            );
        }
        Err(Errno::ENOTSUP)
    }
}
