//! `fuse_log.h`.

use crate::abi::c::log::{FUSE_LOG_DEBUG, FUSE_LOG_ERR, FUSE_LOG_INFO, FUSE_LOG_WARNING, fuse_log_level};
use core::ffi::{c_char, c_int, c_void};
use std::ffi::{CStr, CString};
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

#[cfg(not(soname = "3"))]
mod syslog;
mod variadic;

/// C's `va_list` as a parameter: on x86_64 an array type that decays to a pointer, on aarch64 a struct passed by
/// reference. It is only passed on, never looked into.
pub type va_list = *mut c_void;

/// Receives each log line: its severity and what printf(3) would get. The message may lack a newline or end in one.
pub type fuse_log_func_t = Option<unsafe extern "C" fn(level: fuse_log_level, fmt: *const c_char, ap: va_list)>;

unsafe extern "C" {
    fn vdprintf(fd: c_int, fmt: *const c_char, ap: va_list) -> c_int;
    /// Logs a message through the log function: severity, then what printf(3) takes (libfuse 3.7).
    fn fuse_log(level: fuse_log_level, fmt: *const c_char, ...);
}

/// The daemon's log function; null for the default, which writes to stderr.
static LOG_FUNC: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Sets the function that receives every log line of the library and of fuse_log(), or with NULL goes back to the
/// default, which writes to stderr.
///
/// May be called at any time from any thread; a line that is being written meanwhile may still reach the old
/// function. Since libfuse 3.7.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_set_log_func(func: fuse_log_func_t) {
    let raw = func.map_or(core::ptr::null_mut(), |f| f as *mut c_void);
    LOG_FUNC.store(raw, Ordering::Release);
}
symver!(fuse_set_log_func, "FUSE_3.7");

/// Writes to stderr, or to the system's log where the daemon asked for that.
///
/// # Safety
/// `fmt` and `ap` are what vprintf(3) takes.
unsafe fn log_by_default(level: fuse_log_level, fmt: *const c_char, ap: va_list) {
    #[cfg(not(soname = "3"))]
    if syslog::is_enabled() {
        // SAFETY: as the caller vouches.
        return unsafe { syslog::write(level, fmt, ap) };
    }
    #[cfg(soname = "3")]
    let _ = level;
    // SAFETY: as the caller vouches.
    unsafe { vdprintf(libc::STDERR_FILENO, fmt, ap) };
}

/// Where the assembler half of fuse_log() arrives, with its variable arguments as a va_list.
unsafe extern "C" fn log_with_va_list(level: fuse_log_level, fmt: *const c_char, ap: va_list) {
    let raw = LOG_FUNC.load(Ordering::Acquire);
    if raw.is_null() {
        // SAFETY: fmt and ap are what the caller of fuse_log() passed for printf(3).
        return unsafe { log_by_default(level, fmt, ap) };
    }
    // SAFETY: LOG_FUNC holds nothing but null and functions of this type, from fuse_set_log_func().
    let func = unsafe {
        core::mem::transmute::<*mut c_void, unsafe extern "C" fn(fuse_log_level, *const c_char, va_list)>(raw)
    };
    // SAFETY: as above, and the function takes what vprintf(3) takes.
    unsafe { func(level, fmt, ap) };
}

/// Sends the records of the `log` crate, which the library writes, to the daemon's log function.
struct FuseLogger;

impl log::Log for FuseLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => FUSE_LOG_ERR,
            log::Level::Warn => FUSE_LOG_WARNING,
            log::Level::Info => FUSE_LOG_INFO,
            log::Level::Debug | log::Level::Trace => FUSE_LOG_DEBUG,
        };
        // A NUL inside cannot reach C whole: show it as the escape that Rust would print.
        // Debug output is read side by side with libfuse's, which has no prefix there.
        let prefix = if record.level() < log::Level::Debug { "fuse: " } else { "" };
        let line = format!("{prefix}{}\n", record.args()).replace('\0', "\\0");
        let Ok(line) = CString::new(line) else { return };
        write(level, &line);
    }

    fn flush(&self) {}
}

/// Hands a text over as it is, newline included.
pub fn write(level: fuse_log_level, text: &CStr) {
    // SAFETY: the format takes one string, which is NUL-terminated and lives until the call returns.
    unsafe { fuse_log(level, c"%s".as_ptr(), text.as_ptr()) };
}

/// Routes the library's own log lines, and the message of a panic, to fuse_log(). Every entry point that may log
/// first calls it; only the first call does something.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if log::set_logger(&FuseLogger).is_ok() {
            log::set_max_level(log::LevelFilter::Debug);
        }
        // stderr is /dev/null once daemonized; the log function may be syslog.
        std::panic::set_hook(Box::new(|info| log::error!("internal error, aborting: {info}")));
    });
}
