//! fusermount3: mounts and unmounts for users who may not, being set-user-id root.
//!
//! It learns from the environment on which socket to send the device it opened and mounted. Asked for auto_unmount,
//! it then stays until the socket is closed, be it by a dying daemon, and unmounts.

mod guard;
mod running;

pub use guard::{Guard, can_guard, guard};

use super::early::{Early, Serving};
use super::options::Options;
use super::process::{self, Ended};
use super::target::Target;
use nix::errno::Errno;
use nix::spawn::PosixSpawnFileActions;
use running::{NAME, Running, start};
use std::ffi::CStr;
use std::os::fd::OwnedFd;

/// Bytes of a line of the mount table at most: the helper looks there for what it is to unmount, with glibc's
/// getmntent(3), which reads a longer one wrong.
const LINE_MAX: usize = 4095;

/// What went wrong.
struct Failure {
    errno: Errno,
    /// None when it was logged already.
    reason: Option<String>,
}

impl Failure {
    fn new(errno: Errno, reason: impl Into<String>) -> Self {
        Self { errno, reason: Some(reason.into()) }
    }

    fn log(self, what: &str, path: &CStr) -> Errno {
        if let Some(reason) = &self.reason {
            log::error!("cannot {what} {} through fusermount3: {reason}", path.to_string_lossy());
        }
        self.errno
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::new(errno, errno.desc())
    }
}

type Mounted = (OwnedFd, Option<Guard>);

/// Mounts through the helper, served by `early` meanwhile where the helper can wait for that; what it complains about
/// is logged.
pub fn mount(target: &Target, options: &Options, early: Option<&dyn Early>) -> Result<Mounted, Errno> {
    let line = options.table_line_length(&target.path)?;
    if line > LINE_MAX {
        let reason =
            format!("its line in the mount table has {line} bytes, with more than {LINE_MAX} it stays mounted");
        return Err(Failure::new(Errno::ENAMETOOLONG, reason).log("mount", &target.path));
    }
    let early = early.filter(|_| knows(c"--sync-init"));
    // Helpers before libfuse 3.17 know no x-* options. Whatever else is wrong shows again without.
    if options.has_third_party()
        && let Ok(mounted) = try_mount(target, options, true, early)
    {
        return Ok(mounted);
    }
    try_mount(target, options, false, early).map_err(|failure| failure.log("mount", &target.path))
}

fn try_mount(
    target: &Target,
    options: &Options,
    third_party: bool,
    early: Option<&dyn Early>,
) -> Result<Mounted, Failure> {
    let list = options.for_helper(third_party)?;
    if early.is_some() {
        let args = [NAME, c"--sync-init", c"-o", &list, c"--", &target.path];
        let mut running = Running::start(&args)?;
        // One that was built without what this needs ends here.
        if let Ok(device) = running.receive_device() {
            return mount_served(running, device, options, early);
        }
    }
    let mut running = Running::start(&[NAME, c"-o", &list, c"--", &target.path])?;
    let device = running.receive_device().inspect_err(|failure| {
        if failure.errno == Errno::EMFILE {
            // It mounted, and there was no number for the device that it sent.
            unmount(&target.path);
        }
    })?;
    Ok((device, keep(running, options)))
}

/// Has the helper mount the device that it sent, while that is served.
fn mount_served(
    mut running: Running,
    device: OwnedFd,
    options: &Options,
    early: Option<&dyn Early>,
) -> Result<Mounted, Failure> {
    let serving = Serving::begin(early, &device).map_err(|errno| Failure { errno, reason: None })?;
    let mounted = running.proceed();
    match (mounted, serving.end(mounted.is_ok())) {
        (Ok(()), Ok(())) => Ok((device, keep(running, options))),
        (_, Err(errno)) => Err(Failure { errno, reason: None }),
        (Err(errno), Ok(())) => Err(running.failure(errno)),
    }
}

/// The helper has mounted: it stays if it is to unmount, too.
fn keep(running: Running, options: &Options) -> Option<Guard> {
    if options.auto_unmount() {
        return Some(running.into_guard());
    }
    if let Some(said) = running.finish() {
        log::warn!("fusermount3: {said}");
    }
    None
}

/// Unmounts through the helper, lazily; a failure is logged.
pub fn unmount(path: &CStr) {
    let failure = match run(&[NAME, c"-u", c"-q", c"-z", c"--", path]) {
        // The helper, told to be quiet, does not say why.
        Ok(Ended::Badly(_)) => Failure::new(Errno::EPERM, "it refused"),
        Ok(_) => return,
        Err(failure) => failure,
    };
    failure.log("unmount", path);
}

/// Lets the helper write its version to stdout; a failure is logged.
pub fn print_version() {
    match run(&[NAME, c"--version"]) {
        Ok(Ended::Badly(how)) => log::error!("'fusermount3 --version' failed: {how}"),
        Ok(_) => {}
        Err(failure) => {
            let reason = failure.reason.unwrap_or_default();
            log::error!("cannot ask fusermount3 for its version: {reason}");
        }
    }
}

/// Runs the helper to its end, with our standard streams, and says how that was.
fn run(args: &[&CStr]) -> Result<Ended, Failure> {
    let files = PosixSpawnFileActions::init()?;
    let child = start(args, &process::environment(None)?, &files)?;
    Ok(process::wait(child))
}

/// Whether the helper has an option that not all have. It stops at the first that it does not know, and does nothing
/// but print its version otherwise. One whose answer is lost is taken for an older one.
fn knows(option: &CStr) -> bool {
    let ended = || -> Result<Ended, Failure> {
        let mut files = PosixSpawnFileActions::init()?;
        running::silence(&mut files)?;
        let child = start(&[NAME, option, c"--version"], &process::environment(None)?, &files)?;
        Ok(process::wait(child))
    };
    matches!(ended(), Ok(Ended::Well))
}
