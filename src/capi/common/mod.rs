//! `fuse_common.h`.

pub mod conn_info;
pub mod daemonize;
pub mod loop_config;
pub mod version;
