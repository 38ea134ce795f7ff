//! Types of `fuse_log.h`.

use core::ffi::c_int;

/// Severity of a log line: the numbers of syslog(3), smaller is graver.
pub type fuse_log_level = c_int;
/// The system is unusable.
pub const FUSE_LOG_EMERG: fuse_log_level = 0;
/// Something must be done at once.
pub const FUSE_LOG_ALERT: fuse_log_level = 1;
/// A critical condition.
pub const FUSE_LOG_CRIT: fuse_log_level = 2;
/// An operation failed.
pub const FUSE_LOG_ERR: fuse_log_level = 3;
/// Something is odd; the operation went on.
pub const FUSE_LOG_WARNING: fuse_log_level = 4;
/// Normal, but worth a line.
pub const FUSE_LOG_NOTICE: fuse_log_level = 5;
/// For information.
pub const FUSE_LOG_INFO: fuse_log_level = 6;
/// For whoever debugs.
pub const FUSE_LOG_DEBUG: fuse_log_level = 7;
