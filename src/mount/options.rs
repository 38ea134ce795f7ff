//! The mount options: what is taken from `-o`.

mod render;

use nix::errno::Errno;
use nix::mount::MsFlags;
use std::ffi::{CStr, CString};

/// MsFlags has no name for it; Linux 5.10 and later follow no symbolic link below such a mount.
pub(super) const MS_NOSYMFOLLOW: MsFlags = MsFlags::from_bits_retain(libc::MS_NOSYMFOLLOW);

/// Options that are nothing but a flag of mount(2): name, flag, whether it is set or cleared. Of the names for one
/// flag, the one that sets it is what fusermount3 is told.
const FLAGS: [(&str, MsFlags, bool); 18] = [
    ("rw", MsFlags::MS_RDONLY, false),
    ("ro", MsFlags::MS_RDONLY, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("atime", MsFlags::MS_NOATIME, false),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("nostrictatime", MsFlags::MS_STRICTATIME, false),
    ("symfollow", MS_NOSYMFOLLOW, false),
    ("nosymfollow", MS_NOSYMFOLLOW, true),
];

/// Security labels, passed to the kernel as they are.
const LABELS: [&str; 4] = ["context=", "fscontext=", "defcontext=", "rootcontext="];

/// What a mount is to be like.
#[derive(Clone, Debug)]
pub struct Options {
    flags: MsFlags,
    allow_other: bool,
    allow_root: bool,
    default_permissions: bool,
    auto_unmount: bool,
    blkdev: bool,
    fsname: Option<CString>,
    subtype: Option<CString>,
    max_read: Option<u32>,
    blksize: Option<u32>,
    labels: Vec<CString>,
    user: Option<CString>,
    third_party: Vec<CString>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// A read-write mount for its owner alone, without set-user-id programs and device nodes.
    pub fn new() -> Self {
        Self {
            flags: MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            allow_other: false,
            allow_root: false,
            default_permissions: false,
            auto_unmount: false,
            blkdev: false,
            fsname: None,
            subtype: None,
            max_read: None,
            blksize: None,
            labels: Vec::new(),
            user: None,
            third_party: Vec::new(),
        }
    }

    /// Offers one unescaped item of `-o`, or one of the arguments `-r` and `-n`. Says whether it is a mount option;
    /// one with a bad value is logged. As for mount(8), the last of several contradicting items counts.
    pub fn accept(&mut self, item: &CStr) -> Result<bool, Errno> {
        Ok(self.accept_flag(item.to_bytes()) || self.accept_value(item)?)
    }

    fn accept_flag(&mut self, item: &[u8]) -> bool {
        match item {
            b"allow_other" => self.allow_other = true,
            b"allow_root" => self.allow_root = true,
            b"default_permissions" => self.default_permissions = true,
            b"auto_unmount" => self.auto_unmount = true,
            b"blkdev" => self.blkdev = true,
            b"-r" => self.flags |= MsFlags::MS_RDONLY,
            // mount(8)'s "do not write mtab", which none of today's systems has, and libfuse 2's "the mountpoint may
            // have content", which every mountpoint now may.
            b"-n" | b"nonempty" => {}
            _ => match FLAGS.iter().find(|(name, ..)| name.as_bytes() == item) {
                Some(&(_, flag, on)) => self.flags.set(flag, on),
                None => return false,
            },
        }
        true
    }

    fn accept_value(&mut self, item: &CStr) -> Result<bool, Errno> {
        let bytes = item.to_bytes();
        if let Some(value) = bytes.strip_prefix(b"fsname=") {
            self.fsname = Some(CString::new(value).map_err(|_| Errno::EINVAL)?);
        } else if let Some(value) = bytes.strip_prefix(b"subtype=") {
            self.subtype = Some(CString::new(value).map_err(|_| Errno::EINVAL)?);
        } else if let Some(value) = bytes.strip_prefix(b"max_read=") {
            self.max_read = Some(number(item, value)?);
        } else if let Some(value) = bytes.strip_prefix(b"blksize=") {
            self.blksize = Some(number(item, value)?);
        } else if let Some(value) = LABELS.iter().find_map(|label| bytes.strip_prefix(label.as_bytes())) {
            self.labels.push(label(item, value)?);
        } else if bytes.starts_with(b"user=") {
            self.user = Some(one_item(item)?);
        } else if bytes.starts_with(b"x-") {
            self.third_party.push(one_item(item)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether the kernel checks permissions.
    pub fn default_permissions(&self) -> bool {
        self.default_permissions
    }

    /// Whether the session has to turn away everyone but the owner and root: the kernel knows "all" and "owner" only
    /// and is told "all".
    pub fn allow_root(&self) -> bool {
        self.allow_root
    }

    /// The largest read, in bytes, that the kernel was asked to send.
    pub fn max_read(&self) -> Option<u32> {
        self.max_read
    }

    /// Whether the mount is to go when the process does.
    pub fn auto_unmount(&self) -> bool {
        self.auto_unmount
    }

    pub(super) fn flags(&self) -> MsFlags {
        self.flags
    }

    pub(super) fn subtype(&self) -> Option<&CStr> {
        self.subtype.as_deref()
    }

    /// What the kernel would refuse without saying why. Comes before a mount.
    pub fn check(&self) -> Result<(), Errno> {
        let empty = |name: &Option<CString>| name.as_ref().is_some_and(|name| name.is_empty());
        let wrong = match (self.blkdev, self.blksize, &self.fsname) {
            _ if empty(&self.fsname) => "option fsname=: the name is missing",
            _ if empty(&self.subtype) => "option subtype=: the name is missing",
            (false, Some(_), _) => "option blksize= needs blkdev",
            (true, _, None) => "option blkdev needs fsname= with the block device",
            _ => return Ok(()),
        };
        log::error!("{wrong}");
        Err(Errno::EINVAL)
    }
}

/// An option for the mount table, whose lists have no way to write a comma: what follows it would become an option.
fn one_item(item: &CStr) -> Result<CString, Errno> {
    if item.to_bytes().contains(&b',') {
        log::error!("option {}: must not contain a comma", item.to_string_lossy());
        return Err(Errno::EINVAL);
    }
    Ok(item.to_owned())
}

/// A security label. Double quotes make its commas part of it, so they come as a pair around it or not at all: after a
/// stray one the kernel would take the options behind it for a part of the label.
fn label(item: &CStr, value: &[u8]) -> Result<CString, Errno> {
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    if inner.contains(&b'"') {
        log::error!("option {}: double quotes only around the whole label", item.to_string_lossy());
        return Err(Errno::EINVAL);
    }
    Ok(item.to_owned())
}

/// A number as the kernel reads it: decimal, octal after a 0, hexadecimal after 0x.
fn number(item: &CStr, value: &[u8]) -> Result<u32, Errno> {
    let unsigned = value.strip_prefix(b"+").unwrap_or(value);
    let (digits, radix) = match unsigned {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        digits => (digits, 10),
    };
    let plain = digits.iter().all(u8::is_ascii_alphanumeric);
    let parsed = std::str::from_utf8(digits).ok().and_then(|text| u32::from_str_radix(text, radix).ok());
    parsed.filter(|_| plain).ok_or_else(|| {
        log::error!("option {}: not a number from 0 to {}", item.to_string_lossy(), u32::MAX);
        Errno::EINVAL
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn options(items: &[&CStr]) -> Options {
        let mut options = Options::new();
        for item in items {
            assert_eq!(options.accept(item), Ok(true), "{item:?}");
        }
        options
    }

    #[test]
    fn only_mount_options_are_taken() {
        let mut options = Options::new();
        for other in [c"", c"debug", c"-o", c"fsname", c"ro=1", c"allow_other=1", c"_netdev", c"relatime"] {
            assert_eq!(options.accept(other), Ok(false), "{other:?}");
        }
    }

    #[test]
    fn bad_values_are_refused() {
        let mut options = Options::new();
        for bad in [
            c"max_read=",
            c"max_read=12x",
            c"max_read=-1",
            c"max_read= 1",
            c"max_read=++1",
            c"max_read=0x",
            c"max_read=0x+1",
            c"max_read=08",
            c"max_read=4294967296",
            c"x-note=a,dev",
            c"user=a,b",
            c"context=a\"b,c",
            c"context=\"",
            c"rootcontext=\"a\"b\"",
        ] {
            assert_eq!(options.accept(bad), Err(Errno::EINVAL), "{bad:?}");
        }
    }

    #[test]
    fn flags_start_safe_and_the_last_counts() {
        let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        assert_eq!(options(&[]).flags(), safe);
        assert_eq!(options(&[c"suid", c"dev"]).flags(), MsFlags::empty());
        assert_eq!(options(&[c"ro", c"rw", c"-r"]).flags(), safe | MsFlags::MS_RDONLY);
        assert_eq!(options(&[c"noatime", c"atime"]).flags(), safe);
        assert_eq!(options(&[c"nosymfollow"]).flags(), safe | MS_NOSYMFOLLOW);
        assert_eq!(options(&[c"norelatime", c"nostrictatime", c"nonempty", c"-n"]).flags(), safe);
    }

    #[test]
    fn allow_root_is_the_sessions_to_enforce() {
        assert!(!options(&[c"allow_other"]).allow_root());
        assert!(options(&[c"allow_root", c"allow_other"]).allow_root());
    }

    #[test]
    fn numbers_are_the_kernels() {
        let cases = [
            (c"max_read=7", 7),
            (c"max_read=+7", 7),
            (c"max_read=0", 0),
            (c"max_read=010", 8),
            (c"max_read=0xFf", 255),
        ];
        for (item, value) in cases {
            assert_eq!(options(&[item]).max_read(), Some(value), "{item:?}");
        }
    }

    /// Not before there is something to mount: for the rest of a session they mean nothing.
    #[test]
    fn names_are_looked_at_when_they_are_needed() {
        assert_eq!(options(&[c"fsname="]).check(), Err(Errno::EINVAL));
        assert_eq!(options(&[c"subtype="]).check(), Err(Errno::EINVAL));
    }

    #[test]
    fn block_devices_need_one() {
        assert!(options(&[c"blkdev", c"fsname=/dev/x", c"blksize=512"]).check().is_ok());
        assert_eq!(options(&[c"blkdev"]).check(), Err(Errno::EINVAL));
        assert_eq!(options(&[c"blksize=512"]).check(), Err(Errno::EINVAL));
    }
}
