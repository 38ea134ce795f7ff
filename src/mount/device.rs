//! The FUSE device: opening it, or taking over one that is open already.

use crate::transport::{fd, privilege};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor, stat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// The device's number: misc device 229, fixed since it exists.
const DEVICE: (u64, u64) = (10, 229);

/// Opens the device; a failure is logged.
pub fn open_device() -> Result<(OwnedFd, CString), Errno> {
    let path = path();
    let opened = open(path.as_c_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
    let fd = opened.inspect_err(|errno| {
        let hint = match errno {
            Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => " (kernel module not loaded? modprobe fuse)",
            _ => "",
        };
        log::error!("cannot open {}: {}{hint}", path.to_string_lossy(), errno.desc());
    })?;
    Ok((fd, path))
}

/// `/dev/fuse`, or the character device below /dev that FUSE_KERN_DEVICE names (libfuse 3.19).
fn path() -> CString {
    named_device().unwrap_or_else(|| c"/dev/fuse".to_owned())
}

fn named_device() -> Option<CString> {
    let named = CString::new(privilege::variable("FUSE_KERN_DEVICE")?.into_vec()).ok()?;
    let below_dev = named.to_bytes().starts_with(b"/dev/");
    // One that does not exist is kept: opening it then says so.
    let device = stat(named.as_c_str()).map_or(true, |s| is_kind(s.st_mode, SFlag::S_IFCHR));
    if below_dev && device {
        return Some(named);
    }
    let named = named.to_string_lossy();
    log::warn!("FUSE_KERN_DEVICE={named}: not a character device below /dev, using /dev/fuse");
    None
}

fn is_kind(mode: libc::mode_t, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == kind
}

/// Whether a character device of this number is one that mounts are made with.
fn is_device(number: libc::dev_t) -> bool {
    let named = || named_device().and_then(|path| stat(path.as_c_str()).ok()).map(|named| named.st_rdev);
    (major(number), minor(number)) == DEVICE || named() == Some(number)
}

/// The device behind a mountpoint of the form `/dev/fd/N`: someone else opened it as descriptor N, mounted, and
/// leaves both to us, so that the daemon needs no rights of its own. None for any other mountpoint.
pub fn inherited(mountpoint: &CStr) -> Result<Option<OwnedFd>, Errno> {
    let Some(number) = mountpoint.to_bytes().strip_prefix(b"/dev/fd/") else {
        return Ok(None);
    };
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return Ok(None);
    }
    let parsed = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok());
    let fd = parsed.ok_or(Errno::EBADF).and_then(fd::adopt).inspect_err(|errno| {
        log::error!("mountpoint {}: {}", mountpoint.to_string_lossy(), errno.desc());
    })?;
    let status = fstat(&fd)?;
    if !is_kind(status.st_mode, SFlag::S_IFCHR) || !is_device(status.st_rdev) {
        // Not what the caller thought it was: leave it to them, open.
        let _ = fd.into_raw_fd();
        log::error!("mountpoint {}: not an open FUSE device", mountpoint.to_string_lossy());
        return Err(Errno::EBADF);
    }
    Ok(Some(fd))
}

/// Occupies descriptors 0 to 2 where the program has closed them: the device, or the socket that fusermount3
/// inherits, would else be taken for standard input or get log lines written into it.
pub fn occupy_standard_streams() -> Result<(), Errno> {
    while !fd::standard_streams_are_open() {
        let null = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
            .inspect_err(|errno| log::error!("cannot open /dev/null: {}", errno.desc()))?;
        if null.as_raw_fd() > libc::STDERR_FILENO {
            // Another thread was faster.
            break;
        }
        // Unlike all else, programs that the daemon starts should find these.
        fcntl(&null, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let _ = null.into_raw_fd();
    }
    Ok(())
}
