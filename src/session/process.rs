//! One message's way through the session.

use super::handler::Provides;
use super::inflight::{self, Arrival, Extensions, Marks, Slot, Token};
use super::intake::is_worth_a_pipe;
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
use zerocopy::IntoBytes;

impl Session {
    /// Takes one message. Whatever its bytes are, a request in it that needs a reply gets exactly one.
    #[inline]
    pub fn process(&self, channel: &Channel, message: &[u8]) {
        self.handler.process(self, channel, message);
    }

    /// The same by the way that every message can go.
    #[inline(never)]
    pub fn process_any(&self, channel: &Channel, message: &[u8]) {
        if !decode::is_aligned(message) {
            return self.process_moved(channel, message);
        }
        match decode::request(message, self.dialect()) {
            Ok(request) => self.examine(channel, request),
            Err(fault) => self.report(channel, &fault, message.len()),
        }
    }

    /// The same for a message at an address where its structs cannot be used.
    #[cold]
    fn process_moved(&self, channel: &Channel, message: &[u8]) {
        let mut moved = Vec::<u64>::new();
        match moved.try_reserve_exact(message.len().div_ceil(size_of::<u64>())) {
            Ok(()) => moved.resize(moved.capacity(), 0),
            // Whoever waits for a reply is in what there is room for.
            Err(_) => return self.refuse_unserved(channel, message, message.len()),
        }
        let Some(place) = moved.as_mut_bytes().get_mut(..message.len()) else { return };
        place.copy_from_slice(message);
        self.process_any(channel, place);
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
            match decode::piped(head, piped) {
                Ok(request) => self.examine(channel, request),
                Err(fault) => self.report(channel, &fault, size),
            }
            return is_worth_a_pipe(head);
        }
        // What cannot be read is missing from the message, which is refused then.
        let there = head.len() + read_some(pipe, rest);
        self.process(channel, memory.get(..there).unwrap_or_default());
        false
    }

    /// A message in a pipe that there is no memory for.
    #[cold]
    fn refuse_unread(&self, channel: &Channel, pipe: BorrowedFd<'_>, size: usize) {
        let mut head = [0; size_of::<InHeader>()];
        let there = read_some(pipe, &mut head);
        self.refuse_unserved(channel, head.get(..there).unwrap_or_default(), size);
    }

    /// A message of `size` bytes that there is no memory for: who waits for a reply is in its head.
    fn refuse_unserved(&self, channel: &Channel, head: &[u8], size: usize) {
        match decode::header(head) {
            Some(header) => {
                let needed = Opcode::from_wire(header.opcode).is_none_or(|opcode| opcode.reply() == Reply::Needed);
                self.refuse(channel, &header, Errno::ENOMEM, needed);
            }
            None => log::error!("message of {} bytes, not {size}, is shorter than a request's head", head.len()),
        }
    }

    /// What came is no request.
    #[cold]
    pub(super) fn report(&self, channel: &Channel, fault: &Fault, size: usize) {
        match fault {
            Fault::Unreadable => log::error!("message of {size} bytes is shorter than a request's head"),
            Fault::Refused { header, errno, reply } => self.refuse(channel, header, *errno, *reply),
        }
    }

    #[inline]
    pub(super) fn dialect(&self) -> Dialect {
        let flags = InitFlags::from_bits_retain(self.flags.load(Ordering::Relaxed));
        Dialect {
            setxattr_ext: flags.contains(InitFlags::SETXATTR_EXT),
            export_support: flags.contains(InitFlags::EXPORT_SUPPORT),
        }
    }

    /// Serves a request after all looks that there are.
    fn examine(&self, channel: &Channel, request: Request<'_>) {
        let header = request.header;
        if self.debug() {
            let InHeader { unique, nodeid, len, uid, gid, pid, opcode, .. } = *header;
            let (name, operation) = (request.opcode.name(), &request.operation);
            log::debug!(
                "unique: {unique}, opcode: {name} ({opcode}), nodeid: {nodeid}, insize: {len}, pid: {pid}, \
                 uid: {uid}, gid: {gid}{operation}"
            );
        }
        match self.admit(&request) {
            Ok(()) if request.operation.is_own() => self.serve_own(channel, request),
            Ok(()) => self.serve(
                channel,
                &request,
                |slot| (request.flags(), self.marks(&request, slot)),
                |token| {
                    if header.unique & UNIQUE_RESEND == 0 || self.judge(channel, token, header) {
                        self.handler.call(self, token, header, &request.operation);
                    }
                },
            ),
            Err(errno) => self.turn_away(channel, &request, errno),
        }
        if header.unique & UNIQUE_RESEND != 0 {
            self.delivered(header);
        }
    }

    /// Puts a request in flight, with the FUSE_REQ flags and the marks that it is to have, and makes the call.
    #[inline(always)] // once for all requests, and once for each of those that come most
    pub(super) fn serve(
        &self,
        channel: &Channel,
        request: &Request<'_>,
        special: impl FnOnce(&Slot) -> (u32, Marks),
        call: impl FnOnce(Token),
    ) {
        inflight::with_own(|own| {
            let Some(slot) = own.take() else { return self.refuse_crowded(channel, request) };
            own.serve(slot, || {
                let token = self.arrive(channel, request, slot, own.thread(), special(slot));
                self.meet_interrupts(token, request.header.unique, channel);
                call(token);
            });
        });
    }

    /// The session's own business.
    #[cold]
    fn serve_own(&self, channel: &Channel, request: Request<'_>) {
        let unique = request.header.unique;
        match &request.operation {
            Operation::Init { arg, flags2 } if self.may_start(request.opcode) => {
                self.negotiate(channel, unique, arg, *flags2);
            }
            Operation::CuseInit(arg) if self.may_start(request.opcode) => self.negotiate_device(channel, unique, arg),
            Operation::Init { .. } if self.answer_init_again(channel, unique) => {}
            Operation::Destroy => {
                self.end();
                let _ = self.send(channel, unique, 0, &[]);
            }
            Operation::Interrupt { unique: target } => self.interrupt(channel, unique, *target),
            Operation::NotifyReply { .. } => self.retrieved(channel, &request),
            _ => self.turn_away(channel, &request, Errno::EIO),
        }
    }

    #[cold]
    fn turn_away(&self, channel: &Channel, request: &Request<'_>, errno: Errno) {
        if request.opcode.reply() == Reply::Needed {
            let _ = self.send(channel, request.header.unique, -(errno as i32), &[]);
        }
    }

    #[cold]
    fn refuse_crowded(&self, channel: &Channel, request: &Request<'_>) {
        self.refuse(channel, request.header, Errno::ENOMEM, request.opcode.reply() == Reply::Needed);
    }

    /// Whether the request may be served: nothing comes before the first request of the session's kind was answered, or
    /// after DESTROY, and `allow_root` keeps other users out of what was not opened for them.
    fn admit(&self, request: &Request<'_>) -> Result<(), Errno> {
        use Opcode::*;
        // When INIT may come is looked at where it is answered.
        if self.stage() != Stage::SERVING && !matches!(request.opcode, Init | CuseInit) {
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
    fn may_start(&self, opcode: Opcode) -> bool {
        opcode == self.kind.first_request()
            && self.stage.compare_exchange(Stage::NEW, Stage::STARTING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Puts a request in flight in `slot`, to be served by the thread `server`.
    #[inline(always)] // as `serve`
    fn arrive(
        &self,
        channel: &Channel,
        request: &Request<'_>,
        slot: &Slot,
        server: usize,
        (flags, marks): (u32, Marks),
    ) -> Token {
        slot.arrive(&Arrival {
            head: request.header,
            flags,
            umask: request.operation.umask(),
            session: self.address(),
            channel: core::ptr::from_ref(channel).cast_mut().cast(),
            userdata: self.userdata(),
            marks,
            server,
        })
    }

    /// What is special about the request, which is about to be in flight in `slot`.
    fn marks(&self, request: &Request<'_>, slot: &Slot) -> Marks {
        let mut marks = if request.opcode.reply() == Reply::None { Marks::NO_REPLY } else { Marks::empty() };
        if !request.extensions.is_empty() {
            slot.bring_extensions(Extensions::copy(&decode::extensions(request.extensions)));
            marks |= Marks::EXTRAS;
        }
        if let Some(state) = self.state() {
            state.note(slot, request);
            marks |= Marks::WATCHED;
        }
        marks
    }

    /// Data of a retrieve notification. Its unique is the notification's number.
    fn retrieved(&self, channel: &Channel, request: &Request<'_>) {
        let Operation::NotifyReply { arg, data } = &request.operation else { return };
        let Some(cookie) = self.take_retrieve(request.header.unique) else {
            log::warn!("data arrived for notification {}, which nobody waits for", request.header.unique);
            return;
        };
        let Some(slot) = inflight::take() else { return self.refuse_crowded(channel, request) };
        let token = self.arrive(channel, request, slot, 0, (request.flags(), self.marks(request, slot)));
        self.handler.retrieved(token, request.header, arg, cookie, &mut payload_buffer(data));
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
