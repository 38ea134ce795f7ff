//! What the kernel says of a request, and may be told in its reply, that libfuse has no function for.

use crate::abi::c::lowlevel::fuse_req_t;
use crate::abi::flags::OpenFlags;
use crate::abi::opcode::Opcode;
use crate::abi::wire::UNIQUE_RESEND;
use crate::capi::result::ToC;
use crate::decode::supplementary_groups;
use crate::dispatch::{find, with_request};
use crate::session::COUNTED;
use crate::session::inflight::ReplyFlags;
use core::ffi::c_int;
use libc::gid_t;
use nix::errno::Errno;

/// The kernel's number of the request, for logs and journals. No other request that waits on the connection has it; one
/// that is delivered once more (FUSE_REQ_RESEND) has the number it had before.
///
/// Returns 0, after a log line, when the request is not in flight. May be called on any thread until the reply. Since
/// fusewire 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_unique(req: fuse_req_t) -> u64 {
    find(req, "fuse_req_unique").map_or(0, |(slot, _)| slot.unique() & !(UNIQUE_RESEND | COUNTED))
}
symver!(fuse_req_unique, "FUSEWIRE_1.0");

/// What the kernel says of the request that no argument of a callback carries. Any of FUSE_REQ_KILL_SUIDGID,
/// FUSE_REQ_LOCK_OWNER, FUSE_REQ_ACL_KILL_SGID and FUSE_REQ_RESEND.
///
/// Returns 0, after a log line, when the request is not in flight. May be called on any thread until the reply. Since
/// fusewire 1.0; each flag says which kernel it needs.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_flags(req: fuse_req_t) -> u32 {
    find(req, "fuse_req_flags").map_or(0, |(slot, _)| slot.flags())
}
symver!(fuse_req_flags, "FUSEWIRE_1.0");

/// The caller's supplementary groups that a request brings for what it makes. With FUSE_CREATE_SUPP_GROUP in force (see
/// fuse_conn_want_init_flags()) that is the group of the parent directory, where the caller is in it, so that a daemon
/// that makes the file as the caller may give it that group (set-group-id directories). Unlike fuse_req_getgroups() it
/// reads no /proc and is right in every pid namespace.
///
/// - `list`: room for `size` groups; may be NULL where `size` is 0.
///
/// Returns how many there are, of which no more than `size` were stored; -ENOENT when the request brings no such list;
/// -EIO after a log line when the kernel sent nonsense; -EINVAL after a log line when the request is not in flight. May
/// be called on any thread until the reply. Since fusewire 1.0, Linux 6.3.
///
/// # Safety
/// `list` has room for `size` elements, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_req_supp_groups(req: fuse_req_t, size: c_int, list: *mut gid_t) -> c_int {
    let Some(pin) = find(req, "fuse_req_supp_groups").and_then(|(slot, token)| slot.pin(token)) else {
        return -(Errno::EINVAL as c_int);
    };
    let room = if list.is_null() { 0 } else { usize::try_from(size).unwrap_or(0) };
    pin.with_extensions(|extensions| {
        let Some(body) = extensions.and_then(|all| all.groups.as_deref()) else { return Err(Errno::ENOENT) };
        let groups = supplementary_groups(body).map_err(|_| {
            log::error!("fuse_req_supp_groups: the request's list of groups is malformed");
            Errno::EIO
        })?;
        let mut count = 0;
        for group in groups {
            if count < room {
                // SAFETY: the caller vouches for `size` elements.
                unsafe { list.add(count).write(group) };
            }
            count += 1;
        }
        Ok(c_int::try_from(count).unwrap_or(c_int::MAX))
    })
    .unwrap_or_else(|errno| -(errno as c_int))
}
symver!(fuse_req_supp_groups, "FUSEWIRE_1.0");

/// Sets flags of the reply, if the request is one whose reply has them.
fn set_reply_flags(req: fuse_req_t, function: &str, which: ReplyFlags, flags: u32) -> c_int {
    let set = with_request(req, function, |_, slot| {
        let opcode = Opcode::from_wire(slot.opcode());
        if !opcode.is_some_and(|opcode| replied_with(opcode, which)) {
            let name = opcode.map_or("this", Opcode::name);
            log::error!("{function}: the reply to {name} has no such flags");
            return Err(Errno::EINVAL);
        }
        slot.set_reply_flags(which, flags);
        Ok(())
    });
    set.unwrap_or(Err(Errno::EINVAL)).code()
}

fn replied_with(opcode: Opcode, which: ReplyFlags) -> bool {
    use Opcode::*;
    match opcode {
        Create | Tmpfile => true,
        Open | Opendir => which == ReplyFlags::Open,
        Lookup | Getattr | Setattr | Mknod | Mkdir | Symlink | Link | Readdirplus => which == ReplyFlags::Attr,
        _ => false,
    }
}

/// Adds open flags to the request's reply that struct fuse_file_info has no member for.
///
/// - `flags`: FOPEN flags of `<linux/fuse.h>`, such as FOPEN_STREAM. They are or-ed to what fuse_reply_open() or
///   fuse_reply_create() makes of its struct; a later call replaces them. What this library does not know is passed on:
///   kernels ignore flags that they do not know either. FOPEN_PASSTHROUGH is refused, since it goes with `backing_id`.
///
/// In open, opendir, create and tmpfile. Returns 0, or -EINVAL after a log line: another request, one that is not in
/// flight, FOPEN_PASSTHROUGH. May be called on any thread, before the reply. Since fusewire 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_set_open_flags(req: fuse_req_t, flags: u32) -> c_int {
    if OpenFlags::from_bits_retain(flags).contains(OpenFlags::PASSTHROUGH) {
        log::error!("fuse_req_set_open_flags: FOPEN_PASSTHROUGH is set through backing_id of struct fuse_file_info");
        return -(Errno::EINVAL as c_int);
    }
    set_reply_flags(req, "fuse_req_set_open_flags", ReplyFlags::Open, flags)
}
symver!(fuse_req_set_open_flags, "FUSEWIRE_1.0");

/// Sets flags of the attributes in the request's reply that struct stat has no member for.
///
/// - `flags`: FUSE_ATTR flags of `<linux/fuse.h>`: FUSE_ATTR_SUBMOUNT (the directory is the root of another file
///   system, for which the kernel makes a mount of its own) and FUSE_ATTR_DAX. They count where FUSE_SUBMOUNTS or
///   FUSE_HAS_INODE_DAX is in force, see fuse_conn_want_init_flags(). A later call replaces them.
///
/// In lookup, getattr, setattr, mknod, mkdir, symlink, link, create and tmpfile. In readdirplus they are those of each
/// entry that fuse_add_direntry_plus() adds with this request until they are set anew. Returns 0, or -EINVAL after a log
/// line: another request, or one that is not in flight. May be called on any thread, before the reply. Since fusewire
/// 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_req_set_attr_flags(req: fuse_req_t, flags: u32) -> c_int {
    set_reply_flags(req, "fuse_req_set_attr_flags", ReplyFlags::Attr, flags)
}
symver!(fuse_req_set_attr_flags, "FUSEWIRE_1.0");
