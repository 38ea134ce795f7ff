//! Real mounts, that nobody serves: nothing here may look into one, only at the mount table.

mod alone;

use super::*;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::unistd::{Pid, getuid};
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A mountpoint of its own, which takes with it whatever a failed test left there.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fusewire mount,{}-{}", Pid::this(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn c(&self) -> CString {
        CString::new(self.0.as_os_str().as_bytes()).unwrap()
    }

    /// The topmost mount here: flags, type, source and the file system's own options, space-separated.
    fn mounted(&self) -> Option<String> {
        let table = std::fs::read("/proc/self/mountinfo").unwrap();
        let here = |line: &Vec<u8>| line.split(|&b| b == b' ').nth(4).map(unescape).as_deref() == Some(self.bytes());
        let line = table.split(|&b| b == b'\n').map(<[u8]>::to_vec).rfind(here)?;
        let fields: Vec<_> = line.split(|&b| b == b' ').map(unescape).collect();
        let dash = fields.iter().position(|f| f == b"-").unwrap();
        let shown = [&fields[5..6], &fields[dash + 1..]].concat().join(&b' ');
        Some(String::from_utf8(shown).unwrap())
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_os_str().as_bytes()
    }

    fn gone_within(&self, limit: Duration) -> bool {
        let start = Instant::now();
        while self.mounted().is_some() && start.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.mounted().is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        while self.mounted().is_some() {
            if umount2(&self.0, MntFlags::MNT_DETACH).is_err() {
                helper::unmount(&self.c());
                break;
            }
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Without anyone who serves.
fn mount(mountpoint: &CStr, options: &Options) -> Result<(Mount, OwnedFd), Errno> {
    occupy_standard_streams()?;
    super::mount(mountpoint, options, None)
}

/// Undoes the mount table's octal escapes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = std::str::from_utf8(tail.get(..3).unwrap_or_default()).unwrap_or_default();
        match u8::from_str_radix(octal, 8) {
            Ok(byte) if first == b'\\' && octal.len() == 3 => {
                out.push(byte);
                rest = &tail[3..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

fn options(items: &[&CStr]) -> Options {
    let mut options = Options::new();
    for item in items {
        assert_eq!(options.accept(item), Ok(true), "{item:?}");
    }
    options
}

fn can_mount() -> bool {
    let can = getuid().is_root() && Path::new("/dev/fuse").exists();
    if !can {
        eprintln!("skipped: needs root and /dev/fuse");
    }
    can
}

const AWKWARD: [&CStr; 2] = [c"fsname=a,b c\\d é", c"subtype=x,y z\\ü"];
const AWKWARD_SHOWN: &str = "fuse.x,y z\\ü a,b c\\d é";

#[test]
fn the_kernel_mounts_for_root() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    let (mount, device) = mount(&place.c(), &options(&AWKWARD)).unwrap();
    let shown = place.mounted().unwrap();
    assert_eq!(shown, format!("rw,nosuid,nodev,relatime {AWKWARD_SHOWN} rw,user_id=0,group_id=0"));
    mount.unmount(device);
    assert_eq!(place.mounted(), None);
}

#[test]
fn options_reach_the_kernel() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    let items =
        [c"ro", c"dev", c"suid", c"noexec", c"noatime", c"allow_root", c"default_permissions", c"max_read=8192"];
    let (mount, device) = mount(&place.c(), &options(&items)).unwrap();
    let shown = place.mounted().unwrap();
    assert_eq!(
        shown,
        "ro,noexec,noatime fuse /dev/fuse ro,user_id=0,group_id=0,default_permissions,allow_other,max_read=8192"
    );
    mount.unmount(device);
    assert_eq!(place.mounted(), None);
}

/// The older way leaves nothing to be desired but the kernel's own words and room for options.
#[test]
fn both_ways_to_mount_look_the_same() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    let target = Target::find(&place.c()).unwrap();
    let lists: [&[&CStr]; 8] = [
        &[],
        &AWKWARD,
        &[c"ro", c"sync", c"dirsync"],
        &[c"dev", c"suid", c"noexec", c"nosymfollow"],
        &[c"noatime"],
        &[c"nodiratime", c"subtype=only"],
        &[c"noatime", c"nodiratime", c"fsname=x"],
        &[c"allow_other", c"default_permissions", c"max_read=4096", c"x-this", c"user=me"],
    ];
    for items in lists {
        let given = options(items);
        let [by_descriptors, by_one_call] = [kernel::mount_by_descriptors, kernel::mount_by_one_call].map(|way| {
            let mounted = way(&target, &given).unwrap().expect("root may mount");
            let shown = place.mounted().unwrap();
            assert_eq!(mounted.id, MountId::at(&target.path), "{items:?}");
            drop(mounted);
            umount2(&place.0, MntFlags::MNT_DETACH).unwrap();
            shown
        });
        assert_eq!(by_descriptors, by_one_call, "{items:?}");
    }
}

#[test]
fn names_are_as_long_as_the_kernel_takes() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    for length in [255, 256, 4000] {
        let name = CString::new(format!("fsname={}", "x".repeat(length))).unwrap();
        let (mount, device) = mount(&place.c(), &options(&[&name])).unwrap();
        assert!(place.mounted().unwrap().contains(&"x".repeat(length)));
        mount.unmount(device);
    }
}

#[test]
fn a_regular_file_is_a_mountpoint_too() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    std::fs::remove_dir(&place.0).unwrap();
    std::fs::write(&place.0, "below").unwrap();
    let (mount, device) = mount(&place.c(), &Options::new()).unwrap();
    assert!(place.mounted().is_some());
    mount.unmount(device);
    assert_eq!(place.mounted(), None);
    assert_eq!(std::fs::read(&place.0).unwrap(), b"below");
    std::fs::remove_file(&place.0).unwrap();
}

