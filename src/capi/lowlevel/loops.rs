//! Loops. What holds for all of them:
//!
//! They serve until the session ends, which fuse_session_exit(), a signal under fuse_set_signal_handlers() and an
//! unmount from outside do, and return 0, the number of the signal, or a negative errno after a log line. Afterwards
//! fuse_session_exited() still says 1, and fuse_session_reset() makes the session ready for another loop; for programs
//! on libfuse3.so.3 the loops do that themselves, as in libfuse 3.14.

use super::session::with_session;
use crate::abi::c::common::{fuse_loop_config, fuse_loop_config_v1, fuse_session};
use crate::capi::common::loop_config;
use crate::opt::loop_config::LoopConfig;
use crate::session::Session;
use core::ffi::c_int;
use nix::errno::Errno;

fn code(ended: Option<Result<i32, Errno>>) -> c_int {
    ended.unwrap_or(Err(Errno::EINVAL)).unwrap_or_else(|errno| -(errno as c_int))
}

/// # Safety
/// `se` is null or a session.
unsafe fn run_pool(se: *mut fuse_session, config: LoopConfig) -> c_int {
    config.warn_if_odd();
    // SAFETY: the caller vouches for the session.
    code(unsafe { with_session(se, |se| se.run_pool(config)) })
}

/// Serves requests on the calling thread, one after the other.
///
/// The thread may be cancelled (pthread_cancel(3)) while it waits for a request, which leaves the memory that it receives
/// into behind, somewhat more than `max_write`.
/// Returns 0, the number of the signal that ended the session, or a negative errno. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session that exists until the loop returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_loop(se: *mut fuse_session) -> c_int {
    // SAFETY: the caller vouches for the session.
    code(unsafe { with_session(se, Session::run) })
}
symver!(fuse_session_loop, "FUSE_3.0");

/// Serves requests on several threads.
///
/// `config`: from fuse_loop_cfg_create(), or NULL for its defaults; read when the loop starts. Another struct, such as
/// that of API 3.2, is a log line, and the defaults hold. FUSE_THREAD_STACK in the environment sets the stack's size of a
/// thread in bytes. Programs call it as fuse_session_loop_mt().
///
/// The calling thread waits, and cannot be cancelled meanwhile; all other threads were joined when it returns. They block
/// SIGTERM, SIGINT, SIGHUP and SIGQUIT, and cannot be cancelled. A callback that ends its thread by pthread_exit(3) is
/// survived, and another thread takes its place; the request can still be replied to.
/// Returns 0, the number of the signal that ended the session, or a negative errno. Since libfuse 3.12.
///
/// # Safety
/// `se` is a session that exists until the loop returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_loop_mt_312(se: *mut fuse_session, config: *mut fuse_loop_config) -> c_int {
    // SAFETY: the caller vouches for both.
    unsafe { run_pool(se, loop_config::get(config)) }
}
symver!(fuse_session_loop_mt_312, "FUSE_3.12");
symver!(fuse_session_loop_mt_312 as fuse_session_loop_mt @@ "FUSE_3.12");

/// As fuse_session_loop_mt_312(), for programs of API 3.2 to 3.11. An idle limit over 100000 is ignored, with a log
/// line. Since libfuse 3.2.
///
/// # Safety
/// `se` is a session that exists until the loop returns; `config` is null or points to the struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_loop_mt_32(se: *mut fuse_session, config: *mut fuse_loop_config_v1) -> c_int {
    // SAFETY: the caller vouches for both.
    unsafe { run_pool(se, loop_config::get_v1(config)) }
}
symver!(fuse_session_loop_mt_32, "FUSE_3.2");
symver!(fuse_session_loop_mt_32 as fuse_session_loop_mt @ "FUSE_3.2");

/// As fuse_session_loop_mt_312(), for programs of API 3.0 and 3.1: `clone_fd` not 0 gives each worker a device fd of
/// its own. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session that exists until the loop returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_loop_mt_31(se: *mut fuse_session, clone_fd: c_int) -> c_int {
    let config = LoopConfig { clone_fd: clone_fd > 0, ..LoopConfig::default() };
    // SAFETY: the caller vouches for the session.
    unsafe { run_pool(se, config) }
}
symver!(fuse_session_loop_mt_31, "FUSE_3.2");
symver!(fuse_session_loop_mt_31 as fuse_session_loop_mt @ "FUSE_3.0");
