//! Passthrough opens that a daemon asks for.

use super::opens::{give_back, is, note_open};
use super::request::with_request;
use crate::abi::c::lowlevel::fuse_req_t;
use crate::abi::opcode::Opcode;
use crate::passthrough::Mode;
use nix::errno::Errno;
use std::os::fd::RawFd;

/// Makes the open that `req` asks for a passthrough open of `ino`, and returns its backing id. A second call for the
/// same inode changes nothing.
pub fn attach(req: fuse_req_t, ino: u64, fd: RawFd) -> Result<i32, Errno> {
    const FUNCTION: &str = "fuse_passthrough_attach";
    let refuse = |why: &str| {
        log::error!("{FUNCTION}: nodeid {ino}: {why}");
        Err(Errno::EINVAL)
    };
    with_request(req, FUNCTION, |session, slot| {
        if ino == 0 || !is(slot.opcode(), &[Opcode::Open, Opcode::Create, Opcode::Tmpfile]) {
            return refuse("not a request that opens a file");
        }
        if slot.opcode() == Opcode::Open as u32 && slot.nodeid() != ino {
            return refuse("the request opens another inode");
        }
        let id = session.attach(ino, fd)?;
        if !slot.hold(ino) {
            let again = slot.held() == Some(ino);
            session.detach(ino);
            return if again { Ok(id) } else { refuse("the request is attached to another inode") };
        }
        note_open(session, slot, ino, Mode::Passthrough(id));
        Ok(id)
    })
    .unwrap_or(Err(Errno::EINVAL))
}

/// Gives back the open of `ino` that `req` holds, before the request ends. ENOENT when it holds none.
pub fn detach(req: fuse_req_t, ino: u64) -> Result<(), Errno> {
    with_request(req, "fuse_passthrough_detach", |session, slot| {
        if slot.held() != Some(ino) {
            return Err(Errno::ENOENT);
        }
        let held = slot.take_held().ok_or(Errno::ENOENT)?;
        give_back(session, slot, held);
        Ok(())
    })
    .unwrap_or(Err(Errno::EINVAL))
}
