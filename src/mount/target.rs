//! Where a mount goes.

use super::id::on_mount;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A mountpoint that exists and may be mounted over.
pub struct Target {
    /// Without symbolic links and relative parts: unmounting has to find it after chdir(2), too.
    pub path: CString,
    /// S_IFDIR or S_IFREG; the root of the file system has to be of the same kind.
    pub kind: SFlag,
}

impl Target {
    /// Looks at a mountpoint; what is wrong with it is logged.
    pub fn find(mountpoint: &CStr) -> Result<Self, Errno> {
        let shown = mountpoint.to_string_lossy();
        let bad = |errno: Errno| {
            let hint = match errno {
                Errno::ENOTCONN => " (a FUSE mount without its daemon; unmount it with fusermount3 -u)",
                _ => "",
            };
            log::error!("mountpoint {shown}: {}{hint}", errno.desc());
            errno
        };
        // Asked first, as the kernel's word on what is wrong counts.
        let there = stat(mountpoint).map_err(bad)?;
        let mode = there.st_mode;
        let path = std::fs::canonicalize(OsStr::from_bytes(mountpoint.to_bytes()))
            .map_err(|e| bad(Errno::from_raw(e.raw_os_error().unwrap_or(libc::EINVAL))))?;
        let path = CString::new(path.into_os_string().into_vec()).map_err(|_| bad(Errno::EINVAL))?;
        let same = stat(path.as_c_str()).is_ok_and(|s| (s.st_dev, s.st_ino) == (there.st_dev, there.st_ino));
        if !same || on_mount(mountpoint) != on_mount(&path) {
            // A link of /proc into a place that has no such name here, or another mount name space.
            log::error!("mountpoint {shown}: is elsewhere than at {}", path.to_string_lossy());
            return Err(Errno::EINVAL);
        }
        let kind = SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFDIR && kind != SFlag::S_IFREG {
            log::error!("mountpoint {shown}: neither a directory nor a regular file");
            return Err(Errno::ENOTDIR);
        }
        Ok(Self { path, kind })
    }
}
