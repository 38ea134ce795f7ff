//! Types of `fuse_log.h`.

use core::ffi::c_int;

/// Severity of a log line. The numbers are those of syslog(3): the smaller, the graver.
pub type fuse_log_level = c_int;
/// The system cannot be used.
pub const FUSE_LOG_EMERG: fuse_log_level = 0;
/// Somebody must act at once.
pub const FUSE_LOG_ALERT: fuse_log_level = 1;
/// Something is broken that other things depend on.
pub const FUSE_LOG_CRIT: fuse_log_level = 2;
/// An operation failed.
pub const FUSE_LOG_ERR: fuse_log_level = 3;
/// Something is odd; the operation went on.
pub const FUSE_LOG_WARNING: fuse_log_level = 4;
/// As it should be, but worth a line.
pub const FUSE_LOG_NOTICE: fuse_log_level = 5;
/// For information.
pub const FUSE_LOG_INFO: fuse_log_level = 6;
/// For whoever debugs: every request and reply under `-d`.
pub const FUSE_LOG_DEBUG: fuse_log_level = 7;
