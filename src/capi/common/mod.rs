//! `fuse_common.h`.

pub mod buf;
pub mod conn_info;
pub mod daemonize;
pub mod loop_config;
mod poll;
pub mod signals;
pub mod version;
