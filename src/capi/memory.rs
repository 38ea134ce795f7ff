//! What happens when malloc(3) has nothing left.
//!
//! Large areas (buffers, slots of requests) are asked for by those who can do without, and say ENOMEM. For the rest, the
//! small things that Rust's collections and boxes take for granted, there is a reserve: as long as it lasts the library
//! answers what it has in hand and gets to its next error instead of ending the process.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};
use std::alloc::System;

/// Bytes of the reserve. They take memory only once they are used.
const SIZE: usize = 256 << 10;
/// What is larger is not taken from it.
const LARGEST: usize = 8 << 10;

#[repr(C, align(64))]
struct Area(UnsafeCell<[u8; SIZE]>);

// SAFETY: pieces of it are handed out, each to one owner.
unsafe impl Sync for Area {}

/// Hands out pieces one behind the other; when the last is given back it begins anew.
struct Reserve {
    area: Area,
    /// Where the free part begins, and how many pieces are out.
    state: AtomicU64,
}

const COUNT_BITS: u32 = 32;

fn unpack(state: u64) -> (usize, u64) {
    ((state >> COUNT_BITS) as usize, state & u64::from(u32::MAX))
}

fn pack(begin: usize, count: u64) -> u64 {
    (begin as u64) << COUNT_BITS | count
}

impl Reserve {
    const fn new() -> Self {
        Self { area: Area(UnsafeCell::new([0; SIZE])), state: AtomicU64::new(0) }
    }

    fn start(&self) -> *mut u8 {
        self.area.0.get().cast()
    }

    fn holds(&self, pointer: *mut u8) -> bool {
        (self.start().addr()..self.start().addr() + SIZE).contains(&pointer.addr())
    }

    /// A piece; null when there is no room, or too much is asked for.
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST || layout.align() > align_of::<Area>() {
            return core::ptr::null_mut();
        }
        let mut place = 0;
        let taken = self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |state| {
            let (begin, count) = unpack(state);
            place = begin.next_multiple_of(layout.align());
            let end = place + layout.size();
            (end <= SIZE).then(|| pack(end, count + 1))
        });
        if taken.is_err() {
            return core::ptr::null_mut();
        }
        self.start().wrapping_add(place)
    }

    fn give_back(&self) {
        let less = |state| {
            let (begin, count) = unpack(state);
            Some(if count <= 1 { 0 } else { pack(begin, count - 1) })
        };
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    }
}

static RESERVE: Reserve = Reserve::new();

/// malloc(3), and the reserve behind it.
struct WithReserve;

#[global_allocator]
static ALLOCATOR: WithReserve = WithReserve;

/// The first that is there.
fn or_reserve(pointer: *mut u8, layout: Layout) -> *mut u8 {
    if pointer.is_null() { RESERVE.take(layout) } else { pointer }
}

// SAFETY: pieces come from the system's allocator or from the reserve, which never hands out a byte twice at a time, and
// go back to where they came from.
unsafe impl GlobalAlloc for WithReserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller vouches.
        or_reserve(unsafe { System.alloc(layout) }, layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller vouches.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            return pointer;
        }
        let pointer = RESERVE.take(layout);
        if !pointer.is_null() {
            // SAFETY: a piece of this size, which nobody else has.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if RESERVE.holds(pointer) {
            return RESERVE.give_back();
        }
        // SAFETY: it came from there.
        unsafe { System.dealloc(pointer, layout) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !RESERVE.holds(pointer) {
            // SAFETY: it came from there; as the caller vouches.
            let grown = unsafe { System.realloc(pointer, layout, size) };
            if !grown.is_null() {
                return grown;
            }
        }
        // SAFETY: the caller vouches for the size with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as above.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both have that many bytes, and are not the same.
            unsafe { moved.copy_from_nonoverlapping(pointer, layout.size().min(size)) };
            // SAFETY: as the caller vouches.
            unsafe { self.dealloc(pointer, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn pieces_do_not_overlap_and_come_back() {
        static RESERVE: Reserve = Reserve::new();
        let mut end = RESERVE.start().addr();
        let mut count = 0;
        loop {
            let wanted = layout(1 + count % 5000, 1 << (count % 7));
            let piece = RESERVE.take(wanted);
            if piece.is_null() {
                break;
            }
            assert!(piece.addr() >= end && piece.addr().is_multiple_of(wanted.align()) && RESERVE.holds(piece));
            end = piece.addr() + wanted.size();
            count += 1;
        }
        assert!(count > 100 && end <= RESERVE.start().addr() + SIZE);
        assert!(RESERVE.take(layout(LARGEST, 1)).is_null());
        for _ in 0..count {
            RESERVE.give_back();
        }
        assert_eq!(RESERVE.take(layout(LARGEST, 1)), RESERVE.start());
        assert!(RESERVE.take(layout(LARGEST + 1, 1)).is_null());
        assert!(RESERVE.take(layout(1, 4096)).is_null());
    }
}
