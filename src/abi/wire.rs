//! The kernel protocol's structs, byte for byte as `linux/fuse.h` lays them out (protocol 7.45).
//!
//! Every struct is plain old data without padding, which the zerocopy derives prove at compile time: it can be
//! read from any byte string of its size and written as bytes without uncovering uninitialised memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The protocol's major version; a kernel with another one cannot be talked to.
pub const KERNEL_VERSION: u32 = 7;
/// The highest minor version whose messages this library knows.
pub const KERNEL_MINOR_VERSION: u32 = 45;
/// The lowest minor version that is served (Linux 2.6.31).
pub const MIN_MINOR_VERSION: u32 = 12;
/// nodeid of the root directory.
pub const ROOT_ID: u64 = 1;
/// Smallest buffer that the kernel accepts in a read of the device, in bytes.
pub const MIN_READ_BUFFER: usize = 8192;
/// Set in `unique` of a request that was delivered to an earlier reader before (since 7.40).
pub const UNIQUE_RESEND: u64 = 1 << 63;
/// Extension types up to this one are counts of security contexts (since 7.38).
pub const MAX_NR_SECCTX: u32 = 31;
/// Extension type of the supplementary groups of a create (since 7.38).
pub const EXT_GROUPS: u32 = 32;
/// Largest number of iovecs in an ioctl retry.
pub const IOCTL_MAX_IOV: usize = 256;
/// io_uring command: makes an entry of a queue known to the kernel (since 7.42).
pub const URING_CMD_REGISTER: u32 = 1;
/// io_uring command: answers the request in an entry, and waits for the next.
pub const URING_CMD_COMMIT_AND_FETCH: u32 = 2;
/// Where the fixed arguments are in the headers of an io_uring entry, behind the head, and how many bytes there may be.
pub const URING_ARGUMENTS: usize = 128;
/// Where a [`UringEntInOut`] is in the headers of an io_uring entry, behind head and fixed arguments.
pub const URING_ENT_IN_OUT: usize = 256;
/// Bytes of an entry reply's payload before the name in a directory buffer.
pub const NAME_OFFSET: usize = 24;
/// Bytes of a readdirplus record before the name.
pub const NAME_OFFSET_DIRENTPLUS: usize = 152;

/// Declares wire structs: public fields, C layout, and the derives that make them readable and writable as bytes.
macro_rules! wire {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $ty:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
        #[expect(missing_docs, reason = "the fields are the kernel's, described in linux/fuse.h")]
        pub struct $name { $(pub $field: $ty),* }
    )*};
}

