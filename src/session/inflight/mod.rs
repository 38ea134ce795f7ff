//! Requests in flight: from the callback to the reply.
//!
//! A request lives in a [`Slot`]. The handle that the daemon gets is no pointer but a [`Token`]: the slot's index and
//! the generation it had when the request arrived. Slots are never freed, so any token, stale or forged, can be
//! looked at safely; one that does not match its slot's generation is recognised and refused. That is what makes a
//! second reply, or one after the session is gone, a log line instead of a use after free.
//!
//! Taking and giving back a slot is a push or pop on a list of the thread's own; only when that list is empty or full
//! a batch moves to or from the shared one. Interrupts are rare, so they search the slots instead of making every
//! request pay for a map.

mod extensions;
#[cfg(all(test, loom))]
mod model;
mod slot;
#[cfg_attr(loom, path = "table_model.rs")]
mod table;

pub use extensions::{Contexts, Extensions};
pub use slot::{Arrival, Claim, Hook, Marks, Pin, ReplyFlags, Slot, Token};
pub use table::{Own, each, find, take, with_own};

/// Another request in flight, served by nobody, with the head of the one that `token` names: a batch is answered piece by piece.
pub fn duplicate(token: Token) -> Option<Token> {
    let original = find(token).filter(|slot| slot.is_live(token))?;
    Some(original.copy_to(take()?))
}
