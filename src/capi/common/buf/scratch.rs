//! Memory that a thread reads pipes and files into.

use crate::transport::Buffer;
use nix::errno::Errno;
use std::cell::Cell;

/// No thread keeps more than this, in bytes: a request of the usual limit. Larger ones are the administrator's wish.
const KEPT: usize = (1 << 20) + 4096;

thread_local! {
    static IDLE: Cell<Option<Buffer>> = const { Cell::new(None) };
}

/// Bytes that begin at a page, as files opened with O_DIRECT want it; kept for the thread's next use when dropped.
pub struct Scratch {
    buffer: Option<Buffer>,
    size: usize,
}

impl Scratch {
    /// Room for `size` bytes; ENOMEM where there is no such memory.
    pub fn new(size: usize) -> Result<Self, Errno> {
        let idle = IDLE.try_with(Cell::take).ok().flatten();
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
            let _ = IDLE.try_with(|idle| idle.set(kept));
        }
    }
}
