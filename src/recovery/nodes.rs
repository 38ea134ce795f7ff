//! Inodes that the kernel knows, under nodeids that a successor of the process knows, too.
//!
//! A node is named by bytes of the daemon's: the same bytes are the same node. Its nodeid is its place in the table with
//! the place's generation above it, so that no nodeid is ever used again. It lives while the kernel has looked it up, or
//! the daemon holds it.
//!
//! What a successor needs lies in the shared memory: name, generation, number of lookups. What finds a name's node, and
//! who holds it, is the process' own. A name is written whole before it counts, so it is whole wherever the process dies.
//!
//! Names are read without a lock: the state, which says which of a node's two names counts, changes with each of them, and
//! whoever finds it unchanged after a look at the name has not seen half of another. While the lock of a name's shard is
//! held, the node that has the name keeps it.

use super::layout::{Header, MAX_NODES, NODE_HEAD, NODES, name_words, node_words};
use super::memory::{Area, Memory, get_bytes, put_bytes};
use nix::errno::Errno;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The root's place, and its nodeid.
const ROOT: usize = 1;
/// Names of different shards never wait for each other. A power of two.
const SHARDS: usize = 64;

// Words of a node.
const STATE: usize = 0;
const LOOKUPS: usize = 1;
const HOLDS: usize = 2;
const NEXT: usize = 3;
/// Length and checksum of each of the two names, of which one counts.
const NAMES: usize = 4;

// The state: the generation in the upper half.
const LIVE: u64 = 1;
/// The second name counts.
const SECOND: u64 = 2;
/// One of the names that the node was given. They are counted, so that the state is another with each: earlier versions
/// leave the bits as they are.
const RENAME: u64 = 4;
const GENERATION_SHIFT: u32 = 32;
const RENAMES: u64 = (1 << GENERATION_SHIFT) - RENAME;

/// Hash of a name -> the first node of those whose names have that hash.
type ByHash = HashMap<u64, usize, BuildHasherDefault<Hashed>>;

/// Nodes by their names, a part of them.
#[derive(Debug, Default)]
#[repr(align(128))] // a lock that one processor takes leaves those of the others in their caches
struct Shard(Mutex<ByHash>);

/// The hash of what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The table.
#[derive(Debug)]
pub struct Nodes {
    memory: Memory,
    area: Area,
    node_bytes: usize,
    hasher: RandomState,
    shards: Box<[Shard]>,
    free: Mutex<Vec<usize>>,
}

/// A node's name, checked against its checksum.
fn checksum(index: usize, name: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&index.to_ne_bytes());
    hasher.update(name);
    hasher.finalize()
}

/// One node's words.
#[derive(Clone, Copy)]
struct Node<'a> {
    index: usize,
    head: &'a [AtomicU64; NODE_HEAD],
    names: &'a [AtomicU64],
}

