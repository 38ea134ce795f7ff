//! What requests say besides the arguments of their callbacks.

use super::operation::Operation;
use super::request::Request;
use crate::abi::c::lowlevel::{FUSE_REQ_ACL_KILL_SGID, FUSE_REQ_KILL_SUIDGID, FUSE_REQ_LOCK_OWNER, FUSE_REQ_RESEND};
use crate::abi::flags::{
    FATTR_KILL_SUIDGID, OPEN_KILL_SUIDGID, READ_LOCKOWNER, SETXATTR_ACL_KILL_SGID, WRITE_KILL_SUIDGID, WRITE_LOCKOWNER,
};
use crate::abi::wire::UNIQUE_RESEND;

impl Request<'_> {
    /// FUSE_REQ flags, which are spread over several words of the protocol.
    #[inline]
    pub fn flags(&self) -> u32 {
        let told = |word: u32, bit: u32, flag: u32| if word & bit != 0 { flag } else { 0 };
        let flags = match &self.operation {
            Operation::Open(arg) => told(arg.open_flags, OPEN_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID),
            Operation::Create { arg, .. } | Operation::Tmpfile(arg) => {
                told(arg.open_flags, OPEN_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID)
            }
            Operation::Setattr(arg) => told(arg.valid, FATTR_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID),
            Operation::Read(arg) => told(arg.read_flags, READ_LOCKOWNER, FUSE_REQ_LOCK_OWNER),
            Operation::Write { arg, .. } => {
                told(arg.write_flags, WRITE_LOCKOWNER, FUSE_REQ_LOCK_OWNER)
                    | told(arg.write_flags, WRITE_KILL_SUIDGID, FUSE_REQ_KILL_SUIDGID)
            }
            Operation::Setxattr { setxattr_flags, .. } => {
                told(*setxattr_flags, SETXATTR_ACL_KILL_SGID, FUSE_REQ_ACL_KILL_SGID)
            }
            _ => 0,
        };
        if self.header.unique & UNIQUE_RESEND != 0 { flags | FUSE_REQ_RESEND } else { flags }
    }
}
