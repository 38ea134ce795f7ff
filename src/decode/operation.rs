//! What a request asks for, with its arguments.

use super::cursor::{Cursor, Malformed};
use super::name::Name;
use super::payload::Payload;
use super::request::Dialect;
use crate::abi::opcode::Opcode;
use crate::abi::wire::{
    AccessIn, BatchForgetIn, BmapIn, CopyFileRangeIn, CreateIn, CuseInitIn, FallocateIn, FlushIn, ForgetIn, ForgetOne,
    FsyncIn, GetattrIn, GetxattrIn, InitIn, InitInExt, InterruptIn, IoctlIn, LinkIn, LkIn, LseekIn, MkdirIn, MknodIn,
    NotifyRetrieveIn, OpenIn, PollIn, ReadIn, ReleaseIn, Rename2In, RenameIn, SetattrIn, SetxattrIn, SetxattrInCompat,
    StatxIn, SyncfsIn, WriteIn,
};
use zerocopy::FromBytes;

/// Extensions behind the arguments of a create-like request: security contexts and supplementary groups.
pub type Security<'a> = &'a [u8];

/// The entries of BATCH_FORGET, wherever the message lies.
#[derive(Clone, Copy, Debug)]
pub struct Forgets<'a>(&'a [u8]);

impl<'a> Forgets<'a> {
    /// The entries, in their order.
    pub fn iter(self) -> impl Iterator<Item = ForgetOne> + 'a {
        self.0.chunks_exact(size_of::<ForgetOne>()).filter_map(|entry| ForgetOne::read_from_bytes(entry).ok())
    }
}

