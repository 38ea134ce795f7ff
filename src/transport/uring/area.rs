//! The memory of an entry.
//!
//! Three parts, on pages of their own: the headers, which the kernel fills; a page for messages; and the payload, which
//! the kernel fills and reads. The kernel splits a request into its head, its fixed arguments and the rest; here it
//! becomes one message again. A small rest is copied behind the other two, so that a reply can be written while the
//! callback still reads the request. A large one stays where it is, and the other two are copied before it.

use super::memory::Memory;
use crate::abi::wire::{InHeader, OutHeader, URING_ARGUMENTS, URING_ENT_IN_OUT, UringEntInOut};
use crate::transport::page_size;
use core::ptr::NonNull;
use nix::errno::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the headers.
const HEADERS: usize = URING_ENT_IN_OUT + size_of::<UringEntInOut>();
/// Most bytes of fixed arguments.
const MOST_ARGUMENTS: usize = URING_ENT_IN_OUT - URING_ARGUMENTS;
/// A rest of so many bytes is small. With head and arguments it fits a page.
const SMALL: usize = 2048;
/// So many bytes in the payload are worth huge pages.
const MUCH: usize = 512 << 10;

/// Memory of one entry.
#[derive(Debug)]
pub(super) struct Area {
    /// The queue's.
    memory: Arc<Memory>,
    headers: NonNull<u8>,
    page: usize,
    /// Bytes of the payload.
    payload: usize,
    /// What a registration tells the kernel: headers and payload.
    iovecs: Box<[libc::iovec; 2]>,
    /// There was [`MUCH`] data before.
    used_much: AtomicBool,
}

// SAFETY: the pieces lead into the memory, which is this value's; whoever has the entry's turn uses it, see `Seat`.
unsafe impl Send for Area {}
// SAFETY: as above.
unsafe impl Sync for Area {}

/// A request in the area.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    start: NonNull<u8>,
    len: usize,
    /// The message reaches into the payload.
    pub in_payload: bool,
}

impl Area {
    /// The place of this number in the memory of a queue.
    pub fn new(memory: &Arc<Memory>, number: usize) -> Result<Self, Errno> {
        let (page, payload) = (page_size(), memory.payload());
        let headers = memory.place(number).ok_or(Errno::EINVAL)?;
        // SAFETY: two pages come before the payload.
        let at = unsafe { headers.add(2 * page) };
        let iovecs = Box::new([
            libc::iovec { iov_base: headers.as_ptr().cast(), iov_len: HEADERS },
            libc::iovec { iov_base: at.as_ptr().cast(), iov_len: payload },
        ]);
        Ok(Self { memory: memory.clone(), headers, page, payload, iovecs, used_much: AtomicBool::new(false) })
    }

    /// So many bytes are, or will be, in the payload. The first time that they are many, the memory gets huge pages.
    pub fn uses(&self, bytes: usize) {
        if bytes >= MUCH && !self.used_much.load(Ordering::Relaxed) {
            self.used_much.store(true, Ordering::Relaxed);
            self.memory.enlarge_pages(self.payload().0, self.payload);
        }
    }

    /// What the kernel is told.
    pub fn iovecs(&self) -> *const libc::iovec {
        self.iovecs.as_ptr()
    }

    /// Where the payload is, and its bytes.
    pub fn payload(&self) -> (NonNull<u8>, usize) {
        // SAFETY: two pages come before the payload.
        (unsafe { self.headers.add(2 * self.page) }, self.payload)
    }

    /// What the kernel says of the request: its number for the commit, and bytes in the payload.
    pub fn entry(&self) -> UringEntInOut {
        // SAFETY: the headers have it, any bytes are valid for it, and the kernel does not write now.
        unsafe { self.headers.add(URING_ENT_IN_OUT).cast::<UringEntInOut>().read_unaligned() }
    }

    /// Makes one message of the request. EIO when it contradicts itself.
    pub fn arrive(&self) -> Result<Arrived, Errno> {
        let headers = self.headers;
        // SAFETY: the headers have it, any bytes are valid for it, and the kernel does not write now.
        let head: InHeader = unsafe { headers.cast::<InHeader>().read_unaligned() };
        let rest = self.entry().payload_sz as usize;
        let len = head.len as usize;
        let arguments = len.checked_sub(size_of::<InHeader>()).and_then(|behind| behind.checked_sub(rest));
        let arguments = arguments.filter(|bytes| *bytes <= MOST_ARGUMENTS && rest <= self.payload).ok_or(Errno::EIO)?;
        self.uses(rest);
        let in_payload = rest > SMALL;
        let before = size_of::<InHeader>() + arguments;
        let (payload, _) = self.payload();
        // SAFETY: head and arguments fit a page, before the payload as well as, with a small rest, in the page of messages;
        // the headers and the payload have what is copied. Nobody else uses the memory until the message is answered.
        let start = unsafe {
            let start = if in_payload { payload.sub(before) } else { headers.add(self.page) };
            start.copy_from_nonoverlapping(headers, size_of::<InHeader>());
            start.add(size_of::<InHeader>()).copy_from_nonoverlapping(headers.add(URING_ARGUMENTS), arguments);
            if !in_payload {
                start.add(before).copy_from_nonoverlapping(payload, rest);
            }
            start
        };
        Ok(Arrived { start, len, in_payload })
    }

    /// The message.
    ///
    /// # Safety
    /// The request is the one that arrived last, and the payload is not written while the bytes are borrowed if the
    /// message reaches into it.
    pub unsafe fn message(&self, arrived: &Arrived) -> &[u8] {
        // SAFETY: `arrive` put it there; the caller vouches for the rest.
        unsafe { core::slice::from_raw_parts(arrived.start.as_ptr(), arrived.len) }
    }

    /// Whether bytes of memory lie in the payload, or partly.
    pub fn overlaps(&self, bytes: &[u8]) -> bool {
        let (payload, size) = self.payload();
        let (start, end) = (bytes.as_ptr().addr(), bytes.as_ptr().addr().wrapping_add(bytes.len()));
        start < payload.as_ptr().addr().wrapping_add(size) && payload.as_ptr().addr() < end
    }

    /// Writes bytes to the payload, `at` a distance from its beginning. They do not overlap.
    ///
    /// # Safety
    /// The request in the entry is the caller's to answer, its message does not reach into the payload or is done with, and
    /// `at` and the bytes are within the payload.
    pub unsafe fn write(&self, at: usize, bytes: &[u8]) {
        let (payload, _) = self.payload();
        // SAFETY: as the caller vouches.
        unsafe { payload.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Writes the head of a reply, and how many bytes of it are in the payload.
    ///
    /// # Safety
    /// The request in the entry is the caller's to answer.
    pub unsafe fn write_head(&self, head: OutHeader, payload_sz: u32) {
        let headers = self.headers;
        // The number for the commit stays: whoever commits reads it.
        let entry = UringEntInOut { payload_sz, ..self.entry() };
        // SAFETY: the headers have room for both; the caller vouches for nobody else writing.
        unsafe {
            headers.cast::<OutHeader>().write_unaligned(head);
            headers.add(URING_ENT_IN_OUT).cast::<UringEntInOut>().write_unaligned(entry);
        }
    }
}
