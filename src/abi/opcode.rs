//! The one table of the protocol's opcodes.

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Exactly one reply is owed.
    Needed,
    /// The kernel waits for nothing; a reply would be refused.
    None,
}

macro_rules! opcodes {
    ($($(#[$meta:meta])* $name:ident = $value:literal, $text:literal, $reply:ident;)*) => {
        /// A request's operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        #[expect(missing_docs, reason = "the names are the kernel's, described in linux/fuse.h")]
        pub enum Opcode { $($(#[$meta])* $name = $value),* }

        impl Opcode {
            /// Every operation, in the order of its number.
            pub const ALL: &'static [Opcode] = &[$(Opcode::$name),*];

            /// The operation with this number, if the protocol has one.
            #[inline(always)] // a test of a few bits
            pub const fn from_wire(value: u32) -> Option<Self> {
                match value { $($value => Some(Opcode::$name),)* _ => None }
            }

            /// Its name in the protocol, as debug output shows it.
            pub fn name(self) -> &'static str {
                match self { $(Opcode::$name => $text),* }
            }

            /// The same by its number: an unknown request waits, too.
            #[inline]
            pub fn reply_to(value: u32) -> Reply {
                match value { $($value => Reply::$reply,)* _ => Reply::Needed }
            }

            /// Whether the kernel waits for a reply.
            #[inline]
            pub fn reply(self) -> Reply {
                match self { $(Opcode::$name => Reply::$reply),* }
            }
        }
    };
}

/// Whether a reply to the request of this number begins with an entry, of which the kernel then counts a lookup.
#[inline]
pub fn makes_entry(opcode: u32) -> bool {
    use Opcode::*;
    [Lookup, Symlink, Mknod, Mkdir, Link, Create, Tmpfile].iter().any(|one| *one as u32 == opcode)
}

opcodes! {
    Lookup = 1, "LOOKUP", Needed;
    Forget = 2, "FORGET", None;
    Getattr = 3, "GETATTR", Needed;
    Setattr = 4, "SETATTR", Needed;
    Readlink = 5, "READLINK", Needed;
    Symlink = 6, "SYMLINK", Needed;
    Mknod = 8, "MKNOD", Needed;
    Mkdir = 9, "MKDIR", Needed;
    Unlink = 10, "UNLINK", Needed;
    Rmdir = 11, "RMDIR", Needed;
    Rename = 12, "RENAME", Needed;
    Link = 13, "LINK", Needed;
    Open = 14, "OPEN", Needed;
    Read = 15, "READ", Needed;
    Write = 16, "WRITE", Needed;
    Statfs = 17, "STATFS", Needed;
    Release = 18, "RELEASE", Needed;
    Fsync = 20, "FSYNC", Needed;
    Setxattr = 21, "SETXATTR", Needed;
    Getxattr = 22, "GETXATTR", Needed;
    Listxattr = 23, "LISTXATTR", Needed;
    Removexattr = 24, "REMOVEXATTR", Needed;
    Flush = 25, "FLUSH", Needed;
    Init = 26, "INIT", Needed;
    Opendir = 27, "OPENDIR", Needed;
    Readdir = 28, "READDIR", Needed;
    Releasedir = 29, "RELEASEDIR", Needed;
    Fsyncdir = 30, "FSYNCDIR", Needed;
    Getlk = 31, "GETLK", Needed;
    Setlk = 32, "SETLK", Needed;
    Setlkw = 33, "SETLKW", Needed;
    Access = 34, "ACCESS", Needed;
    Create = 35, "CREATE", Needed;
    Interrupt = 36, "INTERRUPT", None;
    Bmap = 37, "BMAP", Needed;
    Destroy = 38, "DESTROY", Needed;
    Ioctl = 39, "IOCTL", Needed;
    Poll = 40, "POLL", Needed;
    NotifyReply = 41, "NOTIFY_REPLY", None;
    BatchForget = 42, "BATCH_FORGET", None;
    Fallocate = 43, "FALLOCATE", Needed;
    Readdirplus = 44, "READDIRPLUS", Needed;
    Rename2 = 45, "RENAME2", Needed;
    Lseek = 46, "LSEEK", Needed;
    CopyFileRange = 47, "COPY_FILE_RANGE", Needed;
    Setupmapping = 48, "SETUPMAPPING", Needed;
    Removemapping = 49, "REMOVEMAPPING", Needed;
    Syncfs = 50, "SYNCFS", Needed;
    Tmpfile = 51, "TMPFILE", Needed;
    Statx = 52, "STATX", Needed;
    CopyFileRange64 = 53, "COPY_FILE_RANGE_64", Needed;
    CuseInit = 4096, "CUSE_INIT", Needed;
}