/// A request's operation. Arguments stay where they are in the message: names are NUL-terminated inside it, data never
/// reaches past it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the variants and fields are the protocol's, described in linux/fuse.h")]
pub enum Operation<'a> {
    Lookup {
        name: Name<'a>,
    },
    Forget {
        nlookup: u64,
    },
    BatchForget {
        entries: Forgets<'a>,
    },
    Getattr(&'a GetattrIn),
    Readlink,
    Symlink {
        name: Name<'a>,
        target: Name<'a>,
    },
    Unlink {
        name: Name<'a>,
    },
    Rmdir {
        name: Name<'a>,
    },
    Rename {
        name: Name<'a>,
        newdir: u64,
        newname: Name<'a>,
        flags: u32,
    },
    Link {
        oldnodeid: u64,
        newname: Name<'a>,
    },
    Statfs,
    Release(&'a ReleaseIn),
    Fsync(&'a FsyncIn),
    Getxattr {
        name: Name<'a>,
        size: u32,
    },
    Listxattr {
        size: u32,
    },
    Removexattr {
        name: Name<'a>,
    },
    Flush(&'a FlushIn),
    Readdir(&'a ReadIn),
    Readdirplus(&'a ReadIn),
    Releasedir(&'a ReleaseIn),
    Fsyncdir(&'a FsyncIn),
    Getlk(&'a LkIn),
    Setlk {
        arg: &'a LkIn,
        wait: bool,
    },
    Access {
        mask: u32,
    },
    Bmap(&'a BmapIn),
    Ioctl {
        arg: &'a IoctlIn,
        data: &'a [u8],
    },
    Poll(&'a PollIn),
    Fallocate(&'a FallocateIn),
    Lseek(&'a LseekIn),
    CopyFileRange {
        arg: &'a CopyFileRangeIn,
        wide: bool,
    },
    Syncfs,
    Statx(&'a StatxIn),
    Setattr(&'a SetattrIn),
    Mknod {
        arg: &'a MknodIn,
        name: Name<'a>,
    },
    Mkdir {
        arg: &'a MkdirIn,
        name: Name<'a>,
    },
    Open(&'a OpenIn),
    Read(&'a ReadIn),
    Write {
        arg: &'a WriteIn,
        data: Payload<'a>,
    },
    Setxattr {
        name: Name<'a>,
        value: &'a [u8],
        flags: u32,
        setxattr_flags: u32,
    },
    Opendir(&'a OpenIn),
    Create {
        arg: &'a CreateIn,
        name: Name<'a>,
    },
    Tmpfile(&'a CreateIn),
    /// The protocol has it, no libfuse interface does: DAX mappings.
    Unsupported,
    Init {
        arg: &'a InitIn,
        flags2: u32,
    },
    Interrupt {
        unique: u64,
    },
    Destroy,
    NotifyReply {
        arg: &'a NotifyRetrieveIn,
        data: Payload<'a>,
    },
    CuseInit(&'a CuseInitIn),
}

impl Operation<'_> {
    /// Whether it is between the kernel and the session: no callback of the daemon's has to do with it, but for the data
    /// that it asked for.
    #[inline]
    pub fn is_own(&self) -> bool {
        matches!(
            self,
            Self::Init { .. } | Self::Interrupt { .. } | Self::Destroy | Self::NotifyReply { .. } | Self::CuseInit(_)
        )
    }

    /// The umask, if its arguments have one.
    pub fn umask(&self) -> u32 {
        match self {
            Self::Mknod { arg, .. } => arg.umask,
            Self::Mkdir { arg, .. } => arg.umask,
            Self::Create { arg, .. } | Self::Tmpfile(arg) => arg.umask,
            _ => 0,
        }
    }
}

impl<'a> Operation<'a> {
    /// Reads the arguments of `opcode`; `dialect` is asked for where they depend on it. Bytes behind them are ignored, as a newer kernel may send more.
    #[inline(always)] // where the opcode is a constant, little is left of it
    pub(super) fn parse(
        opcode: Opcode,
        c: &mut Cursor<'a>,
        dialect: impl FnOnce() -> Dialect,
    ) -> Result<Self, Malformed> {
        Ok(match opcode {
            Opcode::Lookup => Self::Lookup { name: c.entry(|| dialect().export_support)? },
            Opcode::Forget => Self::Forget { nlookup: c.fixed::<ForgetIn>()?.nlookup },
            Opcode::BatchForget => Self::BatchForget { entries: forgets(c)? },
            Opcode::Getattr => Self::Getattr(c.fixed()?),
            Opcode::Setattr => Self::Setattr(c.fixed()?),
            Opcode::Readlink => Self::Readlink,
            Opcode::Symlink => Self::Symlink { name: c.entry(NO_DOTS)?, target: c.name()? },
            Opcode::Mknod => Self::Mknod { arg: c.fixed()?, name: c.entry(NO_DOTS)? },
            Opcode::Mkdir => Self::Mkdir { arg: c.fixed()?, name: c.entry(NO_DOTS)? },
            Opcode::Unlink => Self::Unlink { name: c.entry(NO_DOTS)? },
            Opcode::Rmdir => Self::Rmdir { name: c.entry(NO_DOTS)? },
            Opcode::Rename => {
                let arg: &RenameIn = c.fixed()?;
                Self::Rename { name: c.entry(NO_DOTS)?, newdir: arg.newdir, newname: c.entry(NO_DOTS)?, flags: 0 }
            }
            Opcode::Rename2 => {
                let arg: &Rename2In = c.fixed()?;
                Self::Rename {
                    name: c.entry(NO_DOTS)?,
                    newdir: arg.newdir,
                    newname: c.entry(NO_DOTS)?,
                    flags: arg.flags,
                }
            }
            Opcode::Link => {
                let arg: &LinkIn = c.fixed()?;
                Self::Link { oldnodeid: arg.oldnodeid, newname: c.entry(NO_DOTS)? }
            }
            Opcode::Open => Self::Open(c.fixed()?),
            Opcode::Read => Self::Read(c.fixed()?),
            Opcode::Write => {
                let arg: &WriteIn = c.fixed()?;
                Self::Write { arg, data: Payload::Memory(c.bytes(arg.size as usize)?) }
            }
            Opcode::Statfs => Self::Statfs,
            Opcode::Release => Self::Release(c.fixed()?),
            Opcode::Fsync => Self::Fsync(c.fixed()?),
            Opcode::Setxattr => setxattr(c, dialect())?,
            Opcode::Getxattr => {
                let arg: &GetxattrIn = c.fixed()?;
                Self::Getxattr { name: c.name()?, size: arg.size }
            }
            Opcode::Listxattr => Self::Listxattr { size: c.fixed::<GetxattrIn>()?.size },
            Opcode::Removexattr => Self::Removexattr { name: c.name()? },
            Opcode::Flush => Self::Flush(c.fixed()?),
            Opcode::Init => init(c)?,
            Opcode::Opendir => Self::Opendir(c.fixed()?),
            Opcode::Readdir => Self::Readdir(c.fixed()?),
            Opcode::Readdirplus => Self::Readdirplus(c.fixed()?),
            Opcode::Releasedir => Self::Releasedir(c.fixed()?),
            Opcode::Fsyncdir => Self::Fsyncdir(c.fixed()?),
            Opcode::Getlk => Self::Getlk(c.fixed()?),
            Opcode::Setlk => Self::Setlk { arg: c.fixed()?, wait: false },
            Opcode::Setlkw => Self::Setlk { arg: c.fixed()?, wait: true },
            Opcode::Access => Self::Access { mask: c.fixed::<AccessIn>()?.mask },
            Opcode::Create => Self::Create { arg: c.fixed()?, name: c.entry(NO_DOTS)? },
            Opcode::Interrupt => Self::Interrupt { unique: c.fixed::<InterruptIn>()?.unique },
            Opcode::Bmap => Self::Bmap(c.fixed()?),
            Opcode::Destroy => Self::Destroy,
            Opcode::Ioctl => {
                let arg: &IoctlIn = c.fixed()?;
                Self::Ioctl { arg, data: c.bytes(arg.in_size as usize)? }
            }
            Opcode::Poll => Self::Poll(c.fixed()?),
            Opcode::NotifyReply => {
                let arg: &NotifyRetrieveIn = c.fixed()?;
                Self::NotifyReply { arg, data: Payload::Memory(c.bytes(arg.size as usize)?) }
            }
            Opcode::Fallocate => Self::Fallocate(c.fixed()?),
            Opcode::Lseek => Self::Lseek(c.fixed()?),
            Opcode::CopyFileRange => Self::CopyFileRange { arg: c.fixed()?, wide: false },
            Opcode::CopyFileRange64 => Self::CopyFileRange { arg: c.fixed()?, wide: true },
            Opcode::Syncfs => c.fixed::<SyncfsIn>().map(|_| Self::Syncfs)?,
            Opcode::Tmpfile => Self::Tmpfile(c.fixed()?),
            Opcode::Statx => Self::Statx(c.fixed()?),
            Opcode::CuseInit => Self::CuseInit(c.fixed()?),
            Opcode::Setupmapping | Opcode::Removemapping => Self::Unsupported,
        })
    }
}

/// What makes an entry, or takes one away, never means the directory itself.
const NO_DOTS: fn() -> bool = || false;

fn forgets<'a>(c: &mut Cursor<'a>) -> Result<Forgets<'a>, Malformed> {
    let count = c.fixed::<BatchForgetIn>()?.count as usize;
    let bytes = count.checked_mul(size_of::<ForgetOne>()).ok_or(Malformed)?;
    c.bytes(bytes).map(Forgets)
}

fn setxattr<'a>(c: &mut Cursor<'a>, dialect: Dialect) -> Result<Operation<'a>, Malformed> {
    let (size, flags, setxattr_flags) = if dialect.setxattr_ext {
        let arg: &SetxattrIn = c.fixed()?;
        (arg.size, arg.flags, arg.setxattr_flags)
    } else {
        let arg: &SetxattrInCompat = c.fixed()?;
        (arg.size, arg.flags, 0)
    };
    Ok(Operation::Setxattr { name: c.name()?, value: c.bytes(size as usize)?, flags, setxattr_flags })
}

/// INIT before 7.36 ends after `flags`.
fn init<'a>(c: &mut Cursor<'a>) -> Result<Operation<'a>, Malformed> {
    let arg = c.fixed()?;
    let flags2 = c.fixed::<InitInExt>().map_or(0, |ext| ext.flags2);
    Ok(Operation::Init { arg, flags2 })
}
