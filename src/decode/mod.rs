//! Bytes of a request to a [`Request`].
//!
//! Total: every byte string is a request, or a [`Fault`] that says which reply is owed. Arguments are read through
//! the [`cursor`] and nothing else, so no read leaves the message.
#![forbid(unsafe_code)]

#[cfg(test)]
mod aligned;
mod cursor;
mod describe;
mod extensions;
mod flags;
mod name;
mod operation;
mod payload;
mod request;

pub use cursor::Malformed;
pub use extensions::{
    Extensions, SecurityContext, SecurityContexts, extensions, security_context, supplementary_groups,
};
pub use name::Name;
pub use operation::{Forgets, Operation, Security};
pub use payload::{PIPED_HEAD, Payload, Piped, piped};
pub use request::{Dialect, Fault, Request, header, is_aligned, ordinary, ordinary_request, request};
