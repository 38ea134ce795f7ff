//! fuse_daemonize().

use crate::capi::log;
use crate::capi::result::ToC;
use core::ffi::c_int;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, read, setsid, write};
use std::os::fd::OwnedFd;

/// Puts the process into the background, unless `foreground` is not 0, and changes to the root directory.
///
/// In the background it is the leader of a session of its own and its standard streams are `/dev/null`. The process
/// that called ends with status 0 as soon as that is so; what it registered with atexit(3) does not run. Threads do
/// not survive: call it before fuse_session_loop() and before starting any.
///
/// Returns 0 in the process that goes on, or -1 with errno after a log line: EALREADY where in so.4
/// fuse_daemonize_early_start() has put the process into the background. Since libfuse 3.0.
///
/// # Safety
/// The process has no other thread, or none whose work the child would miss, such as a held lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_daemonize(foreground: c_int) -> c_int {
    // SAFETY: by contract.
    unsafe { daemonize(foreground != 0) }.status()
}
symver!(fuse_daemonize, "FUSE_3.0");

/// What fuse_daemonize() does. The line that says why it failed has been logged.
///
/// # Safety
/// As fuse_daemonize().
pub unsafe fn daemonize(foreground: bool) -> Result<(), Errno> {
    log::install();
    #[cfg(not(soname = "3"))]
    if crate::session::start::was_expected() {
        ::log::error!("fuse_daemonize: the process is a daemon already, by fuse_daemonize_early_start()");
        return Err(Errno::EALREADY);
    }
    if foreground {
        enter_root();
        return Ok(());
    }
    // SAFETY: by contract.
    let (waiting, ready) = unsafe { background() }?;
    enter_root();
    detach(&Stream::ALL);
    // The parent may be gone; then nobody waits for this, and the other end is our own: no SIGPIPE.
    let _ = write(&ready, &[1]);
    drop(waiting);
    Ok(())
}

/// Forks, and goes on in the child with a session of its own. The parent waits for a byte at the first fd that is returned,
/// from the second.
///
/// # Safety
/// As fuse_daemonize().
unsafe fn background() -> Result<(OwnedFd, OwnedFd), Errno> {
    let failed = |call: &'static str| move |errno: &Errno| ::log::error!("cannot daemonize: {call}: {}", errno.desc());
    let (waiting, ready) = pipe2(OFlag::O_CLOEXEC).inspect_err(failed("pipe"))?;
    let waiting = above_streams(waiting).inspect_err(failed("dup"))?;
    let ready = above_streams(ready).inspect_err(failed("dup"))?;
    // SAFETY: by contract.
    match unsafe { fork() }.inspect_err(failed("fork"))? {
        ForkResult::Parent { .. } => {
            drop(ready);
            let done = wait_for_byte(&waiting);
            // SAFETY: ends the process without the exit handlers, which are the child's now.
            unsafe { libc::_exit(if done { 0 } else { 1 }) }
        }
        ForkResult::Child => {
            setsid().inspect_err(failed("setsid"))?;
            Ok((waiting, ready))
        }
    }
}

/// Whether a byte came before the other end was closed.
fn wait_for_byte(fd: &OwnedFd) -> bool {
    loop {
        match read(fd, &mut [0]) {
            Err(Errno::EINTR) => {}
            result => return result == Ok(1),
        }
    }
}

/// Changes to the root directory.
pub fn enter_root() {
    if let Err(errno) = chdir("/") {
        ::log::warn!("cannot change to the root directory: {}", errno.desc());
    }
}

/// A standard stream.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl Stream {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Input, Self::Output, Self::Error];
}

/// Makes standard streams `/dev/null`.
pub fn detach(streams: &[Stream]) {
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
    let null = match null.and_then(above_streams) {
        Ok(null) => null,
        Err(errno) => {
            return ::log::warn!("cannot detach from the terminal: /dev/null: {}", errno.desc());
        }
    };
    for stream in streams {
        let done = match stream {
            Stream::Input => dup2_stdin(&null),
            Stream::Output => dup2_stdout(&null),
            Stream::Error => dup2_stderr(&null),
        };
        if let Err(errno) = done {
            ::log::warn!("cannot detach from the terminal: {}", errno.desc());
        }
    }
}

/// The same file with a number above 2: where the program has closed a standard stream, a new fd takes its place, and
/// would be replaced when the streams are.
pub fn above_streams(fd: OwnedFd) -> nix::Result<OwnedFd> {
    // try_clone() picks no number below 3.
    fd.try_clone().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EBADF)))
}
