//! Memory that ends where nothing may be read.

use core::cell::Cell;
use std::ptr;

/// Bytes of the longest message.
pub const ROOM: usize = 64 << 10;
const PAGE: usize = 64 << 10; // the largest page of any machine

/// One message at a time, its end the last that may be read: up to seven bytes that are no NULs follow where its length
/// would not let it begin at an address for every struct, which the library would copy it to.
pub struct Guarded {
    base: *mut u8,
}

impl Guarded {
    pub fn new() -> Self {
        let (all, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of which the last page is then closed.
        let base = unsafe { libc::mmap(ptr::null_mut(), ROOM + PAGE, all, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        let base: *mut u8 = base.cast();
        // SAFETY: within the mapping.
        assert_eq!(unsafe { libc::mprotect(base.add(ROOM).cast(), PAGE, libc::PROT_NONE) }, 0);
        Self { base }
    }

    /// Puts a message to the end, as much of it as there is room for.
    pub fn place(&mut self, message: &[u8]) -> &[u8] {
        let message = &message[..message.len().min(ROOM)];
        let size = message.len().next_multiple_of(8);
        // SAFETY: the room's last bytes, which nobody else has while this is borrowed.
        let place = unsafe { core::slice::from_raw_parts_mut(self.base.add(ROOM - size), size) };
        let (place, behind) = place.split_at_mut(message.len());
        place.copy_from_slice(message);
        behind.fill(0xee);
        place
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and unused.
        unsafe { libc::munmap(self.base.cast(), ROOM + PAGE) };
    }
}

/// The message that a thread has given to the library, for the callbacks that run meanwhile.
#[derive(Clone, Copy)]
pub struct Current {
    pub bytes: *const [u8],
    /// It went through a pipe: what the library read of it lies in memory of its own.
    pub piped: bool,
    pub unique: u64,
    /// What the callback is to do.
    pub action: u8,
}

thread_local! {
    pub static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}
