//! mount(2): one call that takes everything, in a page of text.

use super::{Mounted, parameters, report};
use crate::mount::device::open_device;
use crate::mount::escape;
use crate::mount::id::MountId;
use crate::mount::options::Options;
use crate::mount::target::Target;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

/// The data of mount(2) is cut off silently at a page, whatever its size; the smallest there is.
const DATA_MAX: usize = 4096;

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
        Ok((fstype, source)) => {
            let id = MountId::at(&target.path);
            Ok(Some(Mounted { device, fstype, source, id }))
        }
        Err((Errno::EPERM, _)) => Ok(None),
        Err((errno, (fstype, source))) => {
            report(target, (&fstype, &source), errno, None);
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
    let mut data = Vec::new();
    for parameter in parameters(device, target, options)? {
        escape::for_kernel(&parameter, &mut data);
    }
    if data.len() >= DATA_MAX {
        log::error!("mount options are longer than {} bytes", DATA_MAX - 1);
        return Err(Errno::EINVAL);
    }
    CString::new(data).map_err(|_| Errno::EINVAL)
}
