//! `fuse_lowlevel.h`.

mod direntry;
mod loops;
mod notify;
#[cfg(not(soname = "3"))]
mod passthrough;
mod receive;
mod reply;
mod reply_data;
mod reply_ioctl;
mod request;
mod session;
