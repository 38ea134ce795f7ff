//! Memory that a thread reads pipes and files into.

use crate::transport::{Buffer, Spares};
use nix::errno::Errno;
use std::cell::Cell;

/// No thread keeps more than this, in bytes: a request of the usual limit. Larger ones are the administrator's wish.
const KEPT: usize = (1 << 20) + 4096;

/// What the thread keeps for its next use.
struct Idle(Cell<Option<Buffer>>);

thread_local! {
    static IDLE: Idle = const { Idle(Cell::new(None)) };
}

/// Of threads that ended: new memory costs more than what it is for, as each page comes by a fault.
static SPARES: Spares<Buffer> = Spares::none();

impl Idle {
    fn take(&self) -> Option<Buffer> {
        self.0.take().or_else(|| SPARES.take())
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            SPARES.put(buffer);
        }
    }
}

/// Bytes that begin at a page, as files opened with O_DIRECT want it; kept for the next use when dropped.
pub struct Scratch {
    buffer: Option<Buffer>,
    size: usize,
}

impl Scratch {
    /// Room for `size` bytes; ENOMEM where there is no such memory.
    pub fn new(size: usize) -> Result<Self, Errno> {
        let idle = IDLE.try_with(Idle::take).ok().flatten();
        let buffer = match idle.filter(|idle| idle.size() >= size) {
            Some(idle) => idle,
            None => Buffer::new(size.max(1))?,
        };
        Ok(Self { buffer: Some(buffer), size })
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        let bytes = self.buffer.as_mut().map(Buffer::bytes).unwrap_or_default();
        bytes.get_mut(..self.size).unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let kept = self.buffer.take().filter(|buffer| buffer.size() <= KEPT);
        if kept.is_some() {
            let _ = IDLE.try_with(|idle| idle.0.set(kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// New memory would be zeroed. Other tests may have taken it in between, but not each time.
    #[test]
    fn the_memory_of_a_thread_that_ended_is_used_again() {
        let was_used = || {
            let use_it = || {
                let mut scratch = Scratch::new(100_000).unwrap();
                let before = scratch.bytes()[99_999];
                scratch.bytes().fill(0xa5);
                before == 0xa5
            };
            std::thread::spawn(use_it).join().unwrap()
        };
        assert!((0..20).any(|_| was_used()));
    }
}
