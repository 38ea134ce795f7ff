//! A message on its way out through a pipe.

use super::Pipe;
use crate::transport::fork::Made;
use crate::transport::{Spares, page_size};
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, vmsplice};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::cell::Cell;
use std::io::IoSlice;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;

/// Where the head of a message lies while the message is put together: it says how long the message is, which is known
/// only when all of it is in the pipe. So the pipe gets the page itself and the head is written last.
///
/// The mapping is shared, with nobody, because a private page would be replaced when it is written after a fork.
/// So it takes long to make, and those of threads that ended are used again.
struct HeadPage {
    start: NonNull<u8>,
    made: Made,
}

// SAFETY: the page is this value's alone, whichever thread has it.
unsafe impl Send for HeadPage {}

static SPARES: Spares<HeadPage> = Spares::none();

impl HeadPage {
    fn new() -> Result<Self, Errno> {
        if let Some(spare) = SPARES.take().filter(|spare| !spare.made.is_shared()) {
            return Ok(spare);
        }
        let size = NonZeroUsize::new(page_size()).ok_or(Errno::EINVAL)?;
        let (access, kind) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: a new mapping, at no place that is asked for.
        let page = unsafe { mmap_anonymous(None, size, access, kind) }?;
        Ok(Self { start: page.cast(), made: Made::now() })
    }

    /// The first `len` bytes.
    fn bytes(&mut self, len: usize) -> &mut [u8] {
        // SAFETY: the page is mapped, initialised and ours alone; no more than it is lent out.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), len.min(page_size())) }
    }
}

impl Drop for HeadPage {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody borrows from it. What a pipe still holds of it is the pipe's.
        let _ = unsafe { munmap(self.start.cast(), page_size()) };
    }
}

/// A pipe for messages of one thread, and their heads.
pub struct Outgoing {
    pipe: Pipe,
    head: HeadPage,
}

/// A thread's own, empty; made when it is first needed. Its pipe is closed when the thread ends.
struct Idle(Cell<Option<Outgoing>>);

thread_local! {
    static IDLE: Idle = const { Idle(Cell::new(None)) };
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(idle) = self.0.take() {
            SPARES.put(idle.head);
        }
    }
}

impl Outgoing {
    /// The calling thread's pipe with room for a head and `pages` pages behind it; none when there cannot be one.
    pub fn take(pages: usize) -> Option<Self> {
        let idle = IDLE.try_with(|idle| idle.0.take()).ok().flatten().filter(|idle| !idle.pipe.is_shared());
        let mut this = match idle {
            Some(idle) => idle,
            None => Self { pipe: Pipe::new().ok()?, head: HeadPage::new().ok()? },
        };
        let room = pages.checked_add(1)?.checked_mul(page_size())?;
        if this.pipe.reserve(room) {
            return Some(this);
        }
        this.keep();
        None
    }

    /// Gives the pipe back, for the thread's next message. It is empty.
    pub fn keep(self) {
        // A thread that is ending has no place for it: it is closed then.
        let _ = IDLE.try_with(|idle| idle.0.set(Some(self)));
    }

    /// Puts a head of `len` bytes in first place, whose content comes later.
    pub fn begin(&mut self, len: usize) -> Result<(), Errno> {
        let head = [IoSlice::new(self.head.bytes(len))];
        match vmsplice(self.pipe.writer(), &head, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(put) if put == len => Ok(()),
            Ok(_) => Err(Errno::EIO),
            Err(errno) => Err(errno),
        }
    }

    /// Says what the head is. The message is whole then.
    pub fn set_head(&mut self, head: &[u8]) {
        self.head.bytes(head.len()).copy_from_slice(head);
    }

    /// The end that the message's data is put into.
    pub fn writer(&self) -> BorrowedFd<'_> {
        self.pipe.writer()
    }

    /// The end that the message is taken from.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.pipe.reader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};

    /// What a thread finds that lays a head there first, so that this is seen later.
    fn found(mark: u8) -> u8 {
        let lay = move || {
            let mut message = Outgoing::take(1).expect("a pipe");
            let before = message.head.bytes(1)[0];
            message.set_head(&[mark]);
            message.keep();
            before
        };
        std::thread::spawn(lay).join().unwrap()
    }

    /// Other tests may have taken it in between, but not each time.
    #[test]
    fn the_page_of_a_thread_that_ended_is_used_again() {
        assert!((0..20).any(|_| found(0xa5) == 0xa5));
    }

    /// Parent and child would write over each other's heads.
    #[test]
    fn no_page_is_older_than_a_fork() {
        for mark in 1..4 {
            found(mark);
            // SAFETY: the child does nothing but end.
            match unsafe { fork() }.unwrap() {
                // SAFETY: as above.
                ForkResult::Child => unsafe { libc::_exit(0) },
                ForkResult::Parent { child } => _ = waitpid(child, None).unwrap(),
            }
            assert_ne!(found(mark), mark);
        }
    }
}
