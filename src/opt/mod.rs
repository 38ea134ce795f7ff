//! Command lines: the engine behind `fuse_opt.h`, and what every daemon's command line has in common.
//!
//! [`parse()`] walks an [`Args`] list against a table of [`Spec`]s and tells a handler what it met; what the handler
//! does not consume stays in the list for the next parser. That is how libfuse lets the daemon, the command line, the
//! session and the mount each take their own options out of one list:
//!
//! ```text
//! let specs = [Spec::new(c"max_read=%u", Opt::MaxRead), Spec::new(c"ro", Opt::ReadOnly)];
//! opt::parse(&mut args, &specs, &mut |event, _| match event {
//!     Event::Matched { tag: Opt::MaxRead, arg, value } => { max_read = scan::param(arg, value)?; Ok(Verdict::Drop) }
//!     Event::Matched { tag: Opt::ReadOnly, .. } => { read_only = true; Ok(Verdict::Drop) }
//!     Event::Unknown(_) | Event::NonOption(_) => Ok(Verdict::Keep),
//! })?;
//! ```
#![forbid(unsafe_code)]

mod args;
pub mod cmdline;
pub mod group;
pub mod io_uring;
pub mod loop_config;
mod parse;
pub mod scan;
pub mod template;

pub use args::{ArgList, Args};
pub use parse::{Event, Spec, Value, Verdict, parse, parse_into};

/// What the option parser and its handlers return: EINVAL for bad input, ENOMEM when memory ran out. The line that
/// says why has been logged by whoever made the error.
pub type Result<T> = core::result::Result<T, nix::errno::Errno>;
