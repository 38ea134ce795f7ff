//! The daemon's own I/O: functions that receive and send for the session.

use super::{Channel, Session, start};
use crate::transport::CustomIo;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;

impl Session {
    /// Has functions of the daemon's receive and send from now on: where there is no device, or in the place of one that
    /// nobody reads. That stays the session's, which unmounts as ever. `fd`, which they are passed, becomes the session's
    /// unless it is the device's own. Returns why not; the fd is the caller's then.
    pub fn connect_custom(&self, io: CustomIo, fd: RawFd) -> Result<(), &'static str> {
        // No mount begins or ends meanwhile. It is not waited for: who is here may be the init callback that it waits for.
        let _mount = self.mount.try_lock().ok_or("the session is being mounted or unmounted")?;
        if self.custom.get().is_some() {
            return Err("the session is connected already");
        }
        let device = self.device.get();
        device.map_or(Ok(()), |device| self.may_replace(device))?;
        let channel = self.custom.get_or_init(|| match device {
            Some(device) if device.raw_fd() == fd => Channel::custom_on(io, device),
            _ => Channel::custom(io, fd),
        });
        // INIT may have been answered on the device, during the mount.
        self.splices_writes.fetch_and(channel.splices_in(), Ordering::Relaxed);
        start::connected();
        Ok(())
    }

    /// Whether something else can receive and send in the place of the device: a request is answered where it was read, and
    /// by who reads there.
    fn may_replace(&self, device: &Channel) -> Result<(), &'static str> {
        if device.is_retired() {
            Err("the session was unmounted")
        } else if self.is_served() {
            Err("a loop runs, or a request is not answered yet")
        } else if self.is_recoverable() {
            Err("a recoverable session reads the device itself")
        } else if !self.leave_uring() {
            Err("requests come over io_uring")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::session;
    use super::*;
    use crate::abi::c::lowlevel::fuse_custom_io;
    use core::ffi::{c_int, c_void};
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use std::io::IoSlice;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    extern "C" fn read(_: c_int, _: *mut c_void, _: usize, _: *mut c_void) -> isize {
        -(Errno::EPIPE as isize)
    }

    extern "C" fn writev(_: c_int, _: *mut libc::iovec, pieces: c_int, _: *mut c_void) -> isize {
        pieces as isize
    }

    fn functions() -> CustomIo {
        let functions = fuse_custom_io { read: Some(read), writev: Some(writev), ..Default::default() };
        CustomIo::new(functions, core::ptr::null_mut()).unwrap()
    }

    #[test]
    fn functions_take_the_place_of_a_device() {
        let (session, kernel) = session();
        let number = session.raw_fd().unwrap();
        session.connect_custom(functions(), number).unwrap();
        let channel = session.channel().unwrap();
        assert_eq!((channel.recv(&mut [0]), session.raw_fd()), (Err(Errno::EPIPE), Some(number)));
        assert_eq!((channel.send(&[IoSlice::new(b"x")]), kernel.recv(&mut [0]).is_err()), (Ok(()), true));
        assert_eq!(session.pause(Duration::ZERO), Err(Errno::ENOTSUP));
        assert!(session.connect_custom(functions(), number).is_err());
        assert!(session.is_taken() && session.device_end().unwrap().as_device().is_some());
    }

    #[test]
    fn a_session_that_is_served_stays_as_it_is() {
        let (session, kernel) = session();
        let other = kernel.as_fd().try_clone_to_owned().unwrap();
        session.loop_begins();
        assert!(session.connect_custom(functions(), other.as_raw_fd()).is_err());
        session.loop_ends();
        let mounting = session.mount.lock();
        assert!(session.connect_custom(functions(), other.as_raw_fd()).is_err());
        drop(mounting);
        // The fd was left alone.
        assert!(fcntl(&other, FcntlArg::F_GETFD).is_ok() && session.channel().unwrap().as_device().is_some());
    }
}
