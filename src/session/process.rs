//! One message's way through the session.

use super::handler::{Call, Provides};
use super::inflight::{self, Arrival, Extensions, Token};
use super::intake::is_cached_write;
use super::{Channel, Session, Stage};
use crate::abi::c::common::{FUSE_BUF_IS_FD, fuse_buf, fuse_bufvec};
use crate::abi::flags::InitFlags;
use crate::abi::opcode::{Opcode, Reply};
use crate::abi::wire::{InHeader, UNIQUE_RESEND};
use crate::decode::{self, Dialect, Fault, Operation, PIPED_HEAD, Payload, Piped, Request};
use crate::transport::pipe::read_full;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering;

impl Session {
    /// Takes one message. Whatever its bytes are, a request in it that needs a reply gets exactly one.
    pub fn process(&self, channel: &Channel, message: &[u8]) {
        self.take(channel, &decode::request(message, self.dialect()), message.len());
    }

    /// The same for a message of `size` bytes in a pipe; one that `memory` has no room for is refused. The data of a
    /// write, where the daemon takes it so, and of a retrieve stays in the pipe, and what the daemon does not read of it
    /// is left there. Returns whether that was worth a pipe.
    pub fn process_piped(&self, channel: &Channel, pipe: BorrowedFd<'_>, size: usize, memory: &mut [u8]) -> bool {
        let Some((head, rest)) = memory.get_mut(..size).and_then(|all| all.split_at_mut_checked(size.min(PIPED_HEAD)))
        else {
            self.refuse_unread(channel, pipe, size);
            return false;
        };
        let there = read_some(pipe, head);
        if there < head.len() {
            // Whatever the pipe lacks is missing from the message, too.
            self.process(channel, head.get(..there).unwrap_or_default());
            return false;
        }
        let opcode = decode::header(head).and_then(|header| Opcode::from_wire(header.opcode));
        let stays = match opcode {
            Some(Opcode::Write) => self.handler.provides().contains(Provides::WRITE_BUF),
            opcode => opcode == Some(Opcode::NotifyReply),
        };
        if stays && head.len() == PIPED_HEAD {
            let piped = Piped { pipe, size: rest.len() };
            self.take(channel, &decode::piped(head, piped), size);
            return is_cached_write(head);
        }
        // What cannot be read is missing from the message, which is refused then.
        let there = head.len() + read_some(pipe, rest);
        self.process(channel, memory.get(..there).unwrap_or_default());
        false
    }

    /// A message that there is no memory for: who waits for a reply is in its head.
    #[cold]
    fn refuse_unread(&self, channel: &Channel, pipe: BorrowedFd<'_>, size: usize) {
        let mut head = [0; size_of::<InHeader>()];
        let there = read_some(pipe, &mut head);
        match head.get(..there).and_then(decode::header) {
            Some(header) => {
                let needed = Opcode::from_wire(header.opcode).is_none_or(|opcode| opcode.reply() == Reply::Needed);
                self.refuse(channel, &header, Errno::ENOMEM, needed);
            }
            None => log::error!("message of {there} bytes, not {size}, is shorter than a request's head"),
        }
    }

    #[inline(always)] // for messages in memory, which most are, one function from the bytes to the call
    fn take(&self, channel: &Channel, decoded: &Result<Request<'_>, Fault>, size: usize) {
        match decoded {
            Ok(request) => self.serve(channel, request),
            Err(Fault::Unreadable) => log::error!("message of {size} bytes is shorter than a request's head"),
            Err(Fault::Refused { header, errno, reply }) => self.refuse(channel, header, *errno, *reply),
        }
    }

    #[inline]
    fn dialect(&self) -> Dialect {
        let flags = InitFlags::from_bits_retain(self.flags.load(Ordering::Relaxed));
        Dialect {
            setxattr_ext: flags.contains(InitFlags::SETXATTR_EXT),
            export_support: flags.contains(InitFlags::EXPORT_SUPPORT),
        }
    }

    #[inline]
    fn serve(&self, channel: &Channel, request: &Request<'_>) {
        if request.header.unique & UNIQUE_RESEND == 0 {
            self.serve_one::<false>(channel, request);
        } else {
            self.serve_resent(channel, request);
        }
    }

    #[cold]
    fn serve_resent(&self, channel: &Channel, request: &Request<'_>) {
        self.serve_one::<true>(channel, request);
        self.delivered(&request.header);
    }

    #[inline(always)] // apart for what comes for the first time, which must not pay for the other
    fn serve_one<const RESENT: bool>(&self, channel: &Channel, request: &Request<'_>) {
        let header = &request.header;
        if self.debug() {
            let InHeader { unique, nodeid, len, uid, gid, pid, opcode, .. } = *header;
            let (name, operation) = (request.opcode.name(), &request.operation);
            log::debug!(
                "unique: {unique}, opcode: {name} ({opcode}), nodeid: {nodeid}, insize: {len}, pid: {pid}, \
                 uid: {uid}, gid: {gid}{operation}"
            );
        }
        if let Err(errno) = self.admit(request) {
            if RESENT && request.opcode == Opcode::Init && self.answer_init_again(channel, header.unique) {
                return;
            }
            if request.opcode.reply() == Reply::Needed {
                let _ = self.send(channel, header.unique, -(errno as i32), &[]);
            }
            return;
        }
        match &request.operation {
            Operation::Init { arg, flags2 } => self.negotiate(channel, header.unique, arg, *flags2),
            Operation::CuseInit(arg) => self.negotiate_device(channel, header.unique, arg),
            Operation::Destroy => {
                self.end();
                let _ = self.send(channel, header.unique, 0, &[]);
            }
            Operation::Interrupt { unique } => self.interrupt(channel, header.unique, *unique),
            Operation::NotifyReply { .. } => self.retrieved(channel, request),
            operation => {
                let Some(token) = self.arrive(channel, request) else { return };
                self.meet_interrupts(token, header.unique, channel);
                if !RESENT || self.judge(token, header) {
                    let wants = self.wants.load(Ordering::Relaxed);
                    self.handler.call(Call { token, header, operation, wants });
                }
            }
        }
    }

