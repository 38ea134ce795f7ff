//! What a request asks for, in words: debug output.

use super::operation::Operation;
use crate::abi::flags::GETATTR_FH;
use crate::abi::wire::{LkIn, MkdirIn, MknodIn, SetattrIn};
use core::fmt::{Display, Formatter, Result};

/// Writes `, name: value` for each of the values.
macro_rules! show {
    ($f:ident; $($name:literal = $value:expr),*) => {{ $(write!($f, concat!(", ", $name, ": {}"), $value)?;)* Ok(()) }};
}

/// Names are shown quoted, with what is no text escaped; data only by its size.
impl Display for Operation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use Operation::*;
        match self {
            Lookup { name } | Unlink { name } | Rmdir { name } | Removexattr { name } => write!(f, ", name: {name:?}"),
            Forget { nlookup } => show!(f; "nlookup" = nlookup),
            BatchForget { entries } => {
                let pairs: Vec<_> = entries.iter().map(|one| (one.nodeid, one.nlookup)).collect();
                write!(f, ", (nodeid, nlookup): {pairs:?}")
            }
            Getattr(arg) if arg.getattr_flags & GETATTR_FH != 0 => show!(f; "fh" = arg.fh),
            Setattr(arg) => setattr(arg, f),
            Symlink { name, target } => write!(f, ", name: {name:?}, target: {target:?}"),
            Mknod { arg: MknodIn { mode, rdev, umask, .. }, name } => {
                write!(f, ", name: {name:?}, mode: {mode:#o}, rdev: {rdev:#x}, umask: {umask:#o}")
            }
            Mkdir { arg: MkdirIn { mode, umask }, name } => {
                write!(f, ", name: {name:?}, mode: {mode:#o}, umask: {umask:#o}")
            }
            Rename { name, newdir, newname, flags } => {
                write!(f, ", name: {name:?}, newdir: {newdir}, newname: {newname:?}, flags: {flags:#x}")
            }
            Link { oldnodeid, newname } => write!(f, ", oldnodeid: {oldnodeid}, newname: {newname:?}"),
            Open(arg) | Opendir(arg) => write!(f, ", flags: {:#x}, open_flags: {:#x}", arg.flags, arg.open_flags),
            Read(arg) | Readdir(arg) | Readdirplus(arg) => {
                show!(f; "fh" = arg.fh, "offset" = arg.offset, "size" = arg.size)?;
                write!(f, ", flags: {:#x}", arg.flags)
            }
            Write { arg, .. } => {
                show!(f; "fh" = arg.fh, "offset" = arg.offset, "size" = arg.size)?;
                write!(f, ", flags: {:#x}, write_flags: {:#x}", arg.flags, arg.write_flags)
            }
            Release(arg) | Releasedir(arg) => {
                write!(f, ", fh: {}, flags: {:#x}, release_flags: {:#x}", arg.fh, arg.flags, arg.release_flags)
            }
            Fsync(arg) | Fsyncdir(arg) => show!(f; "fh" = arg.fh, "fsync_flags" = arg.fsync_flags),
            Setxattr { name, value, flags, setxattr_flags } => {
                write!(f, ", name: {name:?}, size: {}, flags: {flags:#x}", value.len())?;
                write!(f, ", setxattr_flags: {setxattr_flags:#x}")
            }
            Getxattr { name, size } => write!(f, ", name: {name:?}, size: {size}"),
            Listxattr { size } => show!(f; "size" = size),
            Flush(arg) => write!(f, ", fh: {}, lock_owner: {:#x}", arg.fh, arg.lock_owner),
            Getlk(arg) => lock(arg, f),
            Setlk { arg, wait } => {
                lock(arg, f).and_then(|()| write!(f, ", lk_flags: {:#x}, wait: {wait}", arg.lk_flags))
            }
            Access { mask } => write!(f, ", mask: {mask:#o}"),
            Create { arg, name } => {
                write!(f, ", name: {name:?}, flags: {:#x}, mode: {:#o}, umask: {:#o}", arg.flags, arg.mode, arg.umask)
            }
            Interrupt { unique } => show!(f; "of unique" = unique),
            Bmap(arg) => show!(f; "block" = arg.block, "blocksize" = arg.blocksize),
            Ioctl { arg, .. } => {
                write!(f, ", fh: {}, cmd: {:#x}, arg: {:#x}, flags: {:#x}", arg.fh, arg.cmd, arg.arg, arg.flags)?;
                show!(f; "in_size" = arg.in_size, "out_size" = arg.out_size)
            }
            Poll(arg) => {
                write!(f, ", fh: {}, kh: {}, flags: {:#x}, events: {:#x}", arg.fh, arg.kh, arg.flags, arg.events)
            }
            NotifyReply { arg, .. } => show!(f; "offset" = arg.offset, "size" = arg.size),
            Fallocate(arg) => {
                show!(f; "fh" = arg.fh, "offset" = arg.offset, "length" = arg.length)?;
                write!(f, ", mode: {:#x}", arg.mode)
            }
            Lseek(arg) => show!(f; "fh" = arg.fh, "offset" = arg.offset, "whence" = arg.whence),
            CopyFileRange { arg, .. } => {
                show!(f; "fh_in" = arg.fh_in, "off_in" = arg.off_in, "nodeid_out" = arg.nodeid_out)?;
                show!(f; "fh_out" = arg.fh_out, "off_out" = arg.off_out, "len" = arg.len, "flags" = arg.flags)
            }
            Tmpfile(arg) => write!(f, ", flags: {:#x}, mode: {:#o}, umask: {:#o}", arg.flags, arg.mode, arg.umask),
            Statx(arg) => write!(f, ", fh: {}, sx_flags: {:#x}, sx_mask: {:#x}", arg.fh, arg.sx_flags, arg.sx_mask),
            // What the head says is all, or the session shows it with the answer.
            Getattr(_) | Readlink | Statfs | Syncfs | Destroy | Init { .. } | CuseInit(_) | Unsupported => Ok(()),
        }
    }
}

/// Only what is to be set, by the bits of `valid`.
fn setattr(arg: &SetattrIn, f: &mut Formatter<'_>) -> Result {
    write!(f, ", valid: {:#x}", arg.valid)?;
    if arg.valid & 1 != 0 {
        write!(f, ", mode: {:#o}", arg.mode)?;
    }
    // The bits are those of the protocol's FATTR_.
    let values = [
        (1 << 1, "uid", u64::from(arg.uid)),
        (1 << 2, "gid", u64::from(arg.gid)),
        (1 << 3, "size", arg.size),
        (1 << 4, "atime", arg.atime),
        (1 << 5, "mtime", arg.mtime),
        (1 << 6, "fh", arg.fh),
        (1 << 10, "ctime", arg.ctime),
    ];
    values
        .iter()
        .filter(|(bit, ..)| arg.valid & bit != 0)
        .try_for_each(|(_, name, value)| write!(f, ", {name}: {value}"))
}

fn lock(arg: &LkIn, f: &mut Formatter<'_>) -> Result {
    show!(f; "fh" = arg.fh, "start" = arg.lk.start, "end" = arg.lk.end, "type" = arg.lk.typ, "lock pid" = arg.lk.pid)?;
    write!(f, ", owner: {:#x}", arg.owner)
}