wire! {
    /// Head of every request.
    InHeader { len: u32, opcode: u32, unique: u64, nodeid: u64, uid: u32, gid: u32, pid: u32, total_extlen: u16, padding: u16 }
    /// Head of every reply; `error` is 0 or a negative errno, in a notification a positive code.
    OutHeader { len: u32, error: i32, unique: u64 }
    /// Attributes of an inode.
    Attr {
        ino: u64, size: u64, blocks: u64, atime: u64, mtime: u64, ctime: u64, atimensec: u32, mtimensec: u32,
        ctimensec: u32, mode: u32, nlink: u32, uid: u32, gid: u32, rdev: u32, blksize: u32, flags: u32,
    }
    /// A timestamp of statx.
    SxTime { tv_sec: i64, tv_nsec: u32, reserved: i32 }
    /// Attributes as statx sees them.
    Statx {
        mask: u32, blksize: u32, attributes: u64, nlink: u32, uid: u32, gid: u32, mode: u16, spare0: [u16; 1],
        ino: u64, size: u64, blocks: u64, attributes_mask: u64, atime: SxTime, btime: SxTime, ctime: SxTime,
        mtime: SxTime, rdev_major: u32, rdev_minor: u32, dev_major: u32, dev_minor: u32, spare2: [u64; 14],
    }
    /// Figures of a file system.
    Kstatfs {
        blocks: u64, bfree: u64, bavail: u64, files: u64, ffree: u64, bsize: u32, namelen: u32, frsize: u32,
        padding: u32, spare: [u32; 6],
    }
    /// A byte range lock; `end` is inclusive.
    FileLock { start: u64, end: u64, typ: u32, pid: u32 }
    EntryOut {
        nodeid: u64, generation: u64, entry_valid: u64, attr_valid: u64, entry_valid_nsec: u32, attr_valid_nsec: u32,
        attr: Attr,
    }
    ForgetIn { nlookup: u64 }
    ForgetOne { nodeid: u64, nlookup: u64 }
    BatchForgetIn { count: u32, dummy: u32 }
    GetattrIn { getattr_flags: u32, dummy: u32, fh: u64 }
    AttrOut { attr_valid: u64, attr_valid_nsec: u32, dummy: u32, attr: Attr }
    StatxIn { getattr_flags: u32, reserved: u32, fh: u64, sx_flags: u32, sx_mask: u32 }
    StatxOut { attr_valid: u64, attr_valid_nsec: u32, flags: u32, spare: [u64; 2], stat: Statx }
    MknodIn { mode: u32, rdev: u32, umask: u32, padding: u32 }
    MkdirIn { mode: u32, umask: u32 }
    RenameIn { newdir: u64 }
    Rename2In { newdir: u64, flags: u32, padding: u32 }
    LinkIn { oldnodeid: u64 }
    SetattrIn {
        valid: u32, padding: u32, fh: u64, size: u64, lock_owner: u64, atime: u64, mtime: u64, ctime: u64,
        atimensec: u32, mtimensec: u32, ctimensec: u32, mode: u32, unused4: u32, uid: u32, gid: u32, unused5: u32,
    }
    OpenIn { flags: u32, open_flags: u32 }
    CreateIn { flags: u32, mode: u32, umask: u32, open_flags: u32 }
    OpenOut { fh: u64, open_flags: u32, backing_id: i32 }
    ReleaseIn { fh: u64, flags: u32, release_flags: u32, lock_owner: u64 }
    FlushIn { fh: u64, unused: u32, padding: u32, lock_owner: u64 }
    ReadIn { fh: u64, offset: u64, size: u32, read_flags: u32, lock_owner: u64, flags: u32, padding: u32 }
    WriteIn { fh: u64, offset: u64, size: u32, write_flags: u32, lock_owner: u64, flags: u32, padding: u32 }
    WriteOut { size: u32, padding: u32 }
    FsyncIn { fh: u64, fsync_flags: u32, padding: u32 }
    /// The form without `FUSE_SETXATTR_EXT`.
    SetxattrInCompat { size: u32, flags: u32 }
    /// The form with `FUSE_SETXATTR_EXT`.
    SetxattrIn { size: u32, flags: u32, setxattr_flags: u32, padding: u32 }
    GetxattrIn { size: u32, padding: u32 }
    GetxattrOut { size: u32, padding: u32 }
    LkIn { fh: u64, owner: u64, lk: FileLock, lk_flags: u32, padding: u32 }
    LkOut { lk: FileLock }
    AccessIn { mask: u32, padding: u32 }
    /// The part of INIT that every served kernel sends.
    InitIn { major: u32, minor: u32, max_readahead: u32, flags: u32 }
    /// The rest of INIT, since 7.36.
    InitInExt { flags2: u32, unused: [u32; 11] }
    InitOut {
        major: u32, minor: u32, max_readahead: u32, flags: u32, max_background: u16, congestion_threshold: u16,
        max_write: u32, time_gran: u32, max_pages: u16, map_alignment: u16, flags2: u32, max_stack_depth: u32,
        request_timeout: u16, unused: [u16; 11],
    }
    CuseInitIn { major: u32, minor: u32, unused: u32, flags: u32 }
    CuseInitOut {
        major: u32, minor: u32, unused: u32, flags: u32, max_read: u32, max_write: u32, dev_major: u32,
        dev_minor: u32, spare: [u32; 10],
    }
    InterruptIn { unique: u64 }
    BmapIn { block: u64, blocksize: u32, padding: u32 }
    BmapOut { block: u64 }
    IoctlIn { fh: u64, flags: u32, cmd: u32, arg: u64, in_size: u32, out_size: u32 }
    IoctlIovec { base: u64, len: u64 }
    IoctlOut { result: i32, flags: u32, in_iovs: u32, out_iovs: u32 }
    PollIn { fh: u64, kh: u64, flags: u32, events: u32 }
    PollOut { revents: u32, padding: u32 }
    NotifyPollWakeupOut { kh: u64 }
    FallocateIn { fh: u64, offset: u64, length: u64, mode: u32, padding: u32 }
    /// Head of one record of a directory; the name follows, padded to 8 bytes.
    Dirent { ino: u64, off: u64, namelen: u32, typ: u32 }
    Direntplus { entry: EntryOut, dirent: Dirent }
    NotifyInvalInodeOut { ino: u64, off: i64, len: i64 }
    NotifyInvalEntryOut { parent: u64, namelen: u32, flags: u32 }
    NotifyDeleteOut { parent: u64, child: u64, namelen: u32, padding: u32 }
    NotifyStoreOut { nodeid: u64, offset: u64, size: u32, padding: u32 }
    NotifyRetrieveOut { notify_unique: u64, nodeid: u64, offset: u64, size: u32, padding: u32 }
    NotifyRetrieveIn { dummy1: u64, offset: u64, size: u32, dummy2: u32, dummy3: u64, dummy4: u64 }
    NotifyPruneOut { count: u32, padding: u32, spare: u64 }
    /// Argument of `FUSE_DEV_IOC_BACKING_OPEN`.
    BackingMap { fd: i32, flags: u32, padding: u64 }
    /// What a message over io_uring says of itself besides its head: `payload_sz` bytes are in the entry's payload.
    UringEntInOut { flags: u64, commit_id: u64, payload_sz: u32, padding: u32, reserved: u64 }
    /// Argument of the io_uring commands.
    UringCmdReq { flags: u64, commit_id: u64, qid: u16, padding: [u8; 6] }
    LseekIn { fh: u64, offset: u64, whence: u32, padding: u32 }
    LseekOut { offset: u64 }
    CopyFileRangeIn { fh_in: u64, off_in: u64, nodeid_out: u64, fh_out: u64, off_out: u64, len: u64, flags: u64 }
    CopyFileRangeOut { bytes_copied: u64 }
    SyncfsIn { padding: u64 }
    Secctx { size: u32, padding: u32 }
    SecctxHeader { size: u32, nr_secctx: u32 }
    ExtHeader { size: u32, typ: u32 }
}
