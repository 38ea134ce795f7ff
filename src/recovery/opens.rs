//! What is open of each inode, for a successor: the kernel remembers by which backing file.
//!
//! Each inode has an entry while something of it is open. Counts change one at a time, and what makes an entry count is
//! written last, so that it says what was or what is, wherever the process dies.

use super::layout::{Header, MAX_OPENS, OPEN, OPENS};
use super::memory::{Area, Memory};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const AREA: Area = Area { used: Header::Opens, start: OPENS, element: OPEN, max: MAX_OPENS };

// Words of an entry.
const INO: usize = 0;
const PLAIN: usize = 1;
const PASSTHROUGH: usize = 2;
const BACKING: usize = 3;

/// An entry's contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Opens through the page cache.
    pub cached: u32,
    /// Direct opens.
    pub direct: u32,
    /// Passthrough opens.
    pub passthrough: u32,
    /// Their backing id, 0 for none.
    pub backing: i32,
    /// The library registered that.
    pub ours: bool,
}

/// The entries.
#[derive(Debug)]
pub struct Opens {
    memory: Memory,
    free: Mutex<Vec<usize>>,
}

impl Opens {
    /// The entries in `memory`, with what a predecessor left in them: the place, the inode, what is open of it.
    pub fn new(memory: Memory) -> (Self, Vec<(usize, u64, Open)>) {
        let (mut free, mut found) = (Vec::new(), Vec::new());
        for index in 0..AREA.used(&memory) {
            match memory.array(AREA.at(index)).map(read) {
                Some((ino, open)) if ino != 0 => found.push((index, ino, open)),
                _ => free.push(index),
            }
        }
        (Self { memory, free: Mutex::new(free) }, found)
    }

    /// A place for an inode's entry; none, after a log line, when there is no more room.
    pub fn place(&self) -> Option<usize> {
        let mut free = self.free.lock();
        if let Some(index) = free.pop() {
            return Some(index);
        }
        let first = AREA.used(&self.memory);
        match AREA.grow(&self.memory, first) {
            Ok(used) => free.extend((first + 1..used).rev()),
            Err(errno) => {
                log::error!("a successor will not know of every open file: {}", errno.desc());
                return None;
            }
        }
        Some(first)
    }

    /// Writes an entry. To be called by one thread at a time for each place.
    pub fn write(&self, place: usize, ino: u64, open: &Open) {
        let Some(entry) = self.memory.array::<OPEN>(AREA.at(place)) else { return };
        let Open { cached, direct, passthrough, backing, ours } = *open;
        entry[BACKING].store(u64::from(backing as u32) | u64::from(ours) << 32, Ordering::Release);
        entry[PLAIN].store(u64::from(cached) | u64::from(direct) << 32, Ordering::Release);
        entry[PASSTHROUGH].store(u64::from(passthrough), Ordering::Release);
        entry[INO].store(ino, Ordering::Release);
    }

    /// Nothing is open any more.
    pub fn clear(&self, place: usize) {
        let Some(entry) = self.memory.array::<OPEN>(AREA.at(place)) else { return };
        entry[INO].store(0, Ordering::Release);
        self.free.lock().push(place);
    }
}

fn read(entry: &[AtomicU64; OPEN]) -> (u64, Open) {
    let [ino, plain, passthrough, backing] = entry.each_ref().map(|word| word.load(Ordering::Acquire));
    let open = Open {
        cached: plain as u32,
        direct: (plain >> 32) as u32,
        passthrough: passthrough as u32,
        backing: backing as u32 as i32,
        ours: backing >> 32 != 0,
    };
    (ino, open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_finds_what_is_open() {
        let memory = Memory::create(0).unwrap();
        let (opens, found) = Opens::new(memory.clone());
        assert_eq!(found, []);
        let places: Vec<usize> = (0..100).map(|_| opens.place().unwrap()).collect();
        let open = |n: u32| Open { cached: n, direct: n + 1, passthrough: n + 2, backing: n as i32 + 3, ours: n == 4 };
        for (n, place) in places.iter().enumerate() {
            opens.write(*place, n as u64 + 1, &open(n as u32));
        }
        opens.clear(places[40]);
        let (successor, mut found) = Opens::new(memory);
        found.sort_unstable_by_key(|(_, ino, _)| *ino);
        assert_eq!(found.len(), 99);
        assert_eq!(found[50], (places[51], 52, open(51)));
        // What is in use is not given away.
        let place = successor.place().unwrap();
        assert!(place == places[40] || !places.contains(&place));
    }
}