impl Node<'_> {
    #[inline]
    fn state(&self) -> u64 {
        self.head[STATE].load(Ordering::Acquire)
    }

    /// The nodeid in such a state.
    fn nodeid(&self, state: u64) -> u64 {
        self.index as u64 | (state >> GENERATION_SHIFT) << GENERATION_SHIFT
    }

    /// Whether it is the live node of that nodeid in such a state.
    fn is(&self, nodeid: u64, state: u64) -> bool {
        state & LIVE != 0 && self.nodeid(state) == nodeid
    }

    fn place(&self, which: usize) -> &[AtomicU64] {
        let (first, second) = self.names.split_at(self.names.len() / 2);
        if which == 0 { first } else { second }
    }

    /// The name of the live node of that nodeid, and the state in which that is its name. ESTALE when there is no such node,
    /// EBADMSG when the name is not what was written.
    fn name(&self, nodeid: u64) -> Result<(Vec<u8>, u64), Errno> {
        loop {
            let state = self.state();
            if !self.is(nodeid, state) {
                return Err(Errno::ESTALE);
            }
            let name = self.read(which(state));
            // If some of it was of a later name, the state is a later one, too.
            fence(Ordering::Acquire);
            if self.head[STATE].load(Ordering::Relaxed) == state {
                return Ok((name?, state));
            }
        }
    }

    /// One of the names. EBADMSG when it is not what was written, or is being written.
    fn read(&self, which: usize) -> Result<Vec<u8>, Errno> {
        let word = self.head.get(NAMES + which).map_or(0, |word| word.load(Ordering::Relaxed));
        let length = (word >> 32) as usize;
        let place = self.place(which);
        if length > place.len() * 8 {
            return Err(Errno::EBADMSG);
        }
        let mut name = vec![0; length];
        get_bytes(place, &mut name);
        if checksum(self.index, &name) == word as u32 { Ok(name) } else { Err(Errno::EBADMSG) }
    }

    /// Whether that is the name that counts. For who holds the lock of the name's shard, in which the node is.
    fn is_named(&self, name: &[u8]) -> bool {
        let which = which(self.state());
        let word = self.head.get(NAMES + which).map_or(0, |word| word.load(Ordering::Relaxed));
        let same = |(word, chunk): (&AtomicU64, &[u8])| {
            word.load(Ordering::Relaxed).to_ne_bytes().get(..chunk.len()) == Some(chunk)
        };
        (word >> 32) as usize == name.len() && self.place(which).iter().zip(name.chunks(8)).all(same)
    }

    /// Writes the name that does not count yet.
    fn write(&self, which: usize, name: &[u8]) {
        // Whoever reads some of it sees after that, too, that the name which was here no longer counts.
        fence(Ordering::Release);
        put_bytes(self.place(which), name);
        let word = (name.len() as u64) << 32 | u64::from(checksum(self.index, name));
        if let Some(place) = self.head.get(NAMES + which) {
            place.store(word, Ordering::Relaxed);
        }
    }

    fn is_unused(&self) -> bool {
        let [lookups, holds] = [LOOKUPS, HOLDS].map(|at| self.head.get(at).map_or(0, |w| w.load(Ordering::SeqCst)));
        lookups == 0 && holds == 0 && self.index != ROOT
    }
}

impl Nodes {
    /// The table in new memory: there is the root, whose name is empty until it is told.
    pub fn create(memory: Memory) -> Result<Self, Errno> {
        let nodes = Self::new(memory);
        nodes.area.grow(&nodes.memory, ROOT)?;
        let root = nodes.node(ROOT).ok_or(Errno::EINVAL)?;
        root.write(0, &[]);
        root.head[STATE].store(LIVE, Ordering::Release);
        nodes.free.lock().extend((ROOT + 1..nodes.area.used(&nodes.memory)).rev());
        Ok(nodes)
    }

    /// The table that a predecessor left. Nodes that it held and the kernel never heard of are gone. EBADMSG, after a log
    /// line, when a node is not as it was written.
    pub fn restore(memory: Memory) -> Result<Self, Errno> {
        let nodes = Self::new(memory);
        if nodes.find(ROOT as u64).is_none() {
            log::error!("saved state: there is no root");
            return Err(Errno::EBADMSG);
        }
        let mut free = Vec::new();
        // The lowest place comes to be used first.
        for index in (ROOT..nodes.area.used(&nodes.memory)).rev() {
            let Some(node) = nodes.node(index) else { continue };
            node.head[HOLDS].store(0, Ordering::Relaxed);
            if node.state() & LIVE == 0 {
                free.push(index);
            } else if node.is_unused() {
                retire(&node);
                free.push(index);
            } else {
                let name = node.name(node.nodeid(node.state()));
                let (name, _) = name.inspect_err(|_| log::error!("saved state: node {index} is damaged"))?;
                let hash = nodes.hash(&name);
                nodes.link(&mut nodes.shard(hash), hash, &node)?;
            }
        }
        *nodes.free.lock() = free;
        Ok(nodes)
    }

    fn new(memory: Memory) -> Self {
        let node_bytes = usize::try_from(memory.get(Header::NodeBytes)).unwrap_or(0);
        let area = Area { used: Header::Nodes, start: NODES, element: node_words(node_bytes), max: MAX_NODES };
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { memory, area, node_bytes, hasher: RandomState::new(), shards, free: Mutex::default() }
    }

