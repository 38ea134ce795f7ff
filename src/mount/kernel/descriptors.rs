//! Mounting by file descriptors (Linux 5.2), whose parameters are not limited to a page together, and where the kernel
//! says what it dislikes.

use super::{Mounted, parameters, report};
use crate::mount::device::open_device;
use crate::mount::early::{Early, Serving};
use crate::mount::escape;
use crate::mount::id::MountId;
use crate::mount::options::{MS_NOSYMFOLLOW, Options};
use crate::mount::target::Target;
use crate::transport::fsmount::{Attributes, Context, VALUE_MAX, attach};
use nix::errno::Errno;
use nix::mount::MsFlags;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// Flags that are the mount's own.
const ATTRIBUTES: [(MsFlags, Attributes); 7] = [
    (MsFlags::MS_RDONLY, Attributes::RDONLY),
    (MsFlags::MS_NOSUID, Attributes::NOSUID),
    (MsFlags::MS_NODEV, Attributes::NODEV),
    (MsFlags::MS_NOEXEC, Attributes::NOEXEC),
    (MsFlags::MS_NOATIME, Attributes::NOATIME),
    (MsFlags::MS_NODIRATIME, Attributes::NODIRATIME),
    (MS_NOSYMFOLLOW, Attributes::NOSYMFOLLOW),
];

/// Flags that are the file system's.
const PARAMETERS: [(MsFlags, &CStr); 3] =
    [(MsFlags::MS_RDONLY, c"ro"), (MsFlags::MS_SYNCHRONOUS, c"sync"), (MsFlags::MS_DIRSYNC, c"dirsync")];

/// Why it did not work.
enum Failure {
    /// This way is closed, another may be open: an older kernel, a sandbox, a value that is too long for it.
    Unavailable,
    Failed {
        errno: Errno,
        detail: Option<String>,
    },
}

/// Mounts a new connection. None where this way is closed; all else that goes wrong is logged.
pub fn mount(target: &Target, options: &Options, early: Option<&dyn Early>) -> Result<Option<Mounted>, Errno> {
    let base = options.base_type();
    let context = match Context::open(base) {
        Err(errno) if is_closed(errno) => return Ok(None),
        context => context,
    };
    let (device, device_path) = open_device()?;
    let (fstype, source) = options.names(&device_path)?;
    let serving = Serving::begin(early, &device)?;
    let made = context.map_err(|errno| Failure::Failed { errno, detail: None }).and_then(|context| {
        describe(&context, &source, target, options, &device)?;
        make(&context, target, options)
    });
    let served = serving.end(made.is_ok());
    match (made, served) {
        (Ok(mount), Ok(())) => {
            let id = MountId::of(mount.as_fd());
            Ok(Some(Mounted { device, fstype, source, id }))
        }
        (Err(Failure::Unavailable), _) => Ok(None),
        // INIT failed, which has been logged.
        (_, Err(errno)) => Err(errno),
        (Err(Failure::Failed { errno, detail }), Ok(())) => {
            report(target, (&fstype, &source), errno, detail);
            Err(errno)
        }
    }
}

/// Tells the kernel what is to be mounted.
fn describe(
    context: &Context,
    source: &CStr,
    target: &Target,
    options: &Options,
    device: &OwnedFd,
) -> Result<(), Failure> {
    let failed = |errno| failure(context, errno);
    if let Some(subtype) = options.subtype() {
        // Kernels that do not know it have a place for it elsewhere, which mount(2) uses.
        context.set(c"subtype", fitting(subtype)?).map_err(|_| Failure::Unavailable)?;
    }
    context.set(c"source", fitting(source)?).map_err(failed)?;
    for (_, name) in PARAMETERS.iter().filter(|(flag, _)| options.flags().contains(*flag)) {
        context.set_flag(name).map_err(failed)?;
    }
    for parameter in parameters(device, target, options).map_err(failed)? {
        match &parameter.value {
            None => context.set_flag(&parameter.key),
            Some(value) => context.set(&parameter.key, fitting(&escape::unquoted(value))?),
        }
        .map_err(failed)?;
    }
    Ok(())
}

/// Whether these calls are not there, or not for us. Profiles of AppArmor allow mount(2) by its type of file system, which
/// they do not see here, and say EACCES.
fn is_closed(errno: Errno) -> bool {
    matches!(errno, Errno::ENOSYS | Errno::EPERM | Errno::EACCES)
}

/// A value that this way has room for. Only names are ever longer, for which mount(2) has more.
fn fitting(value: &CStr) -> Result<&CStr, Failure> {
    if value.count_bytes() > VALUE_MAX { Err(Failure::Unavailable) } else { Ok(value) }
}

/// Makes the file system, and attaches it.
fn make(context: &Context, target: &Target, options: &Options) -> Result<OwnedFd, Failure> {
    // A sandbox may allow one call and forbid the next.
    let failed = |errno| if is_closed(errno) { Failure::Unavailable } else { failure(context, errno) };
    context.create().map_err(failed)?;
    let set = ATTRIBUTES.iter().filter(|(flag, _)| options.flags().contains(*flag));
    let attributes = set.fold(Attributes::empty(), |all, (_, attribute)| all | *attribute);
    let mount = context.mount(attributes).map_err(|errno| match errno {
        // Kernels before 5.14 know an attribute less than mount(2) has flags.
        Errno::EINVAL => Failure::Unavailable,
        _ => failed(errno),
    })?;
    attach(mount.as_fd(), &target.path).map_err(failed)?;
    Ok(mount)
}

fn failure(context: &Context, errno: Errno) -> Failure {
    Failure::Failed { errno, detail: context.messages() }
}
