//! Moves whole messages: /dev/fuse and its clones, the entries of io_uring, or the daemon's own I/O functions; by memory or through pipes. Knows
//! fds, not opcodes.
//!
//! One of the few folders with unsafe code: system calls without a safe wrapper and the daemon's C functions.

mod buffer;
mod channel;
mod custom;
pub mod fd;
pub mod fork;
pub mod fsmount;
pub mod pipe;
pub mod privilege;
mod shared;
mod spare;
pub mod threads;
pub mod uring;
pub mod wake;

pub use buffer::Buffer;
pub use channel::{Channel, Splice};
pub use custom::CustomIo;
pub use shared::Shared;
pub use spare::Spares;

use nix::unistd::{SysconfVar, sysconf};

/// Bytes of a page.
pub fn page_size() -> usize {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096)
}
