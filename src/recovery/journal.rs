//! Requests in flight, as a successor of the process finds them.
//!
//! A record is TAKEN when its request is put in flight, and FREE again when the reply was sent. A reply that cannot be
//! made a second time is written down before it is sent: EXECUTED. A daemon may add a cookie before it does what cannot be
//! done twice, from which its successor tells whether that was done.
//!
//! Records are written by whoever serves the request, by plain stores in an order that makes sense wherever the process
//! dies: no lock, no system call.

use super::layout::{Header, INHERITED, JOURNAL, MAX_RECORDS, RECORD, WORD};
use super::memory::{Area, Memory, get_bytes, put_bytes};
use crate::abi::opcode::Opcode;
use nix::errno::Errno;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Most bytes of a reply that are kept, behind its head: an entry and an open file.
pub const REPLY_BYTES: usize = 144;
/// Most bytes of a cookie.
pub const COOKIE_BYTES: usize = 48;

// Words of a record.
const HEAD: usize = 0;
const UNIQUE: usize = 1;
const NODEID: usize = 2;
const REPLY: usize = 3;
const OPEN_INO: usize = 4;
const OPEN_MODE: usize = 5;
const REPLY_SUM: usize = 6;
/// Two places for the cookie, each with its checksum before it: one counts while the other is written.
const COOKIES: [usize; 2] = [7, 7 + COOKIE_PLACE];
const COOKIE_PLACE: usize = 1 + COOKIE_BYTES / WORD;
const BODY: usize = COOKIES[1] + COOKIE_PLACE;
const _: () = assert!(BODY + REPLY_BYTES / WORD <= RECORD);

// The head: phase, opcode, length of the cookie and which place it is in.
const PHASE: u64 = 0xff;
const FREE: u64 = 0;
const TAKEN: u64 = 1;
const EXECUTED: u64 = 2;
const OPCODE_SHIFT: u32 = 8;
const COOKIE_SHIFT: u32 = 56;
const COOKIE_LENGTH: u64 = 0x7f;
const SECOND_COOKIE: u64 = 1 << 63;
const COOKIE_BITS: u64 = COOKIE_LENGTH << COOKIE_SHIFT | SECOND_COOKIE;

type Record = [AtomicU64; RECORD];

/// A reply that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// 0 or a negative errno.
    pub error: i32,
    /// What follows the head.
    pub payload: Vec<u8>,
}

/// What is known of a request that was in flight when the process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its unique, without the bit of a resent one.
    pub unique: u64,
    /// Its opcode.
    pub opcode: u32,
    /// Its nodeid.
    pub nodeid: u64,
    /// Its reply, if it was made.
    pub reply: Option<Recorded>,
    /// What the daemon noted.
    pub cookie: Vec<u8>,
    /// The open of an inode that it counted: the inode and what it was counted as.
    pub opened: Option<(u64, u64)>,
}

/// Whether a reply to this is written down: what was done cannot be done again with the same outcome, or the kernel
/// counts something by it.
#[inline]
fn is_kept(opcode: u32) -> bool {
    use Opcode::*;
    let kept = [
        Lookup,
        Symlink,
        Mknod,
        Mkdir,
        Unlink,
        Rmdir,
        Rename,
        Rename2,
        Link,
        Write,
        Setxattr,
        Removexattr,
        Create,
        Setattr,
        Release,
        Releasedir,
        Setlk,
        Setlkw,
        Fallocate,
        CopyFileRange,
        CopyFileRange64,
        Tmpfile,
        Ioctl,
    ];
    kept.iter().any(|one| *one as u32 == opcode)
}

/// The records of the serving process; record `i` belongs to its slot `i` of requests in flight.
#[derive(Debug)]
pub struct Journal {
    memory: Memory,
    /// Records that there is memory for.
    ready: AtomicUsize,
    growth: Mutex<()>,
}

const AREA: Area = Area { used: Header::Journal, start: JOURNAL, element: RECORD, max: MAX_RECORDS };
const INHERITED_AREA: Area = Area { used: Header::Inherited, start: INHERITED, element: RECORD, max: MAX_RECORDS };

impl Journal {
    /// The journal in `memory`, whose records are the serving process' own from now on.
    pub fn new(memory: Memory) -> Self {
        Self { memory, ready: AtomicUsize::new(0), growth: Mutex::new(()) }
    }

    #[inline]
    fn record(&self, index: usize) -> Option<&Record> {
        if index < self.ready.load(Ordering::Relaxed) { self.memory.array(AREA.at(index)) } else { None }
    }

