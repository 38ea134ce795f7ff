//! What a request asks for, with its arguments.

use super::cursor::{Cursor, Malformed};
use super::payload::Payload;
use super::request::Dialect;
use crate::abi::flags;
use crate::abi::opcode::Opcode;
use crate::abi::wire::{
    AccessIn, BatchForgetIn, BmapIn, CopyFileRangeIn, CreateIn, CuseInitIn, FallocateIn, FlushIn, ForgetIn, ForgetOne,
    FsyncIn, GetattrIn, GetxattrIn, InitIn, InitInExt, InterruptIn, IoctlIn, LinkIn, LkIn, LseekIn, MkdirIn, MknodIn,
    NotifyRetrieveIn, OpenIn, PollIn, ReadIn, ReleaseIn, Rename2In, RenameIn, SetattrIn, SetxattrIn, SetxattrInCompat,
    StatxIn, SyncfsIn, WriteIn,
};
use core::ffi::CStr;
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

/// A request's operation. Names are NUL-terminated inside the message, data never reaches past it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the variants and fields are the protocol's, described in linux/fuse.h")]
pub enum Operation<'a> {
    Lookup {
        name: &'a CStr,
    },
    Forget {
        nlookup: u64,
    },
    BatchForget {
        entries: Forgets<'a>,
    },
    Getattr {
        fh: Option<u64>,
    },
    Setattr(SetattrIn),
    Readlink,
    Symlink {
        name: &'a CStr,
        target: &'a CStr,
    },
    Mknod {
        name: &'a CStr,
        mode: u32,
        rdev: u32,
        umask: u32,
    },
    Mkdir {
        name: &'a CStr,
        mode: u32,
        umask: u32,
    },
    Unlink {
        name: &'a CStr,
    },
    Rmdir {
        name: &'a CStr,
    },
    Rename {
        name: &'a CStr,
        newdir: u64,
        newname: &'a CStr,
        flags: u32,
    },
    Link {
        oldnodeid: u64,
        newname: &'a CStr,
    },
    Open(OpenIn),
    Read(ReadIn),
    Write {
        arg: WriteIn,
        data: Payload<'a>,
    },
    Statfs,
    Release(ReleaseIn),
    Fsync(FsyncIn),
    Setxattr {
        name: &'a CStr,
        value: &'a [u8],
        flags: u32,
        setxattr_flags: u32,
    },
    Getxattr {
        name: &'a CStr,
        size: u32,
    },
    Listxattr {
        size: u32,
    },
    Removexattr {
        name: &'a CStr,
    },
    Flush(FlushIn),
    Init {
        arg: InitIn,
        flags2: u32,
    },
    Opendir(OpenIn),
    Readdir(ReadIn),
    Readdirplus(ReadIn),
    Releasedir(ReleaseIn),
    Fsyncdir(FsyncIn),
    Getlk(LkIn),
    Setlk {
        arg: LkIn,
        wait: bool,
    },
    Access {
        mask: u32,
    },
    Create {
        arg: CreateIn,
        name: &'a CStr,
    },
    Interrupt {
        unique: u64,
    },
    Bmap(BmapIn),
    Destroy,
    Ioctl {
        arg: IoctlIn,
        data: &'a [u8],
    },
    Poll(PollIn),
    NotifyReply {
        arg: NotifyRetrieveIn,
        data: Payload<'a>,
    },
    Fallocate(FallocateIn),
    Lseek(LseekIn),
    CopyFileRange {
        arg: CopyFileRangeIn,
        wide: bool,
    },
    Syncfs,
    Tmpfile(CreateIn),
    Statx(StatxIn),
    CuseInit(CuseInitIn),
    /// The protocol has it, no libfuse interface does: DAX mappings.
    Unsupported,
}

