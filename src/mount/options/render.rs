//! The strings that the kernel, fusermount3 and the mount table get of the options.

use super::{FLAGS, Options};
use crate::mount::escape;
use nix::errno::Errno;
use nix::unistd::{getgid, getuid};
use std::ffi::{CStr, CString};

impl Options {
    /// The type without a subtype.
    pub fn base_type(&self) -> &'static CStr {
        if self.blkdev { c"fuseblk" } else { c"fuse" }
    }

    /// Type and source as mount(2) takes them; a mount without a name of its own shows the device.
    pub fn names(&self, device: &CStr) -> Result<(CString, CString), Errno> {
        let base = self.base_type().to_bytes();
        let fstype = match &self.subtype {
            Some(subtype) => CString::new([base, b".", subtype.to_bytes()].concat()),
            None => CString::new(base),
        };
        let source = self.fsname.as_ref().or(self.subtype.as_ref());
        let source = source.map_or(device, CString::as_c_str).to_owned();
        Ok((fstype.map_err(|_| Errno::EINVAL)?, source))
    }

    /// Type and source for a kernel that knows no subtypes: it stands in the source then. None without a subtype.
    pub fn names_without_subtype(&self) -> Option<(CString, CString)> {
        let subtype = self.subtype.as_ref()?;
        let fstype = self.base_type().to_owned();
        let source = match &self.fsname {
            Some(device) if self.blkdev => device.clone(),
            Some(fsname) => CString::new([subtype.to_bytes(), b"#", fsname.to_bytes()].concat()).ok()?,
            None => fstype.clone(),
        };
        Some((fstype, source))
    }

    /// What the kernel is told of the file system, after what describes the connection: `key=value` and bare keys.
    pub fn kernel_items(&self) -> Vec<Vec<u8>> {
        let labels = self.labels.iter().map(|label| label.to_bytes().to_vec());
        labels.chain(self.access_and_limits()).collect()
    }

    /// fusermount3's `-o`. `third_party` is whether to include `x-*`, which older ones do not know.
    pub fn for_helper(&self, third_party: bool) -> Result<CString, Errno> {
        let mut list = Vec::new();
        self.flag_names(&mut list);
        for label in &self.labels {
            push(&mut list, label.to_bytes());
        }
        self.access_and_limits().for_each(|item| push(&mut list, &item));
        for (name, on) in [("auto_unmount", self.auto_unmount), ("blkdev", self.blkdev)] {
            if on {
                push(&mut list, name.as_bytes());
            }
        }
        for (key, value) in [("fsname=", &self.fsname), ("subtype=", &self.subtype)] {
            if let Some(value) = value {
                push(&mut list, key.as_bytes());
                escape::for_helper(value.to_bytes(), &mut list);
            }
        }
        // Not user=: fusermount3 finds out itself who its user is, and refuses the option.
        for item in self.third_party.iter().filter(|_| third_party) {
            push(&mut list, item.to_bytes());
        }
        CString::new(list).map_err(|_| Errno::EINVAL)
    }

    /// Bytes of the mount table's line for a mount on `path` by the calling user.
    pub fn table_line_length(&self, path: &CStr) -> Result<usize, Errno> {
        let (fstype, source) = self.names(c"/dev/fuse")?;
        let mut list = Vec::new();
        self.flag_names(&mut list);
        self.access_and_limits().for_each(|item| push(&mut list, &item));
        push(&mut list, format!("relatime,user_id={},group_id={}", getuid(), getgid()).as_bytes());
        let fields = [source.to_bytes(), path.to_bytes(), fstype.to_bytes(), &list, b"0", b"0"];
        Ok(fields.into_iter().map(|field| escape::table_length(field) + 1).sum())
    }

    /// Whether there are options that neither kernel nor library understands, but readers of the mount table may.
    pub fn has_third_party(&self) -> bool {
        !self.third_party.is_empty()
    }

    /// The options for the mount table's user space part, if it has any: without one the kernel's part says it all.
    pub fn for_utab(&self) -> Option<CString> {
        if self.third_party.is_empty() && self.user.is_none() {
            return None;
        }
        let mut list = Vec::new();
        self.flag_names(&mut list);
        for item in self.third_party.iter().chain(&self.user) {
            push(&mut list, item.to_bytes());
        }
        CString::new(list).ok()
    }

    /// Names of the flags that are set. `suid` and `dev` have to be named too, because fusermount3 starts from the
    /// same defaults as we do; but it complains about them unless root asks.
    fn flag_names(&self, list: &mut Vec<u8>) {
        let root = getuid().is_root();
        for (name, flag, on) in FLAGS {
            let named = match name {
                "rw" => true,
                "suid" | "dev" => root,
                _ => on,
            };
            if named && self.flags.contains(flag) == on {
                push(list, name.as_bytes());
            }
        }
    }

    fn access_and_limits(&self) -> impl Iterator<Item = Vec<u8>> {
        let access =
            [(self.default_permissions, "default_permissions"), (self.allow_other || self.allow_root, "allow_other")];
        let limits = [("max_read", self.max_read), ("blksize", self.blksize)];
        let access = access.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_owned());
        let limits = limits.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?)));
        access.chain(limits).map(String::into_bytes)
    }
}