#[test]
fn only_our_own_mount_is_taken_down() {
    if !can_mount() {
        return;
    }
    let tmpfs = |place: &Place| {
        let none: Option<&str> = None;
        nix::mount::mount(Some("other"), &place.0, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    };
    let over = Place::new();
    let (ours, device) = mount(&over.c(), &Options::new()).unwrap();
    tmpfs(&over);
    ours.unmount(device);
    assert!(over.mounted().unwrap().contains("tmpfs other"), "mounted over ours");

    let instead = Place::new();
    let (ours, device) = mount(&instead.c(), &Options::new()).unwrap();
    umount2(&instead.0, MntFlags::MNT_DETACH).unwrap();
    tmpfs(&instead);
    ours.unmount(device);
    assert!(instead.mounted().unwrap().contains("tmpfs other"), "mounted after ours was gone");
}

/// The connection lives on in a copy, as a container has it, while another mount gets the number in the mount table.
#[test]
fn a_mount_with_our_number_is_not_ours() {
    if !can_mount() {
        return;
    }
    let none: Option<&str> = None;
    let (place, copy) = (Place::new(), Place::new());
    if let Some(MountId::Mount(_)) = MountId::at(&place.c()) {
        return eprintln!("skipped: needs Linux 5.8");
    }
    let (ours, device) = mount(&place.c(), &Options::new()).unwrap();
    nix::mount::mount(Some(&place.0), &copy.0, none, MsFlags::MS_BIND, none).unwrap();
    umount2(&place.0, MntFlags::MNT_DETACH).unwrap();
    nix::mount::mount(Some("other"), &place.0, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    ours.unmount(device);
    assert!(place.mounted().unwrap().contains("tmpfs other"));
}

#[test]
fn auto_unmount_follows_the_device() {
    if !can_mount() || !Path::new("/usr/bin/fusermount3").exists() {
        return;
    }
    let items = [&AWKWARD[..], &[c"auto_unmount", c"x-gvfs-hide", c"user=me", c"dev"]].concat();
    let place = Place::new();
    let (mount_, device) = mount(&place.c(), &options(&items)).unwrap();
    let shown = place.mounted().unwrap();
    assert_eq!(shown, format!("rw,nosuid,relatime {AWKWARD_SHOWN} rw,user_id=0,group_id=0"));
    // As when the daemon dies.
    drop((device, mount_));
    assert!(place.gone_within(Duration::from_secs(10)));

    let (mount_, device) = mount(&place.c(), &options(&items)).unwrap();
    assert!(place.mounted().is_some());
    mount_.unmount(device);
    assert_eq!(place.mounted(), None);
}

#[test]
fn a_device_opened_by_someone_else_is_taken_over() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    let (theirs, device) = mount(&place.c(), &Options::new()).unwrap();
    let second = device.try_clone().unwrap();
    let path = CString::new(format!("/dev/fd/{}", second.into_raw_fd())).unwrap();
    let (ours, inherited) = mount(&path, &Options::new()).unwrap();
    ours.unmount(inherited);
    assert!(place.mounted().is_some(), "whoever mounted unmounts");
    theirs.unmount(device);
    assert_eq!(place.mounted(), None);
}
