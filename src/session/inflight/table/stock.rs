//! All slots of the process, and those of them that no thread keeps.
//!
//! They are handed out by the page. Processors fetch the neighbours of what they are asked for, and so would take slots from a
//! thread that is at work on them on another processor; but they do not go beyond a page.

use crate::session::inflight::slot::{INDEX_BITS, Slot};
use once_cell::race::OnceRef;

/// Slots of one chunk, a page; chunks are allocated when they are first needed and kept.
pub(super) const CHUNK: usize = 32;
const CHUNKS: usize = (1 << INDEX_BITS) / CHUNK;
/// So many slots of the first chunk go out at a time.
const PART: usize = CHUNK / 4;

#[repr(align(4096))]
struct Chunk([Slot; CHUNK]);

const _: () = assert!(size_of::<Chunk>() == 4096, "a chunk fills its page");

// All zero, so that it takes no memory where nothing is.
static SLOTS: [OnceRef<'static, Chunk>; CHUNKS] = [const { OnceRef::new() }; CHUNKS];

/// The slots that no thread keeps. All zero at first, too.
pub(super) struct Stock {
    /// Those of each chunk, a bit each.
    free: [u32; CHUNKS],
    /// Chunks that have some lie in a stack: the topmost, and what is below each. Numbers are one more than the chunk's.
    top: u32,
    below: [u32; CHUNKS],
    /// Chunks from this one on were never used.
    fresh: u32,
}

impl Stock {
    pub const EMPTY: Self = Self { free: [0; CHUNKS], top: 0, below: [0; CHUNKS], fresh: 0 };

    /// Makes a slot free for any thread.
    pub fn put(&mut self, slot: &Slot) {
        self.put_all(slot.index() / CHUNK, 1 << (slot.index() % CHUNK));
    }

    fn put_all(&mut self, chunk: usize, slots: u32) {
        let (Some(free), Some(below)) = (self.free.get_mut(chunk), self.below.get_mut(chunk)) else { return };
        if *free == 0 && slots != 0 {
            *below = self.top;
            self.top = chunk as u32 + 1;
        }
        *free |= slots;
    }

    /// All slots of a chunk that are free; those of a new one where there are no others, and none without memory for it. Of
    /// the first chunk some at a time: where memory for a second has run out, several threads can go on.
    pub fn take(&mut self) -> impl Iterator<Item = &'static Slot> + use<> {
        let (chunk, mut free) = self.topmost().or_else(|| self.fresh()).unwrap_or((CHUNKS, 0));
        if chunk == 0 {
            let rest = (0..PART).fold(free, |rest, _| rest & rest.wrapping_sub(1));
            self.put_all(0, rest);
            free &= !rest;
        }
        // No slot is asked for its number, which would fetch what another thread is at work on.
        slots_of(chunk).enumerate().filter(move |(nth, _)| free >> nth & 1 != 0).map(|(_, slot)| slot)
    }

    /// A chunk with free slots, and which those were.
    fn topmost(&mut self) -> Option<(usize, u32)> {
        let chunk = (self.top as usize).checked_sub(1)?;
        self.top = *self.below.get(chunk)?;
        self.free.get_mut(chunk).map(|free| (chunk, core::mem::take(free)))
    }

    /// A chunk that was never used.
    fn fresh(&mut self) -> Option<(usize, u32)> {
        let chunk = self.fresh as usize;
        let place = SLOTS.get(chunk)?;
        let mut page = Vec::new();
        page.try_reserve_exact(1).ok()?;
        page.push(Chunk(core::array::from_fn(|nth| Slot::with_index((chunk * CHUNK + nth) as u32))));
        // Whoever has the stock is alone, so nobody else makes it.
        let _ = place.set(page.leak().first()?);
        self.fresh += 1;
        Some((chunk, u32::MAX))
    }

    /// Every slot that may have been used.
    pub fn used(&self) -> impl Iterator<Item = &'static Slot> + use<> {
        (0..self.fresh as usize).flat_map(slots_of)
    }
}

fn slots_of(chunk: usize) -> impl Iterator<Item = &'static Slot> {
    SLOTS.get(chunk).and_then(OnceRef::get).into_iter().flat_map(|chunk| &chunk.0)
}

/// The slot of that number.
#[inline]
pub(super) fn slot(index: usize) -> Option<&'static Slot> {
    SLOTS.get(index / CHUNK)?.get()?.0.get(index % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_chunk_is_for_several() {
        let mut stock = Box::new(Stock::EMPTY);
        let numbers = |stock: &mut Stock| stock.take().map(Slot::index).collect::<Vec<_>>();
        // The slots themselves are the process's, whatever stock says who has them.
        let parts: Vec<_> = (0..4).map(|_| numbers(&mut stock)).collect();
        assert_eq!(parts.concat(), (0..CHUNK).collect::<Vec<_>>());
        assert!(parts.iter().all(|part| part.len() == PART));
        assert_eq!(numbers(&mut stock), (CHUNK..2 * CHUNK).collect::<Vec<_>>());
        stock.put(slot(5).expect("it was handed out"));
        assert_eq!(numbers(&mut stock), [5]);
    }
}
