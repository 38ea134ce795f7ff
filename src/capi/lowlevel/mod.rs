//! `fuse_lowlevel.h`.

mod attach;
mod channel;
#[cfg(not(soname = "3"))]
mod contexts;
mod direntry;
mod loops;
mod nodes;
mod notify;
mod options;
mod own;
#[cfg(not(soname = "3"))]
mod passthrough;
mod receive;
mod recovery;
mod reply;
mod reply_data;
mod reply_ioctl;
mod request;
pub mod session;
#[cfg(not(soname = "3"))]
mod uring;
#[cfg(not(soname = "3"))]
mod watchdog;