fn push(list: &mut Vec<u8>, item: &[u8]) {
    if !list.is_empty() {
        list.push(b',');
    }
    list.extend_from_slice(item);
}

#[cfg(test)]
mod tests {
    use super::super::tests::options;
    use super::*;

    fn kernel_items(items: &[&CStr]) -> Vec<String> {
        let items = options(items).kernel_items().into_iter();
        items.map(|item| String::from_utf8(item).unwrap()).collect()
    }

    fn helper_list(items: &[&CStr]) -> String {
        let list = options(items).for_helper(false).unwrap();
        list.into_string().unwrap()
    }

    #[test]
    fn the_kernel_gets_access_limits_and_labels() {
        let nothing: [&str; 0] = [];
        assert_eq!(kernel_items(&[]), nothing);
        assert_eq!(kernel_items(&[c"fsname=a", c"subtype=b", c"user=c", c"x-d", c"auto_unmount"]), nothing);
        assert_eq!(
            kernel_items(&[c"allow_root", c"max_read=1", c"max_read=131072", c"default_permissions"]),
            ["default_permissions", "allow_other", "max_read=131072"]
        );
        assert_eq!(kernel_items(&[c"context=u:s0:c1,c2"]), ["context=u:s0:c1,c2"]);
    }

    #[test]
    fn the_helper_gets_all_but_what_it_refuses() {
        assert_eq!(helper_list(&[]), "rw,nosuid,nodev");
        assert_eq!(
            helper_list(&[c"ro", c"noexec", c"allow_other", c"auto_unmount", c"user=me", c"x-gvfs-hide"]),
            "ro,nosuid,nodev,noexec,allow_other,auto_unmount"
        );
        assert_eq!(
            helper_list(&[c"subtype=s,\\", c"fsname=a b,c\\d"]),
            r"rw,nosuid,nodev,fsname=a b\,c\\d,subtype=s\,\\"
        );
        let hidden = options(&[c"x-gvfs-hide"]);
        assert_eq!(hidden.for_helper(true).unwrap().as_c_str(), c"rw,nosuid,nodev,x-gvfs-hide");
    }

    #[test]
    fn only_user_space_options_are_recorded() {
        assert_eq!(options(&[c"ro", c"fsname=x"]).for_utab(), None);
        let list = options(&[c"user=me", c"x-gvfs-hide"]).for_utab();
        assert_eq!(list.as_deref(), Some(c"rw,nosuid,nodev,x-gvfs-hide,user=me"));
    }

    #[test]
    fn type_and_source_follow_the_names() {
        let names = |items: &[&CStr]| {
            let (fstype, source) = options(items).names(c"/dev/fuse").unwrap();
            format!("{} {}", fstype.to_str().unwrap(), source.to_str().unwrap())
        };
        assert_eq!(names(&[]), "fuse /dev/fuse");
        assert_eq!(names(&[c"subtype=s"]), "fuse.s s");
        assert_eq!(names(&[c"subtype=s", c"fsname=f"]), "fuse.s f");
        assert_eq!(names(&[c"blkdev", c"fsname=/dev/x"]), "fuseblk /dev/x");
    }

    #[test]
    fn old_kernels_get_the_subtype_in_the_source() {
        let names = |items: &[&CStr]| {
            let (fstype, source) = options(items).names_without_subtype()?;
            Some(format!("{} {}", fstype.to_str().unwrap(), source.to_str().unwrap()))
        };
        assert_eq!(names(&[c"fsname=f"]), None);
        assert_eq!(names(&[c"subtype=s"]).as_deref(), Some("fuse fuse"));
        assert_eq!(names(&[c"subtype=s", c"fsname=f"]).as_deref(), Some("fuse s#f"));
        assert_eq!(names(&[c"blkdev", c"subtype=s", c"fsname=/dev/x"]).as_deref(), Some("fuseblk /dev/x"));
    }
}
