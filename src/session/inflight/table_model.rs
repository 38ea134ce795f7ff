//! [`table`](super::table) for the model checker: few slots, made anew for each run, in one list.

use super::slot::{Slot, Token};
use crate::sync::Mutex;

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

/// As the real one.
pub fn take() -> Option<&'static Slot> {
    let index = TABLE.free.lock().pop()?;
    TABLE.slots.get(index as usize)
}

/// As the real one; a slot that is free already is given back by nobody.
pub(super) fn give_back(index: u32) {
    let mut free = TABLE.free.lock();
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