    #[cold]
    fn grow(&self, index: usize) -> Option<&Record> {
        let _one = self.growth.lock();
        match AREA.grow(&self.memory, index) {
            Ok(ready) => self.ready.store(ready, Ordering::Relaxed),
            Err(errno) => log::error!("no room in the journal, a crash would lose requests: {}", errno.desc()),
        }
        self.record(index)
    }

    #[inline]
    fn make(&self, index: usize) -> Option<&Record> {
        self.record(index).or_else(|| self.grow(index))
    }

    /// A request is in flight.
    #[inline]
    pub fn take(&self, index: usize, unique: u64, opcode: u32, nodeid: u64) {
        let Some(record) = self.make(index) else { return };
        record[UNIQUE].store(unique, Ordering::Relaxed);
        record[NODEID].store(nodeid, Ordering::Relaxed);
        record[OPEN_INO].store(0, Ordering::Relaxed);
        record[HEAD].store(TAKEN | u64::from(opcode) << OPCODE_SHIFT, Ordering::Release);
    }

    /// Notes the daemon's cookie in the place of an earlier one. False when it is too long, or there is no record.
    pub fn set_cookie(&self, index: usize, cookie: &[u8]) -> bool {
        let Some(record) = self.record(index).filter(|_| cookie.len() <= COOKIE_BYTES) else { return false };
        let head = record[HEAD].load(Ordering::Relaxed);
        let other = !head & SECOND_COOKIE;
        let unique = record[UNIQUE].load(Ordering::Relaxed);
        let Some([sum, place @ ..]) = cookie_place(record, other) else { return false };
        put_bytes(place, cookie);
        sum.store(checksum(&[unique, cookie.len() as u64], [cookie]), Ordering::Relaxed);
        let length = (cookie.len() as u64) << COOKIE_SHIFT;
        record[HEAD].store(head & !COOKIE_BITS | length | other, Ordering::Release);
        true
    }

    /// Notes that the request counted an open of `ino`; 0: that it no longer does.
    #[inline]
    pub fn set_opened(&self, index: usize, ino: u64, mode: u64) {
        let Some(record) = self.record(index) else { return };
        record[OPEN_MODE].store(mode, Ordering::Relaxed);
        record[OPEN_INO].store(ino, Ordering::Release);
    }