    fn node(&self, index: usize) -> Option<Node<'_>> {
        let start = self.area.at(index);
        let head = self.memory.array(start)?;
        let names = self.memory.words(start + NODE_HEAD, 2 * name_words(self.node_bytes))?;
        Some(Node { index, head, names })
    }

    /// The live node of a nodeid.
    fn find(&self, nodeid: u64) -> Option<Node<'_>> {
        let index = nodeid as u32 as usize;
        let possible = index >= ROOT && index < self.area.used(&self.memory);
        let node = self.node(index).filter(|_| possible)?;
        node.is(nodeid, node.state()).then_some(node)
    }

    fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, ByHash> {
        // There are SHARDS of them: the modulo is for the compiler.
        self.shards[(hash >> 32) as usize % SHARDS].0.lock()
    }

    /// Makes a node findable by its name.
    fn link(&self, shard: &mut ByHash, hash: u64, node: &Node<'_>) -> Result<(), Errno> {
        shard.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let first = shard.insert(hash, node.index).unwrap_or(0);
        node.head[NEXT].store(first as u64, Ordering::Relaxed);
        Ok(())
    }

    fn unlink(&self, shard: &mut ByHash, hash: u64, node: &Node<'_>) {
        let next = node.head[NEXT].load(Ordering::Relaxed);
        let mut at = shard.get(&hash).copied().unwrap_or(0);
        if at == node.index {
            match next {
                0 => _ = shard.remove(&hash),
                next => _ = shard.insert(hash, next as usize),
            }
            return;
        }
        while let Some(before) = self.node(at).filter(|_| at != 0) {
            at = before.head[NEXT].load(Ordering::Relaxed) as usize;
            if at == node.index {
                before.head[NEXT].store(next, Ordering::Relaxed);
                return;
            }
        }
    }

    /// The node of a name among those of its hash.
    fn named(&self, shard: &ByHash, hash: u64, name: &[u8]) -> Option<Node<'_>> {
        let mut at = shard.get(&hash).copied().unwrap_or(0);
        while let Some(node) = self.node(at).filter(|_| at != 0) {
            if node.is_named(name) {
                return Some(node);
            }
            at = node.head[NEXT].load(Ordering::Relaxed) as usize;
        }
        None
    }

    /// The generation that a nodeid contains.
    pub fn generation(nodeid: u64) -> u64 {
        nodeid >> GENERATION_SHIFT
    }

    /// The node with this name, made if there is none, and held. EMSGSIZE for a name that is too long, ENOSPC when the
    /// table is full, ENOMEM when there is no memory.
    pub fn get(&self, name: &[u8]) -> Result<u64, Errno> {
        if name.len() > self.node_bytes {
            return Err(Errno::EMSGSIZE);
        }
        let hash = self.hash(name);
        let mut shard = self.shard(hash);
        let node = match self.named(&shard, hash, name) {
            Some(node) => node,
            None => {
                let index = self.take_free()?;
                let node = self.node(index).ok_or(Errno::ENOSPC)?;
                if let Err(errno) = self.link(&mut shard, hash, &node) {
                    self.free.lock().push(index);
                    return Err(errno);
                }
                node.write(0, name);
                node.head[LOOKUPS].store(0, Ordering::Relaxed);
                node.head[HOLDS].store(0, Ordering::Relaxed);
                let generation = node.state() >> GENERATION_SHIFT << GENERATION_SHIFT;
                node.head[STATE].store(generation | LIVE, Ordering::Release);
                node
            }
        };
        node.head[HOLDS].fetch_add(1, Ordering::SeqCst);
        Ok(node.nodeid(node.state()))
    }

    fn take_free(&self) -> Result<usize, Errno> {
        let mut free = self.free.lock();
        if let Some(index) = free.pop() {
            return Ok(index);
        }
        let first = self.area.used(&self.memory);
        let used = self.area.grow(&self.memory, first)?;
        free.extend((first + 1..used).rev());
        Ok(first)
    }

    /// Gives a hold back. True: that was the end of the node. ESTALE when there is no such node, EINVAL when it is not held.
    pub fn put(&self, nodeid: u64) -> Result<bool, Errno> {
        let node = self.find(nodeid).ok_or(Errno::ESTALE)?;
        lower(&node.head[HOLDS], 1).map_err(|_| Errno::EINVAL)?;
        Ok(node.is_unused() && self.end(&node, nodeid))
    }

    /// The kernel is about to be told of the node. ESTALE when there is no such node.
    pub fn look_up(&self, nodeid: u64) -> Result<(), Errno> {
        let node = self.find(nodeid).ok_or(Errno::ESTALE)?;
        node.head[LOOKUPS].fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// The kernel takes back so many lookups, or was not told after all. True: that was the end of the node.
    pub fn forget(&self, nodeid: u64, count: u64) -> Result<bool, Errno> {
        let node = self.find(nodeid).ok_or(Errno::ESTALE)?;
        if node.index == ROOT {
            return Ok(false);
        }
        if let Err(left) = lower(&node.head[LOOKUPS], count) {
            log::warn!("{count} lookups of nodeid {nodeid} are forgotten, of {left}");
        }
        Ok(node.is_unused() && self.end(&node, nodeid))
    }

    /// Ends a node that nobody needs, unless somebody came to need it meanwhile, or another ended it.
    fn end(&self, node: &Node<'_>, nodeid: u64) -> bool {
        while let Ok((name, state)) = node.name(nodeid) {
            let hash = self.hash(&name);
            let mut shard = self.shard(hash);
            if node.state() != state {
                continue;
            }
            if !node.is_unused() {
                return false;
            }
            self.unlink(&mut shard, hash, node);
            retire(node);
            drop(shard);
            self.free.lock().push(node.index);
            return true;
        }
        false
    }

    /// Copies the node's name. ESTALE when there is no such node.
    pub fn name(&self, nodeid: u64) -> Result<Vec<u8>, Errno> {
        let (name, _) = self.find(nodeid).ok_or(Errno::ESTALE)?.name(nodeid)?;
        Ok(name)
    }

    /// Gives the node another name. EEXIST when another node has it.
    pub fn rename(&self, nodeid: u64, name: &[u8]) -> Result<(), Errno> {
        if name.len() > self.node_bytes {
            return Err(Errno::EMSGSIZE);
        }
        let node = self.find(nodeid).ok_or(Errno::ESTALE)?;
        let to = self.hash(name);
        loop {
            let (old, state) = node.name(nodeid)?;
            let from = self.hash(&old);
            let (mut first, mut second) = self.both_shards(from, to);
            if node.state() != state {
                continue;
            }
            let target = second.as_deref().unwrap_or(&first);
            match self.named(target, to, name) {
                Some(other) if other.index == node.index => return Ok(()),
                Some(_) => return Err(Errno::EEXIST),
                None => {}
            }
            // Before anything is undone.
            second.as_deref_mut().unwrap_or(&mut first).try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let renamed = renamed(state);
            node.write(which(renamed), name);
            self.unlink(&mut first, from, &node);
            self.link(second.as_deref_mut().unwrap_or(&mut first), to, &node)?;
            node.head[STATE].store(renamed, Ordering::Release);
            return Ok(());
        }
    }

    /// The shards of two hashes; the second is none where they are the same one.
    fn both_shards(&self, from: u64, to: u64) -> (MutexGuard<'_, ByHash>, Option<MutexGuard<'_, ByHash>>) {
        let at = |hash: u64| (hash >> 32) as usize % SHARDS;
        // Always in the same order, so that two renames never wait for each other.
        match at(from).cmp(&at(to)) {
            std::cmp::Ordering::Less => {
                let first = self.shard(from);
                (first, Some(self.shard(to)))
            }
            std::cmp::Ordering::Equal => (self.shard(from), None),
            std::cmp::Ordering::Greater => {
                let second = self.shard(to);
                (self.shard(from), Some(second))
            }
        }
    }

    /// How often the kernel has looked the node up. ESTALE when there is no such node.
    pub fn lookups(&self, nodeid: u64) -> Result<u64, Errno> {
        self.find(nodeid).map(|node| node.head[LOOKUPS].load(Ordering::SeqCst)).ok_or(Errno::ESTALE)
    }
}

/// Which of the two names counts in such a state.
fn which(state: u64) -> usize {
    usize::from(state & SECOND != 0)
}

/// The state after the one in which the other name counted.
fn renamed(state: u64) -> u64 {
    let renames = state.wrapping_add(RENAME) & RENAMES;
    (state ^ SECOND) & !RENAMES | renames
}

/// Frees a node's place; its next one has another nodeid.
fn retire(node: &Node<'_>) {
    let generation = (node.state() >> GENERATION_SHIFT).wrapping_add(1);
    node.head[STATE].store(generation << GENERATION_SHIFT, Ordering::Release);
}

/// Lowers a count, down to none. An error, with what there was, when that is less than asked for.
fn lower(count: &AtomicU64, by: u64) -> Result<(), u64> {
    let before = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_sub(by)));
    match before.unwrap_or_else(|now| now) {
        enough if enough >= by => Ok(()),
        less => Err(less),
    }
}

#[cfg(test)]
mod tests;
