//! A mount for another program: what helpers call that mount a file system before they start its daemon, so that this
//! needs no rights of its own. libfuse declares it in no header before 3.19, where it is in fuse.h.

use crate::capi::log;
use crate::capi::result::ToC;
use crate::mount;
use crate::opt::{self, Args, Event, Verdict};
use core::ffi::{CStr, c_char, c_int};
use nix::errno::Errno;
use std::os::fd::IntoRawFd;

/// Mounts a file system that another program is to serve, which gets the device as `/dev/fd/N` for its mountpoint.
///
/// `mountpoint`: a directory or a regular file. `options`: as after `-o`, or NULL; those that are no mount options are
/// left to the program. `allow_root` is, too: only the program can tell root from others, so that here the mount is its
/// owner's alone. Programs call it from one thread.
/// Returns the device's file descriptor, the caller's from now on and close-on-exec, or -1 with errno after a log line
/// that names what is wrong. Under auto_unmount a further descriptor stays open, also in programs that this process
/// starts or becomes: the mount goes away when the last of them has ended. Since libfuse 3.3.
///
/// # Safety
/// `mountpoint` and `options` are null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_open_channel(mountpoint: *const c_char, options: *const c_char) -> c_int {
    log::install();
    // SAFETY: the caller vouches for the strings.
    let [mountpoint, options] = [mountpoint, options].map(|s| (!s.is_null()).then(|| unsafe { CStr::from_ptr(s) }));
    let Some(mountpoint) = mountpoint else {
        ::log::error!("fuse_open_channel: no mountpoint is given");
        return Err(Errno::EINVAL).status();
    };
    open(mountpoint, options).unwrap_or_else(|errno| Err(errno).status())
}
symver!(fuse_open_channel, "FUSE_3.3");

fn open(mountpoint: &CStr, list: Option<&CStr>) -> Result<c_int, Errno> {
    let mut options = mount::Options::new();
    if let Some(list) = list {
        let mut args = Args::from_iter([c"", c"-o", list]);
        let no_specs: [opt::Spec<'_, ()>; 0] = [];
        opt::parse(&mut args, &no_specs, &mut |event, _| {
            if let Event::Unknown(item) = event
                && item != c"allow_root"
            {
                options.accept(item)?;
            }
            Ok(Verdict::Drop)
        })?;
    }
    mount::occupy_standard_streams()?;
    let (mount, device) = mount::mount(mountpoint, &options, None)?;
    mount.bequeath()?;
    Ok(device.into_raw_fd())
}
