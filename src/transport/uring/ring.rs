//! The io_uring of one entry.

use super::area::Area;
use crate::abi::wire::{URING_CMD_COMMIT_AND_FETCH, URING_CMD_REGISTER, UringCmdReq};
use io_uring::squeue::Entry128;
use io_uring::{IoUring, cqueue, opcode, types};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd};
use zerocopy::IntoBytes;

/// One command is under way at a time.
const ENTRIES: u32 = 1;
/// Where the kernel finds how many pieces of memory `addr` names.
const SQE_LEN: usize = 24;
const _: () = assert!(size_of::<Entry128>() == 128 && size_of::<UringCmdReq>() <= 80);

/// A ring, and the device that it sends commands to: a file of its own, which no other thread counts references of. The
/// kernel's io_uring could hold the file and save that, but it lets go of it some time after the process's end only, until
/// when the mount would not be known to be dead.
pub struct Ring {
    io: IoUring<Entry128, cqueue::Entry>,
    device: OwnedFd,
    /// A request came while only a refusal was looked for.
    came: bool,
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring for commands to `device`.
    pub fn new(device: OwnedFd) -> Result<Self, Errno> {
        // No interrupt of the thread that waits: it takes up what came when it is woken.
        let io = IoUring::builder().setup_coop_taskrun().build(ENTRIES).map_err(errno)?;
        Ok(Self { io, device, came: false })
    }

    /// Prepares to make an entry of the queue known to the kernel.
    pub(super) fn register(&mut self, queue: u16, area: &Area) -> Result<(), Errno> {
        let mut command = self.command(URING_CMD_REGISTER, queue, 0, Some(area.iovecs().expose_provenance() as u64));
        // The builder has no name for this field of the command, whose layout is the kernel's.
        // SAFETY: the entry has 128 bytes, laid out as the kernel's struct io_uring_sqe.
        unsafe { (&raw mut command).cast::<u8>().add(SQE_LEN).cast::<u32>().write(2) };
        self.push(&command)
    }

    /// Prepares to answer the request `id`, whose reply is in the entry, and to wait for another.
    pub(super) fn commit(&mut self, queue: u16, id: u64) -> Result<(), Errno> {
        let command = self.command(URING_CMD_COMMIT_AND_FETCH, queue, id, None);
        self.push(&command)
    }

    /// Tells the kernel that there will be no entries: it goes back to the device. A registration that says nothing of
    /// memory is refused, and that is what the kernel makes of it.
    pub fn withdraw(&mut self) -> Result<(), Errno> {
        let command = self.command(URING_CMD_REGISTER, 0, 0, None);
        self.push(&command)?;
        self.enter(false)
    }

    fn command(&self, operation: u32, qid: u16, commit_id: u64, addr: Option<u64>) -> Entry128 {
        let request = UringCmdReq { commit_id, qid, ..UringCmdReq::default() };
        let mut cmd = [0; 80];
        for (to, from) in cmd.iter_mut().zip(request.as_bytes()) {
            *to = *from;
        }
        opcode::UringCmd80::new(types::Fd(self.device.as_raw_fd()), operation).cmd(cmd).addr(addr).build()
    }

    fn push(&mut self, command: &Entry128) -> Result<(), Errno> {
        // SAFETY: what the command leads to is an entry's memory, which is kept until the ring is gone.
        unsafe { self.io.submission().push(command) }.map_err(|_| Errno::EBUSY)
    }

    /// Submits what is prepared, and waits for an outcome if `wait`. EINTR after a signal that came first.
    pub(super) fn enter(&mut self, wait: bool) -> Result<(), Errno> {
        self.io.submitter().submit_and_wait(usize::from(wait)).map(drop).map_err(errno)
    }

    /// Submits what is prepared, and waits for an outcome, see [`Self::outcome`]; none after a signal that came first.
    ///
    /// These are two calls, as whom the reply wakes runs on this CPU: the scheduler lets it go on when the first call
    /// returns, and mostly it has asked for the next thing before this thread is back. Then the thread need not sleep and
    /// be woken.
    pub(super) fn submit_and_wait(&mut self) -> Result<Option<i32>, Errno> {
        for wait in [false, true] {
            if let Some(outcome) = self.outcome() {
                return Ok(Some(outcome));
            }
            if wait || !self.io.submission().is_empty() {
                self.enter(wait).or_else(|errno| if errno == Errno::EINTR { Ok(()) } else { Err(errno) })?;
            }
        }
        Ok(self.outcome())
    }

    /// The outcome of a command: 0, which is a request, or a negative errno.
    fn outcome(&mut self) -> Option<i32> {
        if core::mem::take(&mut self.came) {
            return Some(0);
        }
        self.io.completion().next().map(|entry| entry.result())
    }

    /// Whether the registration that was submitted is refused. A request may have come already.
    pub(super) fn refusal(&mut self) -> Option<Errno> {
        let outcome = self.outcome()?;
        self.came = outcome == 0;
        (!self.came).then(|| Errno::from_raw(-outcome))
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
