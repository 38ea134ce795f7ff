//! The mount table's user space part, `/run/mount/utab`: options such as `x-gvfs-hide`, that the kernel does not keep
//! and desktops read.
//!
//! libmount owns the file, so mount(8) and umount(8) write it, and only where it exists and there is something to
//! write. `/etc/mtab` itself is a link into /proc today and needs nothing. fusermount3 sees to all this itself.

use super::kernel::Mounted;
use super::options::Options;
use super::process::{self, Ended};
use super::target::Target;
use nix::spawn::PosixSpawnFileActions;
use nix::unistd::{geteuid, getuid};
use std::ffi::{CStr, CString};
use std::path::Path;

/// Records a mount that was just made, if it has options for the table. Says whether it did.
pub fn record(target: &Target, mounted: &Mounted, options: &Options) -> bool {
    // mount(8) looks at the real user and would refuse.
    if !geteuid().is_root() || !getuid().is_root() || !Path::new("/run/mount/utab").exists() {
        return false;
    }
    let Some(list) = options.for_utab() else {
        return false;
    };
    // -f: do all but mount. -i: not through mount.fuse3.
    let args: [&CStr; 11] = [
        c"mount",
        c"--no-canonicalize",
        c"-i",
        c"-f",
        c"-t",
        &mounted.fstype,
        c"-o",
        &list,
        c"--",
        &mounted.source,
        &target.path,
    ];
    let recorded = run(c"/bin/mount", &args);
    if !recorded {
        let path = target.path.to_string_lossy();
        log::warn!("{path}: its x-* and user= options could not be recorded in /run/mount/utab");
    }
    recorded
}

/// Unmounts, lazily, and removes the record. Says whether that worked.
pub fn unmount(path: &CStr) -> bool {
    run(c"/bin/umount", &[c"umount", c"-i", c"-l", c"--", path])
}

/// Without our environment, which could make these programs behave otherwise.
fn run(program: &CStr, args: &[&CStr]) -> bool {
    let started =
        PosixSpawnFileActions::init().and_then(|files| process::start(program, args, &[] as &[CString], &files));
    started.is_ok_and(|child| !matches!(process::wait(child), Ended::Badly(_)))
}
