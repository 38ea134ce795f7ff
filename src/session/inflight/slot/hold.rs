//! Those who keep a request from going away: who replies to it, and who has to do with it otherwise.

use super::{DONE, Hook, Marks, ONE_PIN, PHASE, PINS, Slot};
use crate::session::inflight::Extensions;
use core::sync::atomic::Ordering::AcqRel;

/// The right to reply to one request. Dropping it ends the request.
pub struct Claim {
    pub(super) slot: &'static Slot,
}

impl Claim {
    /// The request's slot.
    #[inline]
    pub fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// Ends the request if it is one that needs nothing more, as nearly all are. The slot may be another request's at once.
    #[inline(always)] // a few looks and stores
    pub fn end_plain(&self) -> bool {
        self.slot.finish_plain()
    }

    /// Ends the request in the place of a drop, where the claim is kept from one. Last of all, as above.
    pub fn end(&self) {
        self.slot.finish();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.end();
    }
}

/// Holds a request in place.
pub struct Pin {
    pub(super) slot: &'static Slot,
}

impl Pin {
    /// The request's slot.
    pub fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// Marks the request interrupted and calls its hook, if it has one. The hook may reply.
    pub fn interrupt(&self) {
        let hook = self.slot.hook.lock();
        self.mark_interrupted();
        if let Some(hook) = hook.as_ref() {
            hook();
        }
    }

    /// Sets the hook, or takes it away and waits for one that is running. A request that is interrupted already has
    /// the new hook called at once.
    pub fn set_hook(&self, hook: Option<Hook>) {
        let mut place = self.slot.hook.lock();
        if hook.is_some() {
            self.slot.mark(Marks::EXTRAS);
        }
        *place = hook.map(Box::new);
        if let Some(hook) = place.as_ref().filter(|_| self.slot.interrupted()) {
            hook();
        }
    }

    /// Lends the request's extensions, if it brought any.
    pub fn with_extensions<R>(&self, f: impl FnOnce(Option<&mut Extensions>) -> R) -> R {
        f(self.slot.extensions.lock().as_deref_mut())
    }

    /// Marks the request interrupted before its callback runs.
    pub fn mark_interrupted(&self) {
        self.slot.mark(Marks::INTERRUPTED);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let before = self.slot.state.fetch_sub(ONE_PIN, AcqRel);
        if before & PINS == ONE_PIN && before & PHASE == DONE {
            self.slot.free(before);
        }
    }
}
