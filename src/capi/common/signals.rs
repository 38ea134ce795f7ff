//! Signals that end a session.

#[cfg(not(soname = "3"))]
mod failing;

use crate::abi::c::common::fuse_session;
use crate::capi::log;
use crate::capi::result::ToC;
use crate::session::Session;
use crate::transport::fork::Inside;
use core::ffi::c_int;
use nix::errno::Errno;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Signals that end the session: the loop returns their number.
const ENDING: [c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];

/// The session that signals end: the last one that asked for it.
static SESSION: AtomicPtr<Session> = AtomicPtr::new(core::ptr::null_mut());
/// Threads in a handler.
static HANDLING: Inside = Inside::new();

extern "C" fn end(signal: c_int) {
    let _handling = HANDLING.enter();
    let session = SESSION.load(Ordering::SeqCst);
    // SAFETY: the pointer is null or a session's: fuse_session_destroy() takes it out before it frees the session, and waits.
    if let Some(session) = unsafe { session.as_ref() } {
        let errno = Errno::last();
        session.exit_with(signal);
        errno.set();
    }
}

/// A handler of its own, and not SIG_IGN, so that removing the handlers can tell whether the daemon ignores SIGPIPE.
extern "C" fn nothing(_: c_int) {}

/// A signal and its handler.
type Handled = (c_int, extern "C" fn(c_int));

/// The signals of fuse_set_signal_handlers().
fn handlers() -> impl Iterator<Item = Handled> {
    let ending = ENDING.into_iter().map(|signal| (signal, end as extern "C" fn(c_int)));
    ending.chain([(libc::SIGPIPE, nothing as extern "C" fn(c_int))])
}

/// Changes a signal's disposition from `from` to `to`, and leaves any other alone.
fn replace(signal: c_int, from: libc::sighandler_t, to: libc::sighandler_t) -> Result<(), Errno> {
    // SAFETY: both actions are valid storage; handlers only do what is async-signal-safe.
    unsafe {
        let mut present: libc::sigaction = core::mem::zeroed();
        Errno::result(libc::sigaction(signal, core::ptr::null(), &mut present))?;
        if present.sa_sigaction == from {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = to;
            // Where the program gave the thread a stack for signals, it is used: its own may be what overflowed.
            action.sa_flags = libc::SA_ONSTACK;
            Errno::result(libc::sigaction(signal, &action, core::ptr::null_mut()))?;
        }
    }
    Ok(())
}

/// Ends the session on SIGHUP, SIGINT and SIGTERM, and ignores SIGPIPE, where these have their default dispositions.
///
/// The session's loop then returns the signal's number. With several sessions the last one to call this counts. Call
/// it on one thread, before the loop. Returns 0, or -1 with errno after a log line. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_set_signal_handlers(se: *mut fuse_session) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { set(se) }.status()
}
symver!(fuse_set_signal_handlers, "FUSE_3.0");

/// What fuse_set_signal_handlers() does.
///
/// # Safety
/// `se` is a session.
pub unsafe fn set(se: *mut fuse_session) -> Result<(), Errno> {
    // SAFETY: as the caller vouches.
    unsafe { install(se, handlers()) }
}

/// Makes `se` the session that signals mean, and handles `signals` where they have their default dispositions.
///
/// # Safety
/// `se` is a session.
unsafe fn install(se: *mut fuse_session, signals: impl Iterator<Item = Handled>) -> Result<(), Errno> {
    log::install();
    SESSION.store(se.cast(), Ordering::SeqCst);
    for (signal, handler) in signals {
        replace(signal, libc::SIG_DFL, handler as *const () as usize).inspect_err(|errno| {
            ::log::error!("the handler of signal {signal} cannot be set: {}", errno.desc());
        })?;
    }
    Ok(())
}

/// Ends the process on SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE and SIGSEGV only after the log has said so and where it
/// happened, where these have their default dispositions. The process ends by SIGABRT then, whichever it was.
///
/// With several sessions the last one to call this or fuse_set_signal_handlers() counts for both. Call it on one
/// thread, before the loop. A function set with fuse_set_log_func() is called on the failing thread, in the signal
/// handler. Returns 0, or -1 with errno after a log line. Since libfuse 3.17.
///
/// # Safety
/// `se` is a session.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_set_fail_signal_handlers(se: *mut fuse_session) -> c_int {
    failing::prepare();
    // SAFETY: as the caller vouches.
    unsafe { install(se, failing::handlers()) }.status()
}
#[cfg(not(soname = "3"))]
symver!(fuse_set_fail_signal_handlers, "FUSE_3.17");

/// Gives the signals of fuse_set_signal_handlers() and, in so.4, fuse_set_fail_signal_handlers() their default
/// dispositions back, where its handlers are still in place. Call it after the loop. A session that did not set them is
/// a log line. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_remove_signal_handlers(se: *const fuse_session) {
    remove(se);
}
symver!(fuse_remove_signal_handlers, "FUSE_3.0");

/// What fuse_remove_signal_handlers() does.
pub fn remove(se: *const fuse_session) {
    if SESSION.swap(core::ptr::null_mut(), Ordering::SeqCst) != se.cast_mut().cast() {
        ::log::error!("fuse_remove_signal_handlers: the session has no signal handlers");
    }
    #[cfg(soname = "3")]
    let all = handlers();
    #[cfg(not(soname = "3"))]
    let all = handlers().chain(failing::handlers());
    for (signal, handler) in all {
        if let Err(errno) = replace(signal, handler as *const () as usize, libc::SIG_DFL) {
            ::log::error!("the handler of signal {signal} cannot be removed: {}", errno.desc());
        }
    }
}

/// The session is going away: signals must not reach it any more, on other threads neither.
pub fn forget(se: *mut fuse_session) {
    let _ = SESSION.compare_exchange(se.cast(), core::ptr::null_mut(), Ordering::SeqCst, Ordering::SeqCst);
    HANDLING.wait_until_empty();
}
