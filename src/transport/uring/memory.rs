//! The memory of a queue's entries, side by side: what one needs is less than a huge page.
//!
//! Large data is copied faster to and from huge pages, as the kernel looks each page up. But small requests use three pages
//! of an entry, and are to cost no more. So the system gives pages when they are first used, and makes huge ones of them
//! where there is much data: within this memory, so that what it takes at most stays the same.

use crate::transport::{Buffer, page_size};
use core::ptr::NonNull;
use nix::errno::Errno;
use std::path::Path;

/// What the administrator wants of huge pages, and how large they are.
const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage";

/// Places for the entries of one queue.
#[derive(Debug)]
pub struct Memory {
    buffer: Buffer,
    entries: usize,
    /// Bytes of an entry's payload.
    payload: usize,
    /// Bytes from one entry to the next.
    stride: usize,
    /// Bytes before the first.
    before: usize,
    /// Bytes of a huge page; 0 if there are to be none.
    huge: usize,
}

// SAFETY: only says where the places are; whoever has one uses it, see `Area`.
unsafe impl Sync for Memory {}

impl Memory {
    /// For so many entries, each with so many bytes of payload, rounded up to pages.
    pub fn new(entries: usize, payload: usize) -> Result<Self, Errno> {
        let page = page_size();
        let payload = payload.checked_next_multiple_of(page).ok_or(Errno::ENOMEM)?;
        let stride = payload.checked_add(2 * page).ok_or(Errno::ENOMEM)?;
        let size = stride.checked_mul(entries).ok_or(Errno::ENOMEM)?;
        let huge = huge_page().filter(|huge| *huge <= size).unwrap_or(0);
        // Room to begin where a huge page does; what is not used costs nothing.
        let buffer = Buffer::new(size.checked_add(huge).ok_or(Errno::ENOMEM)?)?;
        let start = buffer.start().addr().get();
        let before = start.checked_next_multiple_of(huge).map_or(0, |aligned| aligned - start);
        Ok(Self { buffer, entries, payload, stride, before, huge })
    }

    /// Bytes of an entry's payload.
    pub(super) fn payload(&self) -> usize {
        self.payload
    }

    /// Where the entry of this number has its memory: two pages and the payload.
    pub(super) fn place(&self, number: usize) -> Option<NonNull<u8>> {
        // SAFETY: the buffer has room for all entries behind its first bytes.
        (number < self.entries).then(|| unsafe { self.buffer.start().add(self.before + number * self.stride) })
    }

    /// Makes huge pages of those that these bytes lie in, if the system can, and where they lie within this memory.
    pub(super) fn enlarge_pages(&self, start: NonNull<u8>, len: usize) {
        let Some(pages) = self.entries.checked_mul(self.stride).and_then(|size| size.checked_div(self.huge)) else {
            return;
        };
        // SAFETY: within the buffer.
        let first = unsafe { self.buffer.start().add(self.before) };
        let from = start.addr().get() - first.addr().get();
        let pages = from / self.huge..(from + len).div_ceil(self.huge).min(pages);
        if !pages.is_empty() {
            // SAFETY: whole huge pages of the buffer; what is in them stays.
            let done = unsafe {
                let at = first.as_ptr().add(pages.start * self.huge);
                Errno::result(libc::madvise(at.cast(), pages.len() * self.huge, libc::MADV_COLLAPSE))
            };
            let _ = done.inspect_err(|errno| log::debug!("io_uring: no huge pages: {}", errno.desc()));
        }
    }
}

/// Bytes of a huge page, unless nobody is to have any.
fn huge_page() -> Option<usize> {
    let read = |name| std::fs::read_to_string(Path::new(HUGE_PAGES).join(name)).ok();
    let wanted = read("enabled").is_some_and(|text| !text.contains("[never]"));
    wanted.then(|| read("hpage_pmd_size")).flatten()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_do_not_overlap() {
        for (entries, payload) in [(1, 5000), (8, 1 << 20), (3, 3 << 20)] {
            let memory = Memory::new(entries, payload).unwrap();
            let places: Vec<_> = (0..entries).map(|n| memory.place(n).unwrap().addr().get()).collect();
            let each = 2 * page_size() + payload;
            assert!(places.windows(2).all(|two| two[1] - two[0] >= each));
            assert!(places[entries - 1] + each <= memory.buffer.start().addr().get() + memory.buffer.size());
            assert_eq!(memory.place(entries), None);
        }
    }
}
