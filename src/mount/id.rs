//! How a mount is recognised at its place later.

use crate::transport::fsmount::device_number;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::fs::File;
use std::io::read_to_string;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What tells a mount from others, as long as its connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountId {
    /// The device number of its file system, which all mounts of the connection have, and no other. So has the copy that
    /// a daemon finds at the place once it has entered a mount name space of its own.
    FileSystem(u64),
    /// Where that cannot be told: the mount's number in the mount table. The next mount gets it when this one is gone,
    /// which may be while the connection lives on elsewhere.
    Mount(u64),
}

/// Marks device numbers among numbers of both kinds. They have 44 bits at most, the others 31.
const FILE_SYSTEM: u64 = 1 << 63;

impl MountId {
    /// Of what is mounted where a path leads; None when it cannot be told (/proc is missing, say).
    ///
    /// This asks nothing of the mounted file system, which may not be served yet, or no longer.
    pub fn at(path: &CStr) -> Option<Self> {
        Self::of(place(path)?.as_fd())
    }

    /// As [`MountId::at`], of the mount that something open is on.
    pub fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        file_system(fd).or_else(|| mount(fd))
    }

    /// Whether a path leads to such a mount; None when it cannot be told.
    pub fn is_at(self, path: &CStr) -> Option<bool> {
        let place = place(path)?;
        let present = match self {
            Self::FileSystem(_) => file_system(place.as_fd()),
            Self::Mount(_) => mount(place.as_fd()),
        };
        present.map(|present| present == self)
    }
}

impl From<u64> for MountId {
    fn from(number: u64) -> Self {
        if number & FILE_SYSTEM == 0 { Self::Mount(number) } else { Self::FileSystem(number & !FILE_SYSTEM) }
    }
}

impl From<MountId> for u64 {
    fn from(id: MountId) -> Self {
        match id {
            MountId::FileSystem(number) => number | FILE_SYSTEM,
            MountId::Mount(number) => number,
        }
    }
}

/// The number of the mount that a path leads to, through links, too; None when it cannot be told.
pub fn on_mount(path: &CStr) -> Option<MountId> {
    mount(open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?.as_fd())
}

fn place(path: &CStr) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).ok()
}

fn file_system(fd: BorrowedFd<'_>) -> Option<MountId> {
    device_number(fd, information(fd)?.as_fd()).map(MountId::FileSystem)
}

fn mount(fd: BorrowedFd<'_>) -> Option<MountId> {
    let lines = read_to_string(information(fd)?).ok()?;
    let id = lines.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok().map(MountId::Mount)
}

fn information(fd: BorrowedFd<'_>) -> Option<File> {
    File::open(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()
}
