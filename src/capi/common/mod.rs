//! `fuse_common.h`.

pub mod buf;
pub mod conn_info;
pub mod daemonize;
#[cfg(not(soname = "3"))]
mod features;
mod init_flags;
pub mod loop_config;
mod poll;
pub mod signals;
pub mod version;
