//! Mount and unmount, DESTROY, and the end of a session.

use super::{Channel, Session, Stage, inflight, start};
use crate::mount::{self, Mount};
use crate::transport::fd;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A mount, and what the device's number leads to when it is closed.
pub struct Mounted {
    pub(super) mount: Mount,
    pub(super) nowhere: OwnedFd,
}

impl Session {
    /// Mounts, and connects the session to the device.
    pub fn mount(&self, mountpoint: &CStr) -> Result<(), Errno> {
        let mut mounted = self.mount.lock();
        if self.is_taken() {
            log::error!("{}: the session is connected already", mountpoint.to_string_lossy());
            return Err(Errno::EBUSY);
        }
        mount::occupy_standard_streams()?;
        if let Some(taken_over) = self.take_up()? {
            *mounted = Some(taken_over);
            return Ok(());
        }
        self.prepare_state()?;
        let nowhere = fd::nowhere().inspect_err(|errno| log::error!("cannot mount: {}", errno.desc()))?;
        let (mount, device) = self.mount_served(mountpoint, nowhere.as_fd())?;
        self.take_device(device)?;
        let kept = self.keep(&mount);
        *mounted = Some(Mounted { mount, nowhere });
        drop(mounted);
        kept.inspect_err(|_| self.unmount())?;
        start::connected();
        Ok(())
    }

    /// Closes the device and unmounts. Does nothing when nothing is mounted.
    pub fn unmount(&self) {
        let Some(Mounted { mount, nowhere }) = self.mount.lock().take() else { return };
        if let Some(device) = self.device.get().and_then(Channel::as_device) {
            mount.unmount(Closing { device: device.as_fd(), session: self, nowhere });
            self.keep_no_more();
        }
    }

    /// Serves nothing any more and calls the handler's destroy, if its init was called.
    pub(super) fn end(&self) {
        self.enter(Stage::ENDED);
        if self.started.swap(false, Ordering::SeqCst) {
            self.handler.destroy();
        }
    }

    /// The session is going away: the daemon is told, and requests that it still holds become stale.
    ///
    /// Waits for replies that other threads are sending at this moment, and for those that have ended its loops.
    pub fn destroy(&self) {
        self.await_ending();
        self.end();
        self.forsake_requests();
    }

    /// Makes requests stale that the daemon still holds.
    fn forsake_requests(&self) {
        for slot in inflight::each() {
            while slot.session() == self.address() && (slot.token().is_some() || slot.is_busy()) {
                if slot.claim_of(self.address()).is_none() {
                    std::thread::sleep(Duration::from_micros(50));
                }
            }
        }
    }
}

impl Session {
    /// Gives the connection up without unmounting: what is in flight is a successor's. The daemon's destroy is not called.
    /// ENOTSUP when the session is not recoverable, ENOTCONN when it is not mounted.
    pub fn detach_connection(&self) -> Result<(), Errno> {
        if !self.is_recoverable() {
            return Err(Errno::ENOTSUP);
        }
        let _ending = self.ending();
        let Mounted { mount, nowhere } = self.mount.lock().take().ok_or(Errno::ENOTCONN)?;
        self.exit();
        self.await_last_receives();
        // Before all else: what is still under way gets no answer from here, and so comes to the successor.
        retire(self.ends().all(), nowhere.as_fd());
        self.enter(Stage::ENDED);
        self.started.store(false, Ordering::SeqCst);
        self.forsake_requests();
        self.leave_state();
        mount.bequeath()
    }
}

/// Closes ends of the connection.
fn retire<'e>(ends: impl Iterator<Item = &'e Channel>, nowhere: BorrowedFd<'_>) {
    for end in ends {
        if let Err(errno) = end.retire(nowhere) {
            log::error!("closing device: {}", errno.desc());
        }
    }
}

/// The session's device on its way out: dropped, it is closed, with its clones, which makes the kernel end what is in flight.
struct Closing<'a> {
    device: BorrowedFd<'a>,
    session: &'a Session,
    nowhere: OwnedFd,
}

impl AsFd for Closing<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.session.close_rings();
        // A clone that a worker uses is left to it: what it reads there says that the session is over, a closed one fails.
        retire(self.session.ends().idle(), self.nowhere.as_fd());
    }
}
