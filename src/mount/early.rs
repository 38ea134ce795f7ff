//! Serving a connection while it is being mounted: the kernel then sends INIT before the mount is there for others, and
//! one that fails is a mount that fails (Linux 6.18).

use crate::transport::fd;
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Who serves.
pub trait Early {
    /// Begins to serve the device, on a thread of its own. What fails is logged.
    fn begin(&self, device: OwnedFd) -> Result<(), Errno>;

    /// Stops, with the connection mounted or of no more use. The errno is that of an INIT which failed and was logged.
    fn end(&self, mounted: bool) -> Result<(), Errno>;
}

/// While this exists the connection is served, if that was wished for and the kernel can wait for it.
pub struct Serving<'a>(Option<&'a dyn Early>);

impl<'a> Serving<'a> {
    /// Begins to serve a device that is not mounted yet; what fails is logged.
    pub fn begin(early: Option<&'a dyn Early>, device: &OwnedFd) -> Result<Self, Errno> {
        let Some(early) = early else { return Ok(Self(None)) };
        let asked = fd::announce_sync_init(device.as_fd());
        if !asked.inspect_err(|errno| log::error!("synchronous INIT: {}", errno.desc()))? {
            log::debug!("the kernel knows no synchronous INIT: it comes after the mount");
            return Ok(Self(None));
        }
        let own = device.try_clone().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EMFILE)));
        early.begin(own.inspect_err(|errno| log::error!("synchronous INIT: {}", errno.desc()))?)?;
        Ok(Self(Some(early)))
    }

    /// Stops, see [`Early::end`].
    pub fn end(mut self, mounted: bool) -> Result<(), Errno> {
        self.0.take().map_or(Ok(()), |early| early.end(mounted))
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if let Some(early) = self.0.take() {
            // Something else failed, and was logged.
            let _ = early.end(false);
        }
    }
}