impl<'a> Operation<'a> {
    /// Reads the arguments of `opcode`. Bytes behind them are ignored, as a newer kernel may send more.
    #[inline]
    pub(super) fn parse(opcode: Opcode, c: &mut Cursor<'a>, dialect: Dialect) -> Result<Self, Malformed> {
        Ok(match opcode {
            Opcode::Lookup => Self::Lookup { name: c.entry(dialect.export_support)? },
            Opcode::Forget => Self::Forget { nlookup: c.fixed::<ForgetIn>()?.nlookup },
            Opcode::BatchForget => Self::BatchForget { entries: forgets(c)? },
            Opcode::Getattr => {
                let arg: GetattrIn = c.fixed()?;
                Self::Getattr { fh: (arg.getattr_flags & flags::GETATTR_FH != 0).then_some(arg.fh) }
            }
            Opcode::Setattr => Self::Setattr(c.fixed()?),
            Opcode::Readlink => Self::Readlink,
            Opcode::Symlink => Self::Symlink { name: c.entry(false)?, target: c.name()? },
            Opcode::Mknod => {
                let arg: MknodIn = c.fixed()?;
                Self::Mknod { name: c.entry(false)?, mode: arg.mode, rdev: arg.rdev, umask: arg.umask }
            }
            Opcode::Mkdir => {
                let arg: MkdirIn = c.fixed()?;
                Self::Mkdir { name: c.entry(false)?, mode: arg.mode, umask: arg.umask }
            }
            Opcode::Unlink => Self::Unlink { name: c.entry(false)? },
            Opcode::Rmdir => Self::Rmdir { name: c.entry(false)? },
            Opcode::Rename => {
                let arg: RenameIn = c.fixed()?;
                Self::Rename { name: c.entry(false)?, newdir: arg.newdir, newname: c.entry(false)?, flags: 0 }
            }
            Opcode::Rename2 => {
                let arg: Rename2In = c.fixed()?;
                Self::Rename { name: c.entry(false)?, newdir: arg.newdir, newname: c.entry(false)?, flags: arg.flags }
            }
            Opcode::Link => {
                let arg: LinkIn = c.fixed()?;
                Self::Link { oldnodeid: arg.oldnodeid, newname: c.entry(false)? }
            }
            Opcode::Open => Self::Open(c.fixed()?),
            Opcode::Read => Self::Read(c.fixed()?),
            Opcode::Write => {
                let arg: WriteIn = c.fixed()?;
                Self::Write { arg, data: Payload::Memory(c.bytes(arg.size as usize)?) }
            }
            Opcode::Statfs => Self::Statfs,
            Opcode::Release => Self::Release(c.fixed()?),
            Opcode::Fsync => Self::Fsync(c.fixed()?),
            Opcode::Setxattr => setxattr(c, dialect)?,
            Opcode::Getxattr => {
                let arg: GetxattrIn = c.fixed()?;
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
            Opcode::Create => {
                let arg: CreateIn = c.fixed()?;
                Self::Create { arg, name: c.entry(false)? }
            }
            Opcode::Interrupt => Self::Interrupt { unique: c.fixed::<InterruptIn>()?.unique },
            Opcode::Bmap => Self::Bmap(c.fixed()?),
            Opcode::Destroy => Self::Destroy,
            Opcode::Ioctl => {
                let arg: IoctlIn = c.fixed()?;
                Self::Ioctl { arg, data: c.bytes(arg.in_size as usize)? }
            }
            Opcode::Poll => Self::Poll(c.fixed()?),
            Opcode::NotifyReply => {
                let arg: NotifyRetrieveIn = c.fixed()?;
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

fn forgets<'a>(c: &mut Cursor<'a>) -> Result<Forgets<'a>, Malformed> {
    let count = c.fixed::<BatchForgetIn>()?.count as usize;
    let bytes = count.checked_mul(size_of::<ForgetOne>()).ok_or(Malformed)?;
    c.bytes(bytes).map(Forgets)
}

fn setxattr<'a>(c: &mut Cursor<'a>, dialect: Dialect) -> Result<Operation<'a>, Malformed> {
    let arg = if dialect.setxattr_ext {
        c.fixed()?
    } else {
        let SetxattrInCompat { size, flags } = c.fixed()?;
        SetxattrIn { size, flags, ..SetxattrIn::default() }
    };
    Ok(Operation::Setxattr {
        name: c.name()?,
        value: c.bytes(arg.size as usize)?,
        flags: arg.flags,
        setxattr_flags: arg.setxattr_flags,
    })
}

/// INIT before 7.36 ends after `flags`.
fn init<'a>(c: &mut Cursor<'a>) -> Result<Operation<'a>, Malformed> {
    let arg = c.fixed()?;
    let flags2 = c.fixed::<InitInExt>().map_or(0, |ext| ext.flags2);
    Ok(Operation::Init { arg, flags2 })
}
