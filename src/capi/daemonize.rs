//! `fuse_daemonize.h`: into the background before the mount, and not after it. The process that was started ends only
//! when the file system is there, or with the status of what went wrong.

use crate::abi::c::daemonize::{FUSE_DAEMONIZE_NO_BACKGROUND, FUSE_DAEMONIZE_NO_CHDIR};
use crate::capi::common::daemonize::{Stream, above_streams, detach, enter_root};
use crate::capi::log;
use crate::capi::result::ToC;
use crate::session::start;
use core::ffi::{c_int, c_uint};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{ForkResult, fork, pipe2, read, setsid, write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// What the parent ends with when it hears nothing.
const NOTHING_HEARD: c_int = 1;

/// Puts the process into the background and changes to the root directory, before anything is mounted. The process that
/// called waits there, and ends as the daemon says: with status 0 once the file system is mounted and the kernel's
/// first request is answered, or with what fuse_daemonize_early_fail() is given, or with 1 when the daemon ends before.
/// The daemon ends if it is killed meanwhile.
///
/// - `flags`: FUSE_DAEMONIZE_NO_CHDIR, FUSE_DAEMONIZE_NO_BACKGROUND.
///
/// The daemon leads a session of its own; its standard input is `/dev/null` at once, output and error are once it has
/// started. Threads do not survive: call it before any is started, and before fuse_session_mount(). A second call does
/// nothing. fuse_daemonize() is not to be called then.
/// Returns 0 in the process that goes on, or a negative errno after a log line. Since libfuse 3.19.
///
/// # Safety
/// The process has no other thread, or none whose work the child would miss, such as a held lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_daemonize_early_start(flags: c_uint) -> c_int {
    log::install();
    let has = |flag: c_int| flags & flag as c_uint != 0;
    if start::was_expected() {
        return 0;
    }
    if !has(FUSE_DAEMONIZE_NO_CHDIR) {
        enter_root();
    }
    if has(FUSE_DAEMONIZE_NO_BACKGROUND) {
        return 0;
    }
    // SAFETY: as the caller vouches.
    unsafe { background() }.code()
}
symver!(fuse_daemonize_early_start, "FUSE_3.19");

/// Forks, and goes on in the child.
///
/// # Safety
/// As fuse_daemonize_early_start().
unsafe fn background() -> Result<(), Errno> {
    let failed = |call: &'static str| move |errno: &Errno| ::log::error!("cannot daemonize: {call}: {}", errno.desc());
    let (hear, tell) = pipe2(OFlag::O_CLOEXEC).inspect_err(failed("pipe"))?;
    // Its other end is closed when the parent is gone.
    let (parent, alive) = pipe2(OFlag::O_CLOEXEC).inspect_err(failed("pipe"))?;
    let tell = above_streams(tell).inspect_err(failed("dup"))?;
    let parent = above_streams(parent).inspect_err(failed("dup"))?;
    // SAFETY: by contract.
    match unsafe { fork() }.inspect_err(failed("fork"))? {
        ForkResult::Parent { .. } => {
            drop((tell, parent));
            let status = heard(&hear);
            // SAFETY: ends the process without the exit handlers, which are the child's now.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Child => {
            drop((hear, alive));
            setsid().inspect_err(failed("setsid"))?;
            detach(&[Stream::Input]);
            watch_parent(tell, parent).inspect_err(failed("a thread that watches the parent"))
        }
    }
}

/// What the child says.
fn heard(hear: &OwnedFd) -> c_int {
    let mut status = [0; size_of::<c_int>()];
    loop {
        match read(hear, &mut status) {
            Err(Errno::EINTR) => {}
            Ok(n) if n == status.len() => return c_int::from_ne_bytes(status),
            _ => return NOTHING_HEARD,
        }
    }
}

/// Has the daemon end with its parent, until the parent is told how it went.
fn watch_parent(tell: OwnedFd, parent: OwnedFd) -> Result<(), Errno> {
    let enough = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?);
    let its = enough.clone();
    let watcher = std::thread::Builder::new().name("fuse-parent".into());
    let watcher = watcher.spawn(move || end_with(&parent, &its));
    let watcher = watcher.map_err(|error| error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))?;
    start::expect(Box::new(move |status| {
        // First: the parent ends when it hears.
        let _ = enough.write(1);
        let _ = watcher.join();
        if let Err(errno) = write(&tell, &status.to_ne_bytes()) {
            ::log::warn!("the process that waits could not be told: {}", errno.desc());
        }
        if status == 0 {
            detach(&[Stream::Output, Stream::Error]);
        }
    }));
    Ok(())
}

/// Ends the process when the other end of `parent` is closed, unless there is `enough` before.
fn end_with(parent: &OwnedFd, enough: &EventFd) {
    loop {
        let mut fds = [PollFd::new(enough.as_fd(), PollFlags::POLLIN), PollFd::new(parent.as_fd(), PollFlags::empty())];
        if matches!(poll(&mut fds, PollTimeout::NONE), Err(errno) if errno != Errno::EINTR) {
            return;
        }
        let [enough, parent] = fds.map(|fd| fd.any().unwrap_or(false));
        if enough {
            return;
        }
        if parent {
            // SAFETY: ends the process at once: nobody waits for the file system any more.
            unsafe { libc::_exit(NOTHING_HEARD) }
        }
    }
}

/// Tells the process that waits that the daemon has started. Needs no call: the library does so by itself. Before the
/// mount and the kernel's first request it does nothing, and neither when nobody waits. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_daemonize_early_success() {
    start::report();
}
symver!(fuse_daemonize_early_success, "FUSE_3.19");

/// Tells the process that waits that the daemon cannot start.
///
/// - `err`: the status that it ends with, of which the lowest 8 bits count. 0 stands for 1: it is no failure.
///
/// The daemon goes on, to clean up. Does nothing when nobody waits. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_daemonize_early_fail(err: c_int) {
    start::finish(if err == 0 { NOTHING_HEARD } else { err });
}
symver!(fuse_daemonize_early_fail, "FUSE_3.19");

/// Whether a process waits to hear how the daemon starts. Since libfuse 3.19.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_daemonize_early_is_active() -> bool {
    start::is_expected()
}
symver!(fuse_daemonize_early_is_active, "FUSE_3.19");