    /// The reply was made and is about to be sent. Whether it was written down.
    #[inline]
    pub fn execute(&self, index: usize, opcode: u32, error: i32, parts: &[IoSlice<'_>]) -> bool {
        is_kept(opcode) && self.write_down(index, opcode, error, parts)
    }

    fn write_down(&self, index: usize, opcode: u32, error: i32, parts: &[IoSlice<'_>]) -> bool {
        let Some(record) = self.record(index) else { return false };
        let mut length = 0;
        for part in parts {
            // All but the last are whole words: the structs of the protocol are.
            let fits = length % WORD == 0 && length + part.len() <= REPLY_BYTES;
            let Some(words) = record.get(BODY + length / WORD..).filter(|_| fits) else { return false };
            put_bytes(words, part);
            length += part.len();
        }
        let reply = length as u64 | u64::from(error as u32) << 32;
        record[REPLY].store(reply, Ordering::Relaxed);
        let sum = checksum(&[record[UNIQUE].load(Ordering::Relaxed), reply], parts.iter().map(|part| &**part));
        record[REPLY_SUM].store(sum, Ordering::Relaxed);
        let head = record[HEAD].load(Ordering::Relaxed) & COOKIE_BITS;
        record[HEAD].store(head | EXECUTED | u64::from(opcode) << OPCODE_SHIFT, Ordering::Release);
        true
    }

    /// The request is over.
    #[inline]
    pub fn free(&self, index: usize) {
        if let Some(record) = self.record(index) {
            record[HEAD].store(FREE, Ordering::Release);
        }
    }
}

/// Of what is written down with a request, its numbers first.
fn checksum<'a>(numbers: &[u64; 2], bytes: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    numbers.iter().for_each(|number| hasher.update(&number.to_ne_bytes()));
    bytes.into_iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// What a record says, if a request is in it. One that is damaged says that the request fails: whether it was executed,
/// and with what outcome, is not known any more.
fn read(record: &Record) -> Option<Entry> {
    let head = record[HEAD].load(Ordering::Acquire);
    if ![TAKEN, EXECUTED].contains(&(head & PHASE)) {
        return None;
    }
    let word = |at: usize| record.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
    let (unique, ino) = (word(UNIQUE), word(OPEN_INO));
    let reply = if head & PHASE == EXECUTED { Some(read_reply(record, unique)) } else { None };
    let (reply, cookie) = match (reply.transpose(), read_cookie(record, head, unique)) {
        (Ok(reply), Ok(cookie)) => (reply, cookie),
        _ => {
            log::error!("saved state: what was noted of request {unique} is damaged: it fails");
            (Some(Recorded { error: -(Errno::EIO as i32), payload: Vec::new() }), Vec::new())
        }
    };
    Some(Entry {
        unique,
        opcode: (head >> OPCODE_SHIFT) as u32,
        nodeid: word(NODEID),
        reply,
        cookie,
        opened: (ino != 0).then_some((ino, word(OPEN_MODE))),
    })
}

/// The words of a cookie's place, its checksum first.
fn cookie_place(record: &Record, which: u64) -> Option<&[AtomicU64]> {
    let [first, second] = COOKIES;
    let start = if which == 0 { first } else { second };
    record.get(start..start + COOKIE_PLACE)
}

/// As many bytes as are said to be there, if they can be.
fn read_bytes(words: &[AtomicU64], length: u64) -> Result<Vec<u8>, Damaged> {
    let length = usize::try_from(length).map_err(|_| Damaged)?;
    if length > words.len() * WORD {
        return Err(Damaged);
    }
    let mut bytes = vec![0; length];
    get_bytes(words, &mut bytes);
    Ok(bytes)
}

/// It is not what was written.
struct Damaged;

fn read_reply(record: &Record, unique: u64) -> Result<Recorded, Damaged> {
    let [reply, sum] = [REPLY, REPLY_SUM].map(|at| record.get(at).map_or(0, |word| word.load(Ordering::Relaxed)));
    let body = record.get(BODY..BODY + REPLY_BYTES / WORD).unwrap_or_default();
    let payload = read_bytes(body, reply & u64::from(u32::MAX))?;
    if checksum(&[unique, reply], [&*payload]) != sum {
        return Err(Damaged);
    }
    Ok(Recorded { error: (reply >> 32) as u32 as i32, payload })
}

fn read_cookie(record: &Record, head: u64, unique: u64) -> Result<Vec<u8>, Damaged> {
    let length = head >> COOKIE_SHIFT & COOKIE_LENGTH;
    let Some([sum, place @ ..]) = cookie_place(record, head & SECOND_COOKIE).filter(|_| length != 0) else {
        return Ok(Vec::new());
    };
    let cookie = read_bytes(place, length)?;
    if checksum(&[unique, length], [&*cookie]) == sum.load(Ordering::Relaxed) { Ok(cookie) } else { Err(Damaged) }
}

/// Records of predecessors, until their requests have been answered.
#[derive(Debug)]
pub struct Inheritance {
    memory: Memory,
    /// Where the record of a unique is.
    places: Mutex<HashMap<u64, usize>>,
}

impl Inheritance {
    /// Takes over what was in flight. Records move from the journal to a place where the serving process does not write, and
    /// are in one of the two, or both, wherever this one dies.
    pub fn take(memory: &Memory) -> Result<Self, Errno> {
        let mut places = HashMap::new();
        let mut free = Vec::new();
        for index in 0..INHERITED_AREA.used(memory) {
            match inherited(memory, index).and_then(read) {
                // One request is in one place: what else says so is not from here, and would be in flight for ever.
                Some(entry) => free.extend(places.insert(entry.unique, index).inspect(|other| release(memory, *other))),
                None => free.push(index),
            }
        }
        for index in 0..AREA.used(memory) {
            let Some(record) = memory.array::<RECORD>(AREA.at(index)) else { continue };
            if let Some(entry) = read(record) {
                let place = match places.get(&entry.unique) {
                    Some(place) => *place,
                    None => free.pop().map_or_else(|| fresh(memory, &mut free), Ok)?,
                };
                keep(memory, record, place);
                places.insert(entry.unique, place);
            }
            record[HEAD].store(FREE, Ordering::Release);
        }
        Ok(Self { memory: memory.clone(), places: Mutex::new(places) })
    }

    /// What is known of one request.
    pub fn find(&self, unique: u64) -> Option<Entry> {
        self.record(unique).and_then(read)
    }

    fn record(&self, unique: u64) -> Option<&Record> {
        let place = self.places.lock().get(&unique).copied()?;
        inherited(&self.memory, place)
    }

    /// Everything that was in flight.
    pub fn entries(&self) -> Vec<Entry> {
        let places = self.places.lock();
        places.values().filter_map(|place| inherited(&self.memory, *place).and_then(read)).collect()
    }

    /// A request is in flight again, in record `index` of `journal`. What was noted of it goes along: it is there as soon as
    /// the record is. False when nothing is known of such a request.
    pub fn pass_on(&self, unique: u64, opcode: u32, journal: &Journal, index: usize) -> bool {
        let (Some(from), Some(to)) = (self.record(unique), journal.make(index)) else { return false };
        let head = from[HEAD].load(Ordering::Relaxed) & !PHASE;
        let known = (head >> OPCODE_SHIFT) as u32 == opcode;
        if known {
            copy(from, to, head | TAKEN);
        }
        known
    }

    /// The reply that was recorded is not going to be sent. What counts from now on is the record of who serves the request.
    pub fn retract(&self, unique: u64) {
        if let Some(record) = self.record(unique) {
            let head = record[HEAD].load(Ordering::Relaxed) & !PHASE;
            record[HEAD].store(head | TAKEN, Ordering::Release);
        }
    }

    /// The request was answered, or never needed to be.
    pub fn settle(&self, unique: u64) {
        let place = self.places.lock().remove(&unique);
        place.iter().for_each(|place| release(&self.memory, *place));
    }
}

/// An inherited record is of no request any more.
fn release(memory: &Memory, place: usize) {
    if let Some(record) = inherited(memory, place) {
        record[HEAD].store(FREE, Ordering::Release);
    }
}

/// What the records look like to who only watches them: the head and the unique of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    own: Vec<[u64; 2]>,
    inherited: Vec<[u64; 2]>,
}

/// Looks at the records that were ever used, and no others: to read where nothing was written takes memory.
pub fn look(memory: &Memory) -> Sight {
    let records = |area: &Area| {
        let all = (0..area.used(memory)).filter_map(|index| memory.array::<RECORD>(area.at(index)));
        all.map(|record| [HEAD, UNIQUE].map(|at| record.get(at).map_or(0, |word| word.load(Ordering::Acquire))))
            .collect()
    };
    Sight { own: records(&AREA), inherited: records(&INHERITED_AREA) }
}

impl Sight {
    /// Whether a request is in flight that should not take long: one for a lock may.
    pub fn waits(&self) -> bool {
        let waits = |[head, _]: &[u64; 2]| {
            [TAKEN, EXECUTED].contains(&(head & PHASE)) && (head >> OPCODE_SHIFT) as u32 != Opcode::Setlkw as u32
        };
        self.own.iter().chain(&self.inherited).any(waits)
    }

