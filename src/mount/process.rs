//! Other programs: started without anything of ours but what they are given, and waited for.

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn, posix_spawnp};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;

/// Our environment for another program, with a variable of its own. That is not set for ourselves: in a process with
/// threads it would not be safe.
pub fn environment(own: Option<(&str, &str)>) -> Result<Vec<CString>, Errno> {
    let kept = std::env::vars_os().filter(|(key, _)| own.is_none_or(|(name, _)| key != name));
    kept.map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat())
        .chain(own.map(|(name, value)| format!("{name}={value}").into_bytes()))
        .map(|variable| CString::new(variable).map_err(|_| Errno::EINVAL))
        .collect()
}

/// Starts a program with fresh signal handling: a program that waits for children of its own fails when we ignore
/// SIGCHLD and it inherits that.
pub fn start(
    program: &CStr,
    args: &[&CStr],
    environment: &[CString],
    files: &PosixSpawnFileActions,
) -> Result<Pid, Errno> {
    posix_spawn(program, files, &fresh_signals()?, args, environment)
}

/// Like `start`, for a program that is looked for in PATH.
pub fn start_from_path(
    program: &CStr,
    args: &[&CStr],
    environment: &[CString],
    files: &PosixSpawnFileActions,
) -> Result<Pid, Errno> {
    posix_spawnp(program, files, &fresh_signals()?, args, environment)
}

fn fresh_signals() -> Result<PosixSpawnAttr, Errno> {
    let mut attr = PosixSpawnAttr::init()?;
    let mut reset = SigSet::empty();
    reset.add(Signal::SIGCHLD);
    reset.add(Signal::SIGPIPE);
    attr.set_sigdefault(&reset)?;
    attr.set_sigmask(&SigSet::empty())?;
    attr.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
    Ok(attr)
}

/// How a child ended.
#[derive(Debug)]
pub enum Ended {
    /// It reports success.
    Well,
    /// It does not, and this is how it ended.
    Badly(String),
    /// The daemon takes all its children's statuses itself.
    Unknown,
}

/// Waits for a child to end.
pub fn wait(child: Pid) -> Ended {
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            Err(_) => return Ended::Unknown,
            Ok(WaitStatus::Exited(_, 0)) => return Ended::Well,
            Ok(WaitStatus::Exited(_, code)) => return Ended::Badly(format!("it ended with status {code}")),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ended::Badly(format!("it was ended by {signal}")),
            Ok(_) => {}
        }
    }
}
