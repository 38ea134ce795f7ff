//! [`table`](super::table) for the model checker: few slots, made anew for each run, in one list.

use super::slot::{Slot, Token};
use crate::sync::{Mutex, here};

const SLOTS: u32 = 2;

struct Table {
    slots: Vec<Slot>,
    free: Mutex<Vec<u32>>,
}

loom::lazy_static! {
    static ref TABLE: Table = Table {
        slots: (0..SLOTS).map(Slot::with_index).collect(),
        free: Mutex::new((0..SLOTS).collect()),
    };
}

/// As the real one.
pub fn find(token: Token) -> Option<&'static Slot> {
    TABLE.slots.get(token.index())
}

/// As the real one, though all threads have the same slots.
pub struct Own;

/// As the real one.
pub fn with_own<R>(f: impl FnOnce(&Own) -> R) -> R {
    f(&Own)
}

impl Own {
    /// As the real one.
    pub fn take(&self) -> Option<&'static Slot> {
        take()
    }

    /// As the real one.
    pub fn thread(&self) -> usize {
        here()
    }

    /// As the real one.
    pub fn serve(&self, slot: &'static Slot, callback: impl FnOnce()) {
        callback();
        if slot.came_home(here()) {
            give_back(slot);
        }
    }
}

/// As the real one.
pub fn take() -> Option<&'static Slot> {
    let index = TABLE.free.lock().pop()?;
    TABLE.slots.get(index as usize)
}

/// As the real one; a slot that is free already is given back by nobody.
pub(super) fn give_back(slot: &'static Slot) {
    let (mut free, index) = (TABLE.free.lock(), slot.index() as u32);
    assert!(!free.contains(&index), "slot {index} is given back twice");
    free.push(index);
}

/// As the real one.
pub fn each() -> impl Iterator<Item = &'static Slot> {
    TABLE.slots.iter()
}

/// How many slots nobody uses.
pub fn unused() -> usize {
    TABLE.free.lock().len()
}
