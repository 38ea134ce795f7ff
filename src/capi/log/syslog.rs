//! Logging to syslog(3). Only since 3.17, so not in so.3.

use super::va_list;
use crate::abi::c::log::fuse_log_level;
use core::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    fn vsyslog(priority: c_int, fmt: *const c_char, ap: va_list);
}

/// Whether the default log function writes to the system's log.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Whether fuse_log_enable_syslog() was called.
pub(super) fn is_enabled() -> bool {
    ENABLED.load(Ordering::Acquire)
}

/// Writes a line. The levels of fuse_log() are syslog's.
///
/// # Safety
/// `fmt` and `ap` are what vprintf(3) takes.
pub(super) unsafe fn write(level: fuse_log_level, fmt: *const c_char, ap: va_list) {
    // SAFETY: as the caller vouches.
    unsafe { vsyslog(level, fmt, ap) };
}

/// Writes log lines to the system's log instead of stderr, unless fuse_set_log_func() has set a function.
///
/// - `ident`: stands in front of each line. Not copied: it must live until fuse_log_close_syslog(). NULL for the
///   program's name.
/// - `option`, `facility`: as for openlog(3).
///
/// Call it before other threads log. Since libfuse 3.17.
///
/// # Safety
/// `ident` is null or a NUL-terminated string that lives as said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_log_enable_syslog(ident: *const c_char, option: c_int, facility: c_int) {
    // SAFETY: the caller vouches for the string.
    unsafe { libc::openlog(ident, option, facility) };
    ENABLED.store(true, Ordering::Release);
}
symver!(fuse_log_enable_syslog, "FUSE_3.17");

/// Closes the connection to the system's log, after which `ident` is not needed any more. Later lines still go there,
/// under the program's name. Since libfuse 3.17.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_log_close_syslog() {
    // SAFETY: a plain call.
    unsafe { libc::closelog() };
}
symver!(fuse_log_close_syslog, "FUSE_3.17");
