//! How a mount is recognised at its place later.

use crate::transport::fsmount::unique_mount_id;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::fs::File;
use std::io::read_to_string;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The kernel's number for a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountId {
    /// No other mount ever has it (Linux 6.8).
    Unique(u64),
    /// As the mount table has it. Once this mount is gone the next one gets it, and that may be while the connection
    /// lives on: in a copy of the mount, say, that another mount name space has.
    Reused(u64),
}

/// The kernel's first unique number, or below that; the others end before.
const FIRST_UNIQUE: u64 = 1 << 31;

impl MountId {
    /// Of the mount that a path leads to; None when it cannot be told (/proc is missing, say).
    ///
    /// This asks nothing of the mounted file system, which may not be served yet, or no longer.
    pub fn at(path: &CStr) -> Option<Self> {
        Self::of(place(path)?.as_fd())
    }

    /// As [`MountId::at`], of the mount that something open is on.
    pub fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        unique(fd).or_else(|| reused(fd))
    }

    /// Whether a path leads to this mount; None when it cannot be told.
    pub fn is_at(self, path: &CStr) -> Option<bool> {
        let place = place(path)?;
        let present = match self {
            Self::Unique(_) => unique(place.as_fd()),
            Self::Reused(_) => reused(place.as_fd()),
        };
        present.map(|present| present == self)
    }
}

impl From<u64> for MountId {
    fn from(number: u64) -> Self {
        if number < FIRST_UNIQUE { Self::Reused(number) } else { Self::Unique(number) }
    }
}

impl From<MountId> for u64 {
    fn from((MountId::Unique(number) | MountId::Reused(number)): MountId) -> Self {
        number
    }
}

fn place(path: &CStr) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).ok()
}

fn unique(fd: BorrowedFd<'_>) -> Option<MountId> {
    // Kernels that do not know the number of /proc, either, might ask the file system.
    unique_mount_id(information(fd)?.as_fd())?;
    unique_mount_id(fd).map(MountId::Unique)
}

fn reused(fd: BorrowedFd<'_>) -> Option<MountId> {
    let lines = read_to_string(information(fd)?).ok()?;
    let id = lines.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok().map(MountId::Reused)
}

fn information(fd: BorrowedFd<'_>) -> Option<File> {
    File::open(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()
}
