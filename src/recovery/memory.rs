//! The shared memory as a whole: made, taken over, and read by words.

use super::layout::{self, Header, MAGIC, MAX_NODE_BYTES, VERSION, WORD};
use crate::transport::Shared;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The memory, for every table that lies in it.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

impl Memory {
    /// New memory, with room for nodes whose names have so many bytes at most.
    pub fn create(node_bytes: usize) -> Result<Self, Errno> {
        let shared = Shared::create(c"fusewire-state", layout::size(node_bytes))?;
        shared.reserve(0, (layout::BLOBS[1] + layout::BLOB) * WORD)?;
        let memory = Self(Arc::new(shared));
        memory.set(Header::NodeBytes, node_bytes as u64);
        memory.set(Header::Version, VERSION);
        memory.set(Header::Magic, MAGIC);
        Ok(memory)
    }

    /// The memory that a predecessor left; an error is logged with what is wrong.
    pub fn open(fd: OwnedFd, node_bytes: usize) -> Result<Self, Errno> {
        let wrong = |why: &str, errno: Errno| {
            log::error!("saved state: {why}");
            Err(errno)
        };
        let size = layout::size(node_bytes);
        let shared = match Shared::open(fd, size) {
            Ok(shared) => shared,
            Err(Errno::EMSGSIZE) => {
                return wrong("it has another size: truncated, or made for other nodes", Errno::EPROTO);
            }
            Err(errno) => return wrong("the file descriptor is not that of a session's state", errno),
        };
        let memory = Self(Arc::new(shared));
        if memory.get(Header::Magic) != MAGIC {
            return wrong("it is not that of a session, or was never completed", Errno::EBADMSG);
        }
        let version = memory.get(Header::Version);
        if version != VERSION {
            return wrong(&format!("its version is {version}, this library knows {VERSION}"), Errno::EPROTO);
        }
        if memory.get(Header::NodeBytes) != node_bytes as u64 {
            return wrong("it was made for nodes of another size", Errno::EPROTO);
        }
        if memory.counted(node_bytes) > memory.0.allocated()? {
            return wrong("it counts more than is in it", Errno::EBADMSG);
        }
        Ok(memory)
    }

    /// Bytes of all elements that the header counts. Each was given its memory before it was counted: to read others would
    /// make the memory as large as all of it could ever get.
    fn counted(&self, node_bytes: usize) -> u64 {
        use Header::{Inherited, Journal, Nodes, Opens};
        let (record, open, node) = (layout::RECORD, layout::OPEN, layout::node_words(node_bytes));
        [(Journal, record), (Inherited, record), (Opens, open), (Nodes, node)]
            .map(|(used, words)| self.get(used).saturating_mul((words * WORD) as u64))
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// The memory of whatever session, for who only looks at it. EPROTO when it is none that this version knows.
    pub fn inspect(fd: OwnedFd) -> Result<Self, Errno> {
        let size = usize::try_from(fstat(&fd)?.st_size).map_err(|_| Errno::EFBIG)?;
        let memory = Self(Arc::new(Shared::open(fd, size)?));
        let node_bytes = usize::try_from(memory.get(Header::NodeBytes)).ok().filter(|bytes| node_bytes_fit(*bytes));
        let known = memory.get(Header::Magic) == MAGIC && memory.get(Header::Version) == VERSION;
        let allocated = memory.0.allocated()?;
        let fits = |bytes: usize| layout::size(bytes) == size && memory.counted(bytes) <= allocated;
        if known && node_bytes.is_some_and(fits) { Ok(memory) } else { Err(Errno::EPROTO) }
    }

    /// Makes this process the only one that serves from the memory, for as long as what is returned is open.
    pub fn lock(&self) -> Result<OwnedFd, Errno> {
        self.0.lock().inspect_err(|errno| match errno {
            Errno::EBUSY => log::error!("saved state: another process serves from it"),
            errno => log::error!("saved state: it cannot be locked: {}", errno.desc()),
        })
    }

    /// The fd by which a successor finds it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// A word of the header.
    #[inline]
    pub fn get(&self, which: Header) -> u64 {
        self.0.words().get(which as usize).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn set(&self, which: Header, value: u64) {
        if let Some(word) = self.0.words().get(which as usize) {
            word.store(value, Ordering::Release);
        }
    }

    /// `N` words from `start` on.
    #[inline]
    pub fn array<const N: usize>(&self, start: usize) -> Option<&[AtomicU64; N]> {
        self.0.words().get(start..)?.first_chunk()
    }

    /// So many words from `start` on.
    #[inline]
    pub fn words(&self, start: usize, length: usize) -> Option<&[AtomicU64]> {
        self.0.words().get(start..start.checked_add(length)?)
    }
}

/// Whether a name may have so many bytes at most.
pub fn node_bytes_fit(node_bytes: usize) -> bool {
    node_bytes <= MAX_NODE_BYTES
}

/// One of the arrays in the memory. It grows by pages.
#[derive(Debug)]
pub struct Area {
    /// The header's word that counts what was ever used.
    pub used: Header,
    /// Where it begins, in words.
    pub start: usize,
    /// Words of an element.
    pub element: usize,
    /// Elements at most.
    pub max: usize,
}

/// Elements by which an area grows: a page of records, and more of what is smaller.
const STEP: usize = 64;

impl Area {
    /// Elements that were ever used, so that no others need to be looked at; no more than there can be, whatever the
    /// memory says.
    pub fn used(&self, memory: &Memory) -> usize {
        usize::try_from(memory.get(self.used)).unwrap_or(usize::MAX).min(self.max)
    }

    /// Where element `index` begins.
    #[inline]
    pub fn at(&self, index: usize) -> usize {
        self.start + index.min(self.max) * self.element
    }

    /// Has room for element `index`, and counts it as used with all before it. Returns how many are so now. To be called
    /// by one thread at a time.
    #[cold]
    pub fn grow(&self, memory: &Memory, index: usize) -> Result<usize, Errno> {
        let used = self.used(memory);
        let needed = (index + 1).next_multiple_of(STEP).min(self.max);
        if index >= self.max {
            return Err(Errno::ENOSPC);
        }
        if needed > used {
            let more = (needed - used) * self.element * WORD;
            memory.0.reserve(self.at(used) * WORD, more)?;
            // It is zero, unless something strayed there; that must not come to life.
            memory
                .words(self.at(used), more / WORD)
                .into_iter()
                .flatten()
                .for_each(|word| word.store(0, Ordering::Relaxed));
            memory.set(self.used, needed as u64);
        }
        Ok(needed.max(used))
    }
}

/// Copies bytes into words; what is left of the last one becomes zero.
pub fn put_bytes(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    let mut words = words.iter();
    for (value, word) in whole.iter().zip(words.by_ref()) {
        word.store(u64::from_ne_bytes(*value), Ordering::Relaxed);
    }
    if let (Some(word), [_, ..]) = (words.next(), rest) {
        let mut value = [0; WORD];
        value.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
    }
}

/// Copies so many bytes out of words as `into` has.
pub fn get_bytes(words: &[AtomicU64], into: &mut [u8]) {
    for (word, chunk) in words.iter().zip(into.chunks_mut(WORD)) {
        let value = word.load(Ordering::Relaxed).to_ne_bytes();
        if let Some(from) = value.get(..chunk.len()) {
            chunk.copy_from_slice(from);
        }
    }
}
