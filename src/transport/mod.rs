//! Moves whole messages: /dev/fuse and its clones, or the daemon's own I/O functions. Knows fds, not opcodes.
//!
//! One of the few folders with unsafe code: system calls without a safe wrapper and the daemon's C functions.

mod buffer;
mod channel;
mod custom;
pub mod fd;
pub mod fsmount;
pub mod privilege;
pub mod threads;
pub mod wake;

pub use buffer::Buffer;
pub use channel::Channel;
pub use custom::CustomIo;
