//! Mounting and unmounting: options, mount(2) for who may use it, fusermount3 for all others.
//!
//! Everything that fails is logged here, in one line that names the path or option, and leaves nothing mounted.
#![forbid(unsafe_code)]

mod device;
mod escape;
mod helper;
mod kernel;
mod options;
mod process;
mod target;
#[cfg(test)]
mod tests;
mod unmount;
mod utab;

pub use helper::print_version as print_helper_version;
pub use options::Options;

use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use target::Target;

/// A mount, to be taken down with `unmount`. Merely dropping it leaves it mounted, except under auto_unmount.
#[derive(Debug)]
pub struct Mount(Kind);

#[derive(Debug)]
enum Kind {
    /// Whoever handed us the device mounted it, and unmounts it.
    Inherited,
    Made {
        path: CString,
        id: Option<u64>,
        recorded: bool,
        guard: Option<helper::Guard>,
    },
}

/// Mounts a new FUSE connection and returns it with its device, on which nothing has been read yet.
///
/// A mountpoint `/dev/fd/N` stands for a device that was opened and mounted by someone else: descriptor N is ours
/// from then on, to be closed.
pub fn mount(mountpoint: &CStr, options: &Options) -> Result<(Mount, OwnedFd), Errno> {
    device::occupy_standard_streams()?;
    if let Some(device) = device::inherited(mountpoint)? {
        return Ok((Mount(Kind::Inherited), device));
    }
    options.check()?;
    let target = Target::find(mountpoint)?;
    // The helper has to know of the mount it guards, so it makes it, for root, too.
    if !options.auto_unmount()
        && let Some(mounted) = kernel::mount(&target, options)?
    {
        let recorded = utab::record(&target, &mounted, options);
        return Ok((Mount::made(target, recorded, None), mounted.device));
    }
    let (device, guard) = helper::mount(&target, options)?;
    Ok((Mount::made(target, false, guard), device))
}

impl Mount {
    fn made(target: Target, recorded: bool, guard: Option<helper::Guard>) -> Self {
        let id = target::mount_id(&target.path);
        Self(Kind::Made { path: target.path, id, recorded, guard })
    }
}
