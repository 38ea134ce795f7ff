//! What makes requests take the longer way through a session: one word for the few that look at nothing else.

use super::{Session, Stage};
use bitflags::bitflags;
use std::sync::atomic::{AtomicU32, Ordering};

bitflags! {
    /// Why each request, and each reply, has to be looked at.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Why: u32 {
        /// The session serves nothing yet, or no longer.
        const NOT_SERVING = 1 << 0;
        /// Requests and replies are shown.
        const DEBUG = 1 << 1;
        /// Not everybody may use the file system.
        const GUARDED = 1 << 2;
        /// Requests are kept for a successor.
        const KEPT = 1 << 3;
    }
}

/// The reasons that there are at the moment. Whoever follows one looks at what it stands for.
pub(super) struct Detour(AtomicU32);

impl Detour {
    pub fn new(why: Why) -> Self {
        Self(AtomicU32::new(why.bits()))
    }

    /// The reasons.
    #[inline]
    pub fn why(&self) -> Why {
        // Acquired: what INIT agreed on is seen by whoever finds that the session serves.
        Why::from_bits_retain(self.0.load(Ordering::Acquire))
    }

    /// There is that reason from now on, or no longer.
    pub fn set(&self, why: Why, on: bool) {
        if on {
            self.0.fetch_or(why.bits(), Ordering::SeqCst);
        } else {
            self.0.fetch_and(!why.bits(), Ordering::SeqCst);
        }
    }
}

impl Session {
    /// How far the session is.
    pub(super) fn stage(&self) -> u8 {
        self.stage.load(Ordering::SeqCst)
    }

    /// The session is at that stage now.
    pub(super) fn enter(&self, stage: u8) {
        self.stage.store(stage, Ordering::SeqCst);
        self.detour.set(Why::NOT_SERVING, stage != Stage::SERVING);
    }

    /// Whether every request and reply is shown.
    #[inline]
    pub fn debug(&self) -> bool {
        self.detour.why().contains(Why::DEBUG)
    }

    /// Shows every request and reply from now on.
    pub fn set_debug(&self) {
        self.detour.set(Why::DEBUG, true);
    }
}
