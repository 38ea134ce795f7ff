//! Taking a mount down, and only the one that was made.

use super::{Kind, Mount, MountId, helper, utab};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

impl Mount {
    /// Unmounts, lazily: files that are still open do not hold it up. Failures are logged.
    ///
    /// The device is taken to be closed first, which ends the connection. Unmounting may make the kernel send
    /// requests (dirty pages, FUSE_DESTROY) and wait for them, and the caller, who would have to answer, waits here.
    /// So no other descriptor of the connection may be open by now, least of all a clone of another thread.
    pub fn unmount(self, device: impl AsFd) {
        let gone = is_disconnected(device.as_fd());
        drop(device);
        let Kind::Made { path, id, recorded, guard } = self.0 else {
            return;
        };
        if !gone && is_still_there(&path, id) && !(recorded && utab::unmount(&path)) {
            unmount_path(&path);
        }
        if let Some(guard) = guard {
            guard.dismiss();
        }
    }
}

/// Whether the kernel has given the connection up: it was unmounted, or aborted through /sys/fs/fuse/connections.
fn is_disconnected(device: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(device, PollFlags::empty())];
    let ready = poll(&mut fds, PollTimeout::ZERO);
    let [device] = fds;
    ready == Ok(1) && device.revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
}

/// Whether the path still leads to our mount. After `umount -l` the connection lives on while files are open; what
/// the path leads to then, or what was mounted over ours, is someone else's. If it cannot be told, the path decides.
fn is_still_there(path: &CStr, id: Option<MountId>) -> bool {
    let there = id.and_then(|id| id.is_at(path)).unwrap_or(true);
    if !there {
        log::warn!("{}: no longer leads to this mount, nothing unmounted", path.to_string_lossy());
    }
    there
}

fn unmount_path(path: &CStr) {
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => {}
        Err(Errno::EPERM) => helper::unmount(path),
        Err(errno) => log::error!("cannot unmount {}: {}", path.to_string_lossy(), errno.desc()),
    }
}
