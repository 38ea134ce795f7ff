//! What is kept of the mount.

use fusewire::recovery::store::{Kept, Role};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Clones that are kept at most.
const MAX_CLONES: usize = 1 << 16;

/// The mount's file descriptors.
#[derive(Debug, Default)]
pub struct Hold {
    device: Option<OwnedFd>,
    state: Option<OwnedFd>,
    clones: Vec<OwnedFd>,
}

impl Hold {
    /// Takes back what was kept.
    pub fn taken_back(kept: Kept) -> Self {
        Self { device: Some(kept.device), state: Some(kept.state), clones: kept.clones }
    }

    /// Keeps one more. A device is that of a new mount: clones of another are let go.
    pub fn keep(&mut self, role: Role, fd: OwnedFd) -> Result<(), Errno> {
        match role {
            Role::Device => {
                self.device = Some(fd);
                self.clones.clear();
            }
            Role::State => self.state = Some(fd),
            Role::Clone if self.clones.len() < MAX_CLONES => self.clones.push(fd),
            Role::Clone => return Err(Errno::ENOSPC),
        }
        Ok(())
    }

    /// Lets go of everything.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// All that a successor needs, in the order of the protocol; none when something is missing.
    pub fn all(&self) -> Option<Vec<BorrowedFd<'_>>> {
        let (device, state) = (self.device.as_ref()?, self.state.as_ref()?);
        Some([device, state].into_iter().chain(&self.clones).map(AsFd::as_fd).collect())
    }

    /// The memory with the session's state.
    pub fn state(&self) -> Option<BorrowedFd<'_>> {
        self.state.as_ref().map(AsFd::as_fd)
    }

    /// The device.
    pub fn device(&self) -> Option<BorrowedFd<'_>> {
        self.device.as_ref().map(AsFd::as_fd)
    }

    /// Whether there is a mount that a successor can have. A look that does not wait: a waiter would be woken by every
    /// request.
    pub fn is_mounted(&self) -> bool {
        self.all().is_some() && !self.look().intersects(PollFlags::POLLERR | PollFlags::POLLNVAL)
    }

    /// Whether there are requests that nobody has read.
    pub fn has_unread(&self) -> bool {
        self.look().contains(PollFlags::POLLIN)
    }

    fn look(&self) -> PollFlags {
        let Some(device) = self.device() else { return PollFlags::empty() };
        let mut fds = [PollFd::new(device, PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(_) => fds[0].revents().unwrap_or(PollFlags::empty()),
            Err(_) => PollFlags::empty(),
        }
    }
}
