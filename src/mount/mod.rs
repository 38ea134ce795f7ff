//! Mounting and unmounting: options, mount(2) for who may use it, fusermount3 for all others.
//!
//! Everything that fails is logged here, in one line that names the path or option, and leaves nothing mounted.
#![forbid(unsafe_code)]

mod device;
mod early;
mod escape;
mod helper;
mod id;
mod kernel;
mod options;
mod process;
mod target;
#[cfg(test)]
mod tests;
mod unmount;
mod utab;

pub use device::occupy_standard_streams;
pub use early::Early;
pub use helper::print_version as print_helper_version;
pub use id::MountId;
pub use options::Options;

use kernel::Mounted;
use nix::errno::Errno;
use nix::unistd::geteuid;
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
        id: Option<MountId>,
        recorded: bool,
        guard: Option<helper::Guard>,
    },
}

/// Mounts a new FUSE connection and returns it with its device, on which nothing has been read yet but by `early`,
/// which serves it meanwhile where the kernel and the way to mount allow for that. Descriptors 0 to 2 must be open, see
/// [`occupy_standard_streams`].
///
/// A mountpoint `/dev/fd/N` stands for a device that was opened and mounted by someone else: descriptor N is ours
/// from then on, to be closed.
pub fn mount(mountpoint: &CStr, options: &Options, early: Option<&dyn Early>) -> Result<(Mount, OwnedFd), Errno> {
    if let Some(device) = device::inherited(mountpoint)? {
        return Ok((Mount(Kind::Inherited), device));
    }
    options.check()?;
    let target = Target::find(mountpoint)?;
    // Older helpers guard nothing but what they made, for root, too.
    if (!options.auto_unmount() || (geteuid().is_root() && helper::can_guard()))
        && let Some(mounted) = kernel::mount(&target, options, early)?
    {
        return Mount::of_kernel(target, mounted, options);
    }
    let (device, guard) = helper::mount(&target, options, early)?;
    let id = MountId::at(&target.path);
    Ok((Mount(Kind::Made { path: target.path, id, recorded: false, guard }), device))
}

impl Mount {
    fn of_kernel(target: Target, mounted: Mounted, options: &Options) -> Result<(Self, OwnedFd), Errno> {
        let recorded = utab::record(&target, &mounted, options);
        let guarded = options.auto_unmount().then(|| helper::guard(&target.path)).transpose();
        let Mounted { device, id, .. } = mounted;
        let mount = |guard| Self(Kind::Made { path: target.path, id, recorded, guard });
        match guarded {
            Ok(guard) => Ok((mount(guard), device)),
            Err(errno) => {
                mount(None).unmount(device);
                Err(errno)
            }
        }
    }

    /// A mount that a predecessor made, where and under which number. An empty path: somebody else made it.
    pub fn taken_over(path: CString, id: Option<MountId>, recorded: bool) -> Self {
        Self(if path.is_empty() { Kind::Inherited } else { Kind::Made { path, id, recorded, guard: None } })
    }

    /// What a successor has to know to unmount it; none where that is somebody else's.
    pub fn made(&self) -> Option<(&CStr, Option<MountId>, bool)> {
        match &self.0 {
            Kind::Inherited => None,
            Kind::Made { path, id, recorded, .. } => Some((path, *id, *recorded)),
        }
    }

    /// Leaves the mount to another program, which gets the device. Under auto_unmount it stays guarded until that has
    /// ended, too.
    pub fn bequeath(self) -> Result<(), Errno> {
        match self.0 {
            Kind::Made { guard: Some(guard), .. } => guard.bequeath(),
            _ => Ok(()),
        }
    }
}
