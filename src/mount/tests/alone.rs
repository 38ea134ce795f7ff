//! What needs a process of its own: other rights, a system that lacks something, the log, a count of descriptors.

use super::*;
use nix::sys::wait::waitpid;
use std::process::Command;

/// Set in the further process, to a mountpoint.
const PLACE: &str = "FUSEWIRE_TEST_PLACE";

/// A folder to prepare a further process in. What that one mounts, it mounts in a name space of its own.
struct Stage(PathBuf);

impl Stage {
    fn new() -> Self {
        let place = Place::new();
        std::fs::create_dir(place.0.join("mountpoint")).unwrap();
        // Place would not remove it with its content.
        let path = place.0.clone();
        std::mem::forget(place);
        Self(path)
    }

    /// Runs one of these tests in a further process, after the commands of a shell script, and returns what it logs,
    /// with PLACE for the mountpoint. In the script, `$0 $@` is that process, `$stage` the folder.
    fn play(&self, test: &str, script: &str) -> Vec<String> {
        let place = self.0.join("mountpoint");
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-ec", script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &format!("mount::tests::alone::{test}"), "--nocapture"])
            .env("stage", &self.0)
            .env(PLACE, &place)
            .output()
            .unwrap();
        let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && told.contains("1 passed"), "{said}\n{told}");
        let lines = said.lines().filter_map(|line| line.strip_prefix("LOG "));
        lines.map(|line| line.replace(place.to_str().unwrap(), "PLACE")).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// In the further process: its mountpoint. Its log goes to standard error from here on.
fn further() -> Option<Place> {
    struct ToStderr;
    impl log::Log for ToStderr {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            eprintln!("LOG {} {}", record.level(), record.args());
        }
        fn flush(&self) {}
    }
    let place = PathBuf::from(std::env::var_os(PLACE)?);
    log::set_logger(&ToStderr).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    Some(Place(place))
}

/// The start of a script: a device that everyone may open, a mountpoint of user 65534, and a setting of fusermount3.
fn for_users(setting: &str) -> String {
    let prepare = r#"
        chmod 755 "$stage"
        chown 65534:65534 "$stage/mountpoint"
        mknod -m 666 "$stage/fuse" c 10 229
        mount --bind "$stage/fuse" /dev/fuse
        cp "$0" "$stage/tests"
        cp "$(command -v setpriv)" "$stage/setpriv"
    "#;
    format!("{prepare}\necho '{setting}' >\"$stage/conf\"\nmount --bind \"$stage/conf\" /etc/fuse.conf\n")
}

/// The end of a script: goes on as user 65534.
const AS_USER: &str = r#"exec "$stage/setpriv" --reuid=65534 --regid=65534 --clear-groups "$stage/tests" "$@""#;

