//! The opens of each inode.
//!
//! What the kernel insists on, or fails the open with EIO: while an inode has a passthrough open, each further open of
//! it names the same backing id; while it has one through the page cache, none may be passthrough.
//!
//! An open is counted before its reply is sent, and until its RELEASE has been served, which the kernel sends after it
//! is done with the file. So this table never counts fewer opens than the kernel, and what it lets an open be, the
//! kernel does too.

use crate::recovery::opens::{Open, Opens};
use nix::errno::Errno;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Inodes of different shards never wait for each other. A power of two.
const SHARDS: usize = 64;

/// How an open reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Through the page cache.
    Cached,
    /// Past the page cache, by the daemon.
    Direct,
    /// By the backing file of this id.
    Passthrough(i32),
}

/// What the journal says of the open that a request in flight counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It counted this one.
    Opened(Mode),
    /// It counted one less.
    Released,
}

impl Kept {
    /// As the journal has it.
    pub fn word(self) -> u64 {
        match self {
            Self::Opened(Mode::Cached) => 1,
            Self::Opened(Mode::Direct) => 2,
            Self::Released => 3,
            Self::Opened(Mode::Passthrough(id)) => 1 << 32 | u64::from(id as u32),
        }
    }

    /// The same back.
    pub fn from_word(word: u64) -> Option<Self> {
        match word {
            1 => Some(Self::Opened(Mode::Cached)),
            2 => Some(Self::Opened(Mode::Direct)),
            3 => Some(Self::Released),
            _ if word >> 32 == 1 => Some(Self::Opened(Mode::Passthrough(word as u32 as i32))),
            _ => None,
        }
    }
}

/// A file that the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backing {
    /// The kernel's number for it, greater than 0.
    id: i32,
    /// It was registered for this table, which says when it is no longer needed; else by the daemon.
    ours: bool,
}

/// The opens of one inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Inode {
    /// Number of opens through the page cache.
    cached: u32,
    /// Number of direct opens that are not passthrough.
    direct: u32,
    /// Number of passthrough opens.
    passthrough: u32,
    /// Their file; there is one as long as they are more than none.
    backing: Option<Backing>,
    /// Where it is kept for a successor.
    place: Option<usize>,
}

impl Inode {
    fn is_idle(&self) -> bool {
        self.cached == 0 && self.direct == 0 && self.passthrough == 0
    }

    fn count(&mut self, mode: Mode) -> &mut u32 {
        match mode {
            Mode::Cached => &mut self.cached,
            Mode::Direct => &mut self.direct,
            Mode::Passthrough(_) => &mut self.passthrough,
        }
    }

    /// A release does not say how its file was opened. A direct open forbids nothing, so it counts as closed first: an
    /// id that is kept too long does no harm, one that is closed too early does.
    fn mode_to_close(&self) -> Mode {
        match self {
            Self { direct: 1.., .. } => Mode::Direct,
            Self { cached: 1.., .. } => Mode::Cached,
            Self { backing, .. } => Mode::Passthrough(backing.map_or(0, |backing| backing.id)),
        }
    }

    /// One open less. The id that nothing needs any more, if it is the last one's.
    fn leave(&mut self, mode: Mode) -> Option<i32> {
        let count = self.count(mode);
        *count = count.saturating_sub(1);
        if self.passthrough > 0 {
            return None;
        }
        self.backing.take().filter(|backing| backing.ours).map(|backing| backing.id)
    }
}

impl From<Inode> for Open {
    fn from(inode: Inode) -> Self {
        let Inode { cached, direct, passthrough, backing, .. } = inode;
        let Backing { id, ours } = backing.unwrap_or(Backing { id: 0, ours: false });
        Self { cached, direct, passthrough, backing: id, ours }
    }
}

#[derive(Default)]
#[repr(align(64))] // a lock that one processor takes leaves those of the others in their caches
struct Shard(Mutex<HashMap<u64, Inode>>);

/// The open inodes of a session.
pub struct Table {
    shards: Box<[Shard]>,
    /// A direct open may be mapped shared, which the daemon is not told of and which makes it a cached one.
    direct_may_cache: bool,
    /// Where a successor finds it, since the kernel's ids outlive the process.
    kept: Option<Opens>,
}

