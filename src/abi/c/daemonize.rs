//! Constants of `fuse_daemonize.h`.

use core::ffi::c_int;

/// For fuse_daemonize_early_start(): stay in the present directory.
pub const FUSE_DAEMONIZE_NO_CHDIR: c_int = 1 << 0;
/// For fuse_daemonize_early_start(): stay in the foreground.
pub const FUSE_DAEMONIZE_NO_BACKGROUND: c_int = 1 << 1;