    /// Whether the request may be served: the first request of the session's kind comes first and once, nothing comes
    /// after DESTROY, and `allow_root` keeps other users out of what was not opened for them.
    #[inline]
    fn admit(&self, request: &Request<'_>) -> Result<(), Errno> {
        use Opcode::*;
        let timely = match request.opcode {
            opcode if opcode == self.kind.first_request() => self.may_start(),
            Init | CuseInit => false,
            _ => self.stage.load(Ordering::Acquire) == Stage::SERVING,
        };
        if !timely {
            return Err(Errno::EIO);
        }
        let uid = request.header.uid;
        if !self.config.deny_others || uid == 0 || uid == self.owner {
            return Ok(());
        }
        match request.opcode {
            Init | CuseInit | Read | Write | Fsync | Release | Readdir | Fsyncdir | Releasedir | NotifyReply
            | Readdirplus | Forget | BatchForget | Interrupt | Destroy => Ok(()),
            _ => Err(Errno::EACCES),
        }
    }

    /// Takes the right to answer the first request, which only one thread ever gets. Who got it decides the stage that
    /// comes next.
    fn may_start(&self) -> bool {
        self.stage.compare_exchange(Stage::NEW, Stage::STARTING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Puts a request in flight.
    #[inline]
    fn arrive(&self, channel: &Channel, request: &Request<'_>) -> Option<Token> {
        let Some(slot) = inflight::take() else {
            self.refuse(channel, &request.header, Errno::ENOMEM, request.opcode.reply() == Reply::Needed);
            return None;
        };
        if !request.extensions.is_empty() {
            slot.bring_extensions(Extensions::copy(&decode::extensions(request.extensions)));
        }
        let InHeader { unique, nodeid, opcode, uid, gid, pid, .. } = request.header;
        if let Some(state) = self.state() {
            state.note(slot, request);
        }
        Some(slot.arrive(&Arrival {
            unique,
            nodeid,
            opcode,
            flags: request.flags(),
            ctx: [uid, gid, pid, umask(&request.operation)],
            session: self.address(),
            channel: core::ptr::from_ref(channel).cast_mut().cast(),
            userdata: self.userdata(),
        }))
    }

    /// Data of a retrieve notification. Its unique is the notification's number.
    fn retrieved(&self, channel: &Channel, request: &Request<'_>) {
        let Operation::NotifyReply { arg, data } = &request.operation else { return };
        let Some(cookie) = self.take_retrieve(request.header.unique) else {
            log::warn!("data arrived for notification {}, which nobody waits for", request.header.unique);
            return;
        };
        let Some(token) = self.arrive(channel, request) else { return };
        self.handler.retrieved(token, &request.header, arg, cookie, &mut payload_buffer(data));
    }

    #[cold]
    fn refuse(&self, channel: &Channel, header: &InHeader, errno: Errno, reply: bool) {
        let name = Opcode::from_wire(header.opcode).map_or("unknown opcode", Opcode::name);
        let InHeader { opcode, unique, len, .. } = *header;
        log::warn!("{name} ({opcode}), unique {unique}, of {len} bytes is refused: {}", errno.desc());
        if reply {
            let _ = self.send(channel, unique, -(errno as i32), &[]);
        }
        if unique & UNIQUE_RESEND != 0 {
            self.delivered(header);
        }
    }
}

/// As many bytes of a request as the pipe has; that it cannot be read is logged.
fn read_some(pipe: BorrowedFd<'_>, into: &mut [u8]) -> usize {
    let read = read_full(pipe, into);
    read.inspect_err(|errno| log::error!("reading a request from a pipe: {}", errno.desc())).unwrap_or(0)
}

/// The umask, in the operations that carry one.
#[inline]
fn umask(operation: &Operation<'_>) -> u32 {
    match operation {
        Operation::Mknod { umask, .. } | Operation::Mkdir { umask, .. } => *umask,
        Operation::Create { arg, .. } | Operation::Tmpfile(arg) => arg.umask,
        _ => 0,
    }
}

/// A buffer vector with one buffer, the data in memory.
pub fn memory_buffer(data: &[u8]) -> fuse_bufvec {
    let buf = fuse_buf {
        size: data.len(),
        flags: 0,
        mem: data.as_ptr().cast_mut().cast(),
        fd: -1,
        pos: 0,
        #[cfg(not(soname = "3"))]
        mem_size: 0,
    };
    fuse_bufvec { count: 1, idx: 0, off: 0, buf: [buf] }
}

/// A buffer vector with one buffer, the data where it is.
pub fn payload_buffer(data: &Payload<'_>) -> fuse_bufvec {
    match data {
        Payload::Memory(data) => memory_buffer(data),
        Payload::Piped(Piped { pipe, size }) => {
            let mut bufv = memory_buffer(&[]);
            let [buf] = &mut bufv.buf;
            (buf.size, buf.flags, buf.mem, buf.fd) = (*size, FUSE_BUF_IS_FD, core::ptr::null_mut(), pipe.as_raw_fd());
            bufv
        }
    }
}