impl Table {
    /// A table in which nothing is open. With `direct_may_cache`, direct opens count as cached: FUSE_CAP_DIRECT_IO_ALLOW_MMAP
    /// is in force.
    pub fn new(direct_may_cache: bool) -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), direct_may_cache, kept: None }
    }

    /// The same, kept for a successor, with what `found` says was open in a predecessor's time. Returns the ids that it
    /// registered and nothing needs, too.
    pub fn kept(direct_may_cache: bool, kept: Opens, found: Vec<(usize, u64, Open)>) -> (Self, Vec<i32>) {
        let mut unneeded = Vec::new();
        let table = Self { kept: Some(kept), ..Self::new(direct_may_cache) };
        for (place, ino, Open { cached, direct, passthrough, backing: id, ours }) in found {
            let backing = (id > 0).then_some(Backing { id, ours });
            let mut inode = Inode { cached, direct, passthrough, backing, place: Some(place) };
            if passthrough == 0 && backing.is_some() {
                // It died between registering the file and counting the open, or the other way round.
                unneeded.extend(inode.backing.take().filter(|backing| backing.ours).map(|backing| backing.id));
            }
            table.shard(ino).lock().insert(ino, inode);
            table.keep(ino, &mut inode);
            if inode.is_idle() {
                table.shard(ino).lock().remove(&ino);
            }
        }
        (table, unneeded)
    }

    /// Writes an inode down for a successor. Under its shard's lock.
    fn keep(&self, ino: u64, inode: &mut Inode) {
        let Some(kept) = &self.kept else { return };
        match inode.place {
            Some(place) if inode.is_idle() => kept.clear(place),
            Some(place) => kept.write(place, ino, &(*inode).into()),
            None => {
                inode.place = kept.place();
                if let Some(place) = inode.place {
                    kept.write(place, ino, &(*inode).into());
                }
            }
        }
    }

    fn shard(&self, ino: u64) -> &Mutex<HashMap<u64, Inode>> {
        // Nodeids may be addresses, whose low bits are all alike.
        let at = ino.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SHARDS.ilog2());
        // There are SHARDS of them, and `at` is less: the modulo is for the compiler.
        &self.shards[at as usize % SHARDS].0
    }

    /// Counts a passthrough open of an inode and returns its id, which `register` makes if it is the first: under the
    /// shard's lock, so that two first opens make one id. EBUSY while the inode has a cached open.
    pub fn attach(&self, ino: u64, register: impl FnOnce() -> Result<i32, Errno>) -> Result<i32, Errno> {
        let mut inodes = self.shard(ino).lock();
        let mut inode = inodes.get(&ino).copied().unwrap_or_default();
        let backing = match inode.backing {
            Some(backing) => backing,
            None if inode.cached > 0 => return Err(Errno::EBUSY),
            None => Backing { id: register()?, ours: true },
        };
        inode.passthrough = inode.passthrough.checked_add(1).ok_or(Errno::EMFILE)?;
        inode.backing = Some(backing);
        self.keep(ino, &mut inode);
        inodes.insert(ino, inode);
        Ok(backing.id)
    }

    /// Counts an open that was not attached, and returns how it has to be: as `wanted`, or passthrough where the inode
    /// has such an open already.
    pub fn open(&self, ino: u64, wanted: Mode) -> Mode {
        let mut inodes = self.shard(ino).lock();
        let inode = inodes.entry(ino).or_default();
        let mode = match (inode.backing, wanted) {
            (Some(backing), _) => Mode::Passthrough(backing.id),
            (None, Mode::Direct) if self.direct_may_cache => Mode::Cached,
            (None, wanted) => wanted,
        };
        if let (None, Mode::Passthrough(id)) = (inode.backing, mode) {
            inode.backing = Some(Backing { id, ours: false });
        }
        let count = inode.count(mode);
        *count = count.saturating_add(1);
        self.keep(ino, inode);
        mode
    }

    /// The id of an inode's passthrough opens, if it has any.
    pub fn id(&self, ino: u64) -> Option<i32> {
        self.shard(ino).lock().get(&ino)?.backing.map(|backing| backing.id)
    }

    /// Takes back an open that came to nothing. The id to close, if nothing needs it any more.
    pub fn abandon(&self, ino: u64, mode: Mode) -> Option<i32> {
        self.leave(ino, |_| mode)
    }

    /// A file was released. The id to close, if nothing needs it any more.
    pub fn close(&self, ino: u64) -> Option<i32> {
        self.leave(ino, Inode::mode_to_close)
    }

    fn leave(&self, ino: u64, mode: impl FnOnce(&Inode) -> Mode) -> Option<i32> {
        let mut inodes = self.shard(ino).lock();
        // None: it was opened before there was a table.
        let inode = inodes.get_mut(&ino)?;
        let unneeded = inode.leave(mode(inode));
        self.keep(ino, inode);
        if inode.is_idle() {
            inodes.remove(&ino);
        }
        unneeded
    }
}

#[cfg(test)]
mod tests;
