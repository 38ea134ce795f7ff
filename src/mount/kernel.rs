//! Mounting without help: mount(2), for those who may.

use super::device::open_device;
use super::options::Options;
use super::target::Target;
use nix::errno::Errno;
use nix::unistd::{getgid, getuid};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};

/// The data of mount(2) is cut off silently at a page, whatever its size; the smallest there is.
const DATA_MAX: usize = 4096;

/// What the kernel made.
pub struct Mounted {
    pub device: OwnedFd,
    pub fstype: CString,
    pub source: CString,
}

/// Mounts a new connection. None when the caller may not mount; all else that goes wrong is logged.
pub fn mount(target: &Target, options: &Options) -> Result<Option<Mounted>, Errno> {
    let (device, device_path) = open_device()?;
    let data = data(&device, target, options)?;
    let names = options.names(&device_path)?;
    let mut outcome = attempt(target, options, names, &data);
    if let (Err((Errno::ENODEV, _)), Some(names)) = (&outcome, options.names_without_subtype()) {
        outcome = attempt(target, options, names, &data);
    }
    match outcome {
        Ok((fstype, source)) => Ok(Some(Mounted { device, fstype, source })),
        Err((Errno::EPERM, _)) => Ok(None),
        Err((errno, (fstype, source))) => {
            report(target, &fstype, &source, errno);
            Err(errno)
        }
    }
}

type Names = (CString, CString);

fn attempt(target: &Target, options: &Options, names: Names, data: &CStr) -> Result<Names, (Errno, Names)> {
    let (fstype, source) = (names.0.as_c_str(), names.1.as_c_str());
    let path = target.path.as_c_str();
    match nix::mount::mount(Some(source), path, Some(fstype), options.flags(), Some(data)) {
        Ok(()) => Ok(names),
        Err(errno) => Err((errno, names)),
    }
}

fn data(device: &OwnedFd, target: &Target, options: &Options) -> Result<CString, Errno> {
    let connection = format!(
        "fd={},rootmode={:o},user_id={},group_id={}",
        device.as_raw_fd(),
        target.kind.bits(),
        getuid(),
        getgid()
    );
    let mut data = connection.into_bytes();
    options.kernel_data(&mut data);
    if data.len() >= DATA_MAX {
        log::error!("mount options are longer than {} bytes", DATA_MAX - 1);
        return Err(Errno::EINVAL);
    }
    CString::new(data).map_err(|_| Errno::EINVAL)
}

fn report(target: &Target, fstype: &CStr, source: &CStr, errno: Errno) {
    let hint = match errno {
        Errno::ENODEV => " (the kernel has no such file system)",
        Errno::ENOTBLK => " (fsname= is not a block device)",
        _ => "",
    };
    log::error!(
        "cannot mount {} of type {} on {}: {}{hint}",
        source.to_string_lossy(),
        fstype.to_string_lossy(),
        target.path.to_string_lossy(),
        errno.desc()
    );
}