    /// Whether another request was taken since. Records keep the unique of the last one that was in them.
    pub fn has_taken_since(&self, earlier: &Self) -> bool {
        let earlier = earlier.own.iter().map(|[_, unique]| *unique).chain(std::iter::repeat(0));
        self.own.iter().zip(earlier).any(|([_, unique], earlier)| *unique != earlier)
    }
}

fn inherited(memory: &Memory, index: usize) -> Option<&Record> {
    memory.array(INHERITED_AREA.at(index))
}

/// A place that was never used; those that came with it are free, too.
fn fresh(memory: &Memory, free: &mut Vec<usize>) -> Result<usize, Errno> {
    let first = INHERITED_AREA.used(memory);
    free.extend((first + 1..INHERITED_AREA.grow(memory, first)?).rev());
    Ok(first)
}

/// Copies a record to where the same request was, or to a free place. What the later process knows counts, unless the
/// earlier one knew the reply.
fn keep(memory: &Memory, from: &Record, place: usize) {
    let Some(place) = inherited(memory, place) else { return };
    let head = from[HEAD].load(Ordering::Relaxed);
    let executed = |head: u64| head & PHASE == EXECUTED;
    if executed(place[HEAD].load(Ordering::Relaxed)) && !executed(head) {
        return;
    }
    copy(from, place, head);
}

/// Copies a record, with another head, which it gets last.
fn copy(from: &Record, to: &Record, head: u64) {
    to[HEAD].store(FREE, Ordering::Release);
    for (to, from) in to.iter().zip(from).skip(UNIQUE) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    to[HEAD].store(head, Ordering::Release);
}

#[cfg(test)]
mod tests;
