//! What requests say besides the arguments of their callbacks.

use super::operation::Operation;
use super::request::Request;
use crate::abi::c::lowlevel::{FUSE_REQ_ACL_KILL_SGID, FUSE_REQ_KILL_SUIDGID, FUSE_REQ_LOCK_OWNER, FUSE_REQ_RESEND};
use crate::abi::flags::{
    FATTR_KILL_SUIDGID, OPEN_KILL_SUIDGID, READ_LOCKOWNER, SETXATTR_ACL_KILL_SGID, WRITE_KILL_SUIDGID, WRITE_LOCKOWNER,
};
use crate::abi::wire::UNIQUE_RESEND;

impl Operation<'_> {
    /// FUSE_REQ flags, which are spread over several words of the protocol.
    #[inline]
    pub fn flags(&self) -> u32 {
        let told = |word: u32, bit: u32, flag: u32| if word & bit != 0 { flag } else { 0 };
        match self {
            Self::Open(arg) => told(arg.open_flags, OPEN_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID),
            Self::Create { arg, .. } | Self::Tmpfile(arg) => {
                told(arg.open_flags, OPEN_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID)
            }
            Self::Setattr(arg) => told(arg.valid, FATTR_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID),
            Self::Read(arg) => told(arg.read_flags, READ_LOCKOWNER, FUSE_REQ_LOCK_OWNER),
            Self::Write { arg, .. } => {
                told(arg.write_flags, WRITE_LOCKOWNER, FUSE_REQ_LOCK_OWNER)
                    | told(arg.write_flags, WRITE_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID)
            }
            Self::Setxattr { setxattr_flags, .. } => {
                told(*setxattr_flags, SETXATTR_ACL_KILL_SGID, FUSE_REQ_ACL_KILL_SGID)
            }
            _ => 0,
        }
    }
}

impl Request<'_> {
    /// The same, and that the kernel sends the request again.
    pub fn flags(&self) -> u32 {
        let flags = self.operation.flags();
        if self.header.unique & UNIQUE_RESEND != 0 { flags | FUSE_REQ_RESEND } else { flags }
    }
}
