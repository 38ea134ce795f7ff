//! Mounting without help, for those who may: by file descriptors where that is possible, else by mount(2).

mod classic;
mod descriptors;

use super::early::Early;
use super::id::MountId;
use super::options::Options;
use super::target::Target;
use nix::errno::Errno;
use nix::unistd::{getgid, getuid};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};

/// What the kernel made.
pub struct Mounted {
    pub device: OwnedFd,
    pub fstype: CString,
    pub source: CString,
    /// What tells it from others, if it is known.
    pub id: Option<MountId>,
}

/// Mounts a new connection, served by `early` meanwhile where the kernel can wait for that. None when the caller may
/// not mount; all else that goes wrong is logged.
pub fn mount(target: &Target, options: &Options, early: Option<&dyn Early>) -> Result<Option<Mounted>, Errno> {
    match descriptors::mount(target, options, early)? {
        Some(mounted) => Ok(Some(mounted)),
        None => classic::mount(target, options),
    }
}

#[cfg(test)]
pub fn mount_by_descriptors(target: &Target, options: &Options) -> Result<Option<Mounted>, Errno> {
    descriptors::mount(target, options, None)
}

#[cfg(test)]
pub use classic::mount as mount_by_one_call;

/// A parameter of the file system in the kernel.
pub struct Parameter {
    pub key: CString,
    pub value: Option<CString>,
}

impl Parameter {
    /// One of the form `key=value`, or a bare `key`.
    pub fn parse(item: &[u8]) -> Result<Self, Errno> {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
        Ok(match item.iter().position(|&b| b == b'=').and_then(|at| item.split_at_checked(at)) {
            Some((key, value)) => Self { key: text(key)?, value: Some(text(value.get(1..).unwrap_or_default())?) },
            None => Self { key: text(item)?, value: None },
        })
    }
}

/// Everything that the kernel is told of a connection, besides type, source and flags.
fn parameters(device: &OwnedFd, target: &Target, options: &Options) -> Result<Vec<Parameter>, Errno> {
    let connection = [
        format!("fd={}", device.as_raw_fd()),
        format!("rootmode={:o}", target.kind.bits()),
        format!("user_id={}", getuid()),
        format!("group_id={}", getgid()),
    ];
    let connection = connection.iter().map(|item| Parameter::parse(item.as_bytes()));
    connection.chain(options.kernel_items().iter().map(|item| Parameter::parse(item))).collect()
}

/// Says why a mount failed; `detail` are the kernel's own words, if it had any.
fn report(target: &Target, (fstype, source): (&CStr, &CStr), errno: Errno, detail: Option<String>) {
    let detail = match errno {
        Errno::ENODEV => Some("the kernel has no such file system".to_owned()),
        Errno::ENOTBLK => Some("fsname= is not a block device".to_owned()),
        _ => detail,
    };
    let hint = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    log::error!(
        "cannot mount {} of type {} on {}: {}{hint}",
        source.to_string_lossy(),
        fstype.to_string_lossy(),
        target.path.to_string_lossy(),
        errno.desc()
    );
}
