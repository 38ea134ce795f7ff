//! From a request to the daemon's C callback, and from the daemon's answer back to the request.
//!
//! [`CTable`] is the [`Handler`](crate::session::Handler) behind `struct fuse_lowlevel_ops`, [`CuseTable`] the one
//! behind `struct cuse_lowlevel_ops`; [`Pending`] is what a `fuse_req_t` leads to.
//!
//! One of the few folders with unsafe code: C functions are called, and handles from C are followed.

mod arguments;
mod attach;
mod call;
mod cuse;
mod kept;
mod opens;
mod poll;
mod request;
mod resend;
mod table;

pub use attach::{attach, detach};
pub use cuse::CuseTable;
pub use poll::PollHandle;
pub use request::{Pending, find, live, with_request, with_seat, with_session};
pub use resend::{ResendHooks, with_kept};
pub use table::CTable;