fn can_use_helper() -> bool {
    let can = can_mount() && Path::new("/usr/bin/fusermount3").exists();
    if !can {
        eprintln!("skipped: needs fusermount3");
    }
    can
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn users_mount_through_fusermount3() {
    if let Some(place) = further() {
        return mount_as_user(&place);
    }
    if can_use_helper() {
        let lines = Stage::new().play("users_mount_through_fusermount3", &(for_users("") + AS_USER));
        let refused = "ERROR cannot mount PLACE through fusermount3: option allow_other only allowed if \
                       'user_allow_other' is set in /etc/fuse.conf";
        let unfit = "ERROR cannot mount / through fusermount3: user has no write access to mountpoint /";
        assert_eq!(lines, [refused, unfit]);
    }
}

fn mount_as_user(place: &Place) {
    assert!(!getuid().is_root());
    let before = descriptors();
    let shown = format!("rw,nosuid,nodev,relatime {AWKWARD_SHOWN} rw,user_id=65534,group_id=65534");
    for more in [&[][..], &[c"auto_unmount"], &[c"x-gvfs-hide"], &[c"dev"], &[c"user=me"]] {
        let items = [&AWKWARD[..], more].concat();
        let (mount, device) = mount(&place.c(), &options(&items)).unwrap();
        assert_eq!(place.mounted().unwrap(), shown, "{more:?}");
        let flags = nix::fcntl::fcntl(&device, nix::fcntl::F_GETFD).unwrap();
        assert_eq!(flags, libc::FD_CLOEXEC);
        mount.unmount(device);
        assert_eq!(place.mounted(), None, "{more:?}");
    }
    assert_eq!(mount(&place.c(), &options(&[c"allow_other"])).unwrap_err(), Errno::EPERM);
    assert_eq!(mount(c"/", &Options::new()).unwrap_err(), Errno::EPERM);
    assert_eq!(waitpid(None, None).unwrap_err(), Errno::ECHILD);
    assert_eq!(descriptors(), before);
}

#[test]
fn auto_unmount_works_for_users() {
    if let Some(place) = further() {
        assert!(!getuid().is_root());
        // Without allow_other, helpers before libfuse 3.15 cannot tell that the daemon has died.
        let items = options(&[c"auto_unmount", c"allow_other"]);
        let (mount, device) = mount(&place.c(), &items).unwrap();
        assert!(place.mounted().unwrap().contains("user_id=65534"));
        drop((device, mount));
        return assert!(place.gone_within(Duration::from_secs(10)));
    }
    if can_use_helper() {
        let script = for_users("user_allow_other") + AS_USER;
        assert_eq!(Stage::new().play("auto_unmount_works_for_users", &script), [""; 0]);
    }
}

#[test]
fn a_missing_fusermount3_is_named() {
    if let Some(place) = further() {
        assert_eq!(mount(&place.c(), &Options::new()).unwrap_err(), Errno::ENOENT);
        return assert_eq!(place.mounted(), None);
    }
    if can_use_helper() {
        let hide = "mkdir \"$stage/empty\"\nmount --bind \"$stage/empty\" /usr/bin\n";
        let script = for_users("") + hide + AS_USER;
        let lines = Stage::new().play("a_missing_fusermount3_is_named", &script);
        let missing = "ERROR cannot mount PLACE through fusermount3: it is not installed (package fuse3)";
        assert_eq!(lines, [missing]);
    }
}

#[test]
fn a_missing_device_is_named() {
    if let Some(place) = further() {
        assert_eq!(mount(&place.c(), &Options::new()).unwrap_err(), Errno::ENOENT);
        return assert_eq!(place.mounted(), None);
    }
    if can_mount() {
        let script = r#"FUSE_KERN_DEVICE=/dev/none exec "$0" "$@""#;
        let lines = Stage::new().play("a_missing_device_is_named", script);
        let missing =
            "ERROR cannot open /dev/none: No such file or directory (kernel module not loaded? modprobe fuse)";
        assert_eq!(lines, [missing]);
    }
}

#[test]
fn only_devices_are_taken_from_the_environment() {
    if let Some(place) = further() {
        let (mount, device) = mount(&place.c(), &Options::new()).unwrap();
        return mount.unmount(device);
    }
    if can_mount() {
        for other in ["/etc/passwd", "/dev", "fuse"] {
            let script = format!(r#"FUSE_KERN_DEVICE={other} exec "$0" "$@""#);
            let lines = Stage::new().play("only_devices_are_taken_from_the_environment", &script);
            let warning = "not a character device below /dev, using /dev/fuse";
            assert_eq!(lines, [format!("WARN FUSE_KERN_DEVICE={other}: {warning}")]);
        }
    }
}

#[test]
fn closed_standard_streams_stay_clear_of_the_device() {
    if let Some(place) = further() {
        let (mount, device) = mount(&place.c(), &options(&[c"auto_unmount"])).unwrap();
        assert!(std::os::fd::AsRawFd::as_raw_fd(&device) > 2);
        return mount.unmount(device);
    }
    if can_use_helper() {
        let script = r#"exec "$0" "$@" <&-"#;
        let lines = Stage::new().play("closed_standard_streams_stay_clear_of_the_device", script);
        assert_eq!(lines, [""; 0]);
    }
}

#[test]
fn open_streams_need_no_null_device() {
    if let Some(place) = further() {
        for items in [&[][..], &[c"auto_unmount"]] {
            let (mount, device) = mount(&place.c(), &options(items)).unwrap();
            mount.unmount(device);
            assert_eq!(place.mounted(), None);
        }
        return;
    }
    if can_use_helper() {
        let script = r#"
            touch "$stage/fuse"
            mount --bind /dev/fuse "$stage/fuse"
            mount -t tmpfs none /dev
            touch /dev/fuse
            mount --bind "$stage/fuse" /dev/fuse
            exec "$0" "$@"
        "#;
        assert_eq!(Stage::new().play("open_streams_need_no_null_device", script), [""; 0]);
    }
}

/// A daemon that enters a mount name space of its own finds a copy of its mount there.
#[test]
fn a_copy_of_our_mount_is_ours() {
    if let Some(place) = further() {
        // Other tests' mounts were copied, too.
        let (mount, device) = mount(&place.c(), &options(&[c"fsname=copied"])).unwrap();
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let table = || std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert!(table().contains(" - fuse copied "));
        mount.unmount(device);
        // What the process' other threads see goes with it.
        std::mem::forget(place);
        return assert!(!table().contains(" - fuse copied "));
    }
    if can_mount() {
        let script = r#"exec "$0" "$@""#;
        assert_eq!(Stage::new().play("a_copy_of_our_mount_is_ours", script), [""; 0]);
    }
}

/// A link of /proc leads into another process' mount name space: a mount there is none here.
#[test]
fn a_path_into_another_name_space_is_refused() {
    if let Some(place) = further() {
        let elsewhere = std::env::var("ELSEWHERE").unwrap();
        let path = CString::new(format!("/proc/{elsewhere}/root{}", place.0.display())).unwrap();
        assert_eq!(mount(&path, &Options::new()).unwrap_err(), Errno::EINVAL);
        return assert_eq!(place.mounted(), None);
    }
    if can_mount() {
        let script = r#"
            mkfifo "$stage/ready"
            unshare --mount sh -ec 'echo >"$0/ready"; exec sleep 60' "$stage" &
            read -r line <"$stage/ready"
            trap "kill $!" EXIT
            ELSEWHERE=$! "$0" "$@"
        "#;
        let lines = Stage::new().play("a_path_into_another_name_space_is_refused", script);
        assert!(matches!(&lines[..], [line] if line.ends_with(": is elsewhere than at PLACE")), "{lines:?}");
    }
}

#[test]
fn user_space_options_are_recorded() {
    let utab = || std::fs::read_to_string("/run/mount/utab").unwrap();
    if let Some(place) = further() {
        let (mount, device) = mount(&place.c(), &options(&[c"x-gvfs-hide", c"fsname=recorded"])).unwrap();
        let text = utab();
        assert!(text.contains("recorded") && text.contains("x-gvfs-hide"), "{text}");
        mount.unmount(device);
        assert_eq!(place.mounted(), None);
        return assert!(!utab().contains("recorded"));
    }
    if can_mount() {
        let script = r#"
            mount -t tmpfs none /run
            mkdir /run/mount
            touch /run/mount/utab
            exec "$0" "$@"
        "#;
        let lines = Stage::new().play("user_space_options_are_recorded", script);
        assert_eq!(lines, [""; 0]);
    }
}

#[test]
fn a_failure_is_one_line_and_leaves_nothing() {
    if let Some(place) = further() {
        return fail_in_every_way(&place);
    }
    if !can_use_helper() {
        return;
    }
    let lines = Stage::new().play("a_failure_is_one_line_and_leaves_nothing", r#"exec "$0" "$@""#);
    let expected = [
        "ERROR mountpoint : No such file or directory",
        "ERROR mountpoint /nowhere/at/all: No such file or directory",
        "ERROR mountpoint /proc/self/comm/x: Not a directory",
        "ERROR mountpoint /dev/null: neither a directory nor a regular file",
        "ERROR mountpoint /dev/fd/99999: Bad file number",
        "ERROR mountpoint /dev/fd/99999999999: Bad file number",
        "ERROR mountpoint /dev/fd/0: not an open FUSE device",
        "ERROR option blkdev needs fsname= with the block device",
        "ERROR cannot mount /nowhere of type fuseblk on PLACE: No such file or directory (/nowhere: Can't lookup blockdev)",
        "ERROR cannot mount /dev/null of type fuseblk on PLACE: Block device required (fsname= is not a block device)",
        "ERROR mount options are longer than 4095 bytes",
        "ERROR cannot mount /dev/fuse of type fuse on PLACE: Invalid argument (fuse: Unknown parameter 'context')",
        "ERROR cannot mount PLACE through fusermount3: unknown option 'context=x'",
        "ERROR mountpoint PLACE: Transport endpoint is not connected (a FUSE mount without its daemon; unmount it with \
         fusermount3 -u)",
    ];
    assert_eq!(lines, expected);
}

fn fail_in_every_way(place: &Place) {
    let before = descriptors();
    let in_place = place.c();
    let long = CString::new(format!("context={}", "x".repeat(5000))).unwrap();
    let many = [c"context=a,b"; 400];
    let cases: [(&CStr, &[&CStr], Errno); 13] = [
        (c"", &[], Errno::ENOENT),
        (c"/nowhere/at/all", &[], Errno::ENOENT),
        (c"/proc/self/comm/x", &[], Errno::ENOTDIR),
        (c"/dev/null", &[], Errno::ENOTDIR),
        (c"/dev/fd/99999", &[], Errno::EBADF),
        (c"/dev/fd/99999999999", &[], Errno::EBADF),
        (c"/dev/fd/0", &[], Errno::EBADF),
        (&in_place, &[c"blkdev"], Errno::EINVAL),
        (&in_place, &[c"blkdev", c"fsname=/nowhere"], Errno::ENOENT),
        (&in_place, &[c"blkdev", c"fsname=/dev/null"], Errno::ENOTBLK),
        (&in_place, &[&long], Errno::EINVAL),
        // More than a page together is no matter. Without SELinux the kernel knows none.
        (&in_place, &many, Errno::EINVAL),
        (&in_place, &[c"auto_unmount", c"context=x"], Errno::EPERM),
    ];
    for (mountpoint, items, errno) in cases {
        assert_eq!(mount(mountpoint, &options(items)).unwrap_err(), errno, "{mountpoint:?} {items:?}");
        assert_eq!(place.mounted(), None);
    }
    assert_eq!(descriptors(), before);
    // Dropped without unmounting, as by a daemon that died.
    drop(mount(&in_place, &Options::new()).unwrap());
    assert_eq!(mount(&in_place, &Options::new()).unwrap_err(), Errno::ENOTCONN);
}
