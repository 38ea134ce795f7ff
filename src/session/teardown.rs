//! Mount and unmount, DESTROY, and the end of a session.

use super::{Channel, Session, Stage, inflight};
use crate::mount;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Session {
    /// Mounts, and connects the session to the device.
    pub fn mount(&self, mountpoint: &CStr) -> Result<(), Errno> {
        let mut mounted = self.mount.lock();
        if self.channel.get().is_some() {
            log::error!("{}: the session is connected already", mountpoint.to_string_lossy());
            return Err(Errno::EBUSY);
        }
        let (mount, device) = mount::mount(mountpoint, &self.mount_options)?;
        *mounted = Some(mount);
        self.connect(Channel::device(device))
    }

    /// Closes the device and unmounts. Does nothing when nothing is mounted.
    pub fn unmount(&self) {
        let Some(mount) = self.mount.lock().take() else { return };
        if let Ok(channel) = self.channel()
            && let Some(device) = channel.as_device()
        {
            mount.unmount(Closing { device: device.as_fd(), session: self });
        }
    }

    /// Closes every end of the connection, which makes the kernel end what is in flight.
    fn retire(&self) {
        let clones = self.clones.lock();
        for channel in clones.iter().map(AsRef::as_ref).chain(self.channel.get()) {
            if let Err(errno) = channel.retire() {
                log::error!("closing device: {}", errno.desc());
            }
        }
    }

    /// Serves nothing any more and calls the handler's destroy, if its init was called.
    pub(super) fn end(&self) {
        self.stage.store(Stage::ENDED, Ordering::SeqCst);
        if self.started.swap(false, Ordering::SeqCst) {
            self.handler.destroy();
        }
    }

    /// The session is going away: the daemon is told, and requests that it still holds become stale.
    ///
    /// Waits for replies that other threads are sending at this moment.
    pub fn destroy(&self) {
        self.end();
        for slot in inflight::each() {
            while slot.session() == self.address() && (slot.token().is_some() || slot.is_busy()) {
                if slot.token().and_then(|token| slot.claim(token)).is_none() {
                    std::thread::sleep(Duration::from_micros(50));
                }
            }
        }
    }
}

/// The session's device on its way out: dropped, it is closed, with all its clones.
struct Closing<'a> {
    device: BorrowedFd<'a>,
    session: &'a Session,
}

impl AsFd for Closing<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.session.retire();
    }
}
