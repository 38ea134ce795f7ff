//! CUSE_INIT: the character device that the kernel makes for a session.
//!
//! There is nothing to negotiate but sizes: the reply tells the kernel which device to make.

use super::edition::EDITION;
use super::{Kind, Session, Stage, init, start};
use crate::abi::wire::{CuseInitIn, CuseInitOut, KERNEL_VERSION, MIN_MINOR_VERSION};
use crate::transport::Channel;
use core::ffi::CStr;
use nix::errno::Errno;
use std::io::IoSlice;
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;

/// Bytes of the device's description at most: the kernel has one page for it.
const INFO_MAX: usize = 4096;
/// Largest read in bytes.
const MAX_READ: u32 = 128 << 10;

/// The device that a session asks the kernel for.
#[derive(Debug)]
pub struct CharDevice {
    major: u32,
    minor: u32,
    flags: u32,
    /// The description, each string with its NUL.
    info: Vec<u8>,
}

impl CharDevice {
    /// A device with this number (0 for the major: the kernel chooses), `CUSE_` flags and description: strings such as
    /// `DEVNAME=name`. EINVAL, after a log line, when the description is longer than the kernel takes.
    pub fn new<'a>(
        major: u32,
        minor: u32,
        flags: u32,
        info: impl IntoIterator<Item = &'a CStr>,
    ) -> Result<Self, Errno> {
        let info: Vec<u8> = info.into_iter().flat_map(CStr::to_bytes_with_nul).copied().collect();
        if info.len() > INFO_MAX {
            log::error!("cuse: the device's description has {} bytes, more than {INFO_MAX}", info.len());
            return Err(Errno::EINVAL);
        }
        Ok(Self { major, minor, flags, info })
    }
}

impl Session {
    /// Answers CUSE_INIT. A session of another kind never gets here.
    pub(super) fn negotiate_device(&self, channel: &Channel, unique: u64, arg: &CuseInitIn) {
        let Kind::CharDevice(device) = &self.kind else { return };
        self.decline_uring();
        if self.debug() {
            log::debug!("CUSE_INIT: {}.{} flags={:#x}", arg.major, arg.minor, arg.flags);
        }
        if (arg.major, arg.minor) < (KERNEL_VERSION, MIN_MINOR_VERSION) {
            log::error!("cuse: unsupported protocol version: {}.{}", arg.major, arg.minor);
            self.enter(Stage::NEW);
            let _ = self.send(channel, unique, -(Errno::EPROTO as i32), &[]);
            return;
        }
        let out = self.offer_device(device, arg);
        if self.debug() {
            let CuseInitOut { flags, max_read, max_write, dev_major, dev_minor, .. } = out;
            let info = String::from_utf8_lossy(&device.info).replace('\0', " ");
            log::debug!("   flags={flags:#x} max_read={max_read} max_write={max_write}");
            log::debug!("   device {dev_major}:{dev_minor} {info}");
        }
        // Before the reply: requests may arrive at once, on other threads.
        self.enter(Stage::SERVING);
        if self.send(channel, unique, 0, &[IoSlice::new(out.as_bytes()), IoSlice::new(&device.info)]).is_ok() {
            start::answered();
        }
        self.handler.init_done();
    }

    /// Calls the daemon's init, and says which device is asked for.
    fn offer_device(&self, device: &CharDevice, arg: &CuseInitIn) -> CuseInitOut {
        // The buffer stays as large as it is: an unrestricted ioctl may bring more than the largest write.
        let largest = u32::try_from(self.buf_size().saturating_sub(init::HEADER_SIZE)).unwrap_or(u32::MAX);
        // A copy: what is agreed on is in force once the daemon's callback has had its say.
        let mut conn = *self.conn.lock();
        conn.proto_major = arg.major;
        conn.proto_minor = arg.minor;
        conn.max_write = conn.max_write.min(largest);
        self.started.store(true, Ordering::SeqCst);
        self.call_init(&mut conn, 0);
        // With more the kernel would refuse every read of the device: the buffer does not hold that much.
        conn.max_write = conn.max_write.min(largest);
        // Nothing is offered to a device, so nothing that it may want is in force.
        (conn.want, conn.want_ext) = (0, 0);
        self.put_in_force(conn);
        CuseInitOut {
            major: KERNEL_VERSION,
            minor: EDITION.minor,
            flags: device.flags,
            max_read: MAX_READ,
            max_write: conn.max_write,
            dev_major: device.major,
            dev_minor: device.minor,
            ..CuseInitOut::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn descriptions_are_packed_and_bounded() {
        let device = CharDevice::new(1, 2, 0, [c"DEVNAME=x", c"", c"A=b"]).map(|device| device.info);
        assert_eq!(device.as_deref(), Ok(b"DEVNAME=x\0\0A=b\0".as_slice()));
        let fits = CString::new(vec![b'x'; INFO_MAX - 1]).unwrap();
        assert!(CharDevice::new(0, 0, 0, [fits.as_c_str()]).is_ok());
        assert_eq!(CharDevice::new(0, 0, 0, [fits.as_c_str(), c""]).map(drop), Err(Errno::EINVAL));
    }
}
