//! Mounting by file descriptors (Linux 5.2): a file system is described parameter by parameter, made, and only then
//! attached to a path. The C library has these calls since glibc 2.36, so they are made by number. And a look at where
//! something is mounted.

use nix::errno::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Bytes of a parameter's value at most.
pub const VALUE_MAX: usize = 255;

const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
/// What the kernel says about one parameter or step, at most.
const MESSAGE_MAX: usize = 4096;

bitflags::bitflags! {
    /// What holds for a mount, and not for the file system.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Attributes: u32 {
        /// Read-only.
        const RDONLY = 0x1;
        /// No set-user-id programs.
        const NOSUID = 0x2;
        /// No device nodes.
        const NODEV = 0x4;
        /// No programs.
        const NOEXEC = 0x8;
        /// Access times are left alone.
        const NOATIME = 0x10;
        /// Those of directories are.
        const NODIRATIME = 0x80;
        /// No symbolic link is followed (Linux 5.14).
        const NOSYMFOLLOW = 0x20_0000;
    }
}

/// A file system that is being described.
#[derive(Debug)]
pub struct Context(OwnedFd);

impl Context {
    /// Begins. ENOSYS from kernels without these calls, EPERM for those who may not mount, also by a sandbox.
    pub fn open(fstype: &CStr) -> Result<Self, Errno> {
        // SAFETY: the string is NUL-terminated and outlives the call, which returns a new fd.
        unsafe { new_fd(libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), FSOPEN_CLOEXEC)) }.map(Self)
    }

    /// Gives a parameter a value, of [`VALUE_MAX`] bytes at most.
    pub fn set(&self, key: &CStr, value: &CStr) -> Result<(), Errno> {
        self.configure(FSCONFIG_SET_STRING, Some(key), Some(value))
    }

    /// Sets a parameter that has no value.
    pub fn set_flag(&self, key: &CStr) -> Result<(), Errno> {
        self.configure(FSCONFIG_SET_FLAG, Some(key), None)
    }

    /// Makes the file system as described.
    pub fn create(&self) -> Result<(), Errno> {
        self.configure(FSCONFIG_CMD_CREATE, None, None)
    }

    fn configure(&self, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<(), Errno> {
        let pointer = |text: Option<&CStr>| text.map_or(core::ptr::null(), CStr::as_ptr);
        let (key, value) = (pointer(key), pointer(value));
        // SAFETY: both strings are null, where the command takes none, or NUL-terminated and outlive the call.
        let done = unsafe { libc::syscall(libc::SYS_fsconfig, self.0.as_raw_fd(), command, key, value, 0) };
        Errno::result(done).map(drop)
    }

    /// Makes a mount of the file system, which is nowhere yet and goes away with its last fd.
    pub fn mount(&self, attributes: Attributes) -> Result<OwnedFd, Errno> {
        let (fd, attributes) = (self.0.as_raw_fd(), attributes.bits());
        // SAFETY: the call takes numbers and returns a new fd.
        unsafe { new_fd(libc::syscall(libc::SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes)) }
    }

    /// What the kernel has said about what failed, if anything, as one line.
    pub fn messages(&self) -> Option<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; MESSAGE_MAX];
        while let Ok(length @ 1..) = nix::unistd::read(&self.0, &mut buffer) {
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            // "e message": the first letter tells errors, warnings and information apart.
            let (_, message) = text.trim_end().split_once(' ').unwrap_or_default();
            lines.push(message.to_owned());
        }
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

/// Attaches a mount to a path, which must not be a symbolic link.
pub fn attach(mount: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let (from, flags) = (mount.as_raw_fd(), MOVE_MOUNT_F_EMPTY_PATH);
    let here = libc::AT_FDCWD;
    // SAFETY: both strings are NUL-terminated and outlive the call.
    let done = unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), here, path.as_ptr(), flags) };
    Errno::result(done).map(drop)
}

/// The device number of the file system that something open is on. None where it cannot be told without asking a file
/// system in user space for more, which nobody may serve any more: before Linux 5.8.
///
/// `sample`: something open on a file system of the kernel's own, which shows what the kernel can do.
pub fn device_number(fd: BorrowedFd<'_>, sample: BorrowedFd<'_>) -> Option<u64> {
    // Added long after AT_STATX_DONT_SYNC was heeded, and shown by all file systems.
    if look(sample, libc::STATX_MNT_ID)?.stx_mask & libc::STATX_MNT_ID == 0 {
        return None;
    }
    // Who asks for nothing more is told this, and may be anybody.
    look(fd, 0).map(|found| libc::makedev(found.stx_dev_major, found.stx_dev_minor))
}

fn look(fd: BorrowedFd<'_>, mask: u32) -> Option<libc::statx> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let mut found = MaybeUninit::zeroed();
    // SAFETY: the path is NUL-terminated, the structure large enough, and both outlive the call.
    let done = unsafe { libc::statx(fd.as_raw_fd(), c"".as_ptr(), flags, mask, found.as_mut_ptr()) };
    // SAFETY: it was filled with zeros, which are values of all its fields.
    (done == 0).then(|| unsafe { found.assume_init() })
}

/// The fd that a system call returned.
///
/// # Safety
/// `result` is what a call returned that makes a new fd, and nobody else has it.
unsafe fn new_fd(result: libc::c_long) -> Result<OwnedFd, Errno> {
    let number = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: by contract.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
