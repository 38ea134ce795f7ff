//! Where what lies in the shared memory. Offsets and sizes are in words of 8 bytes unless they say otherwise.
//!
//! The memory is as large as all of it could ever get, and takes no more than what was touched. Nobody but the process
//! that holds the memory's lock writes to it.

/// How the memory begins.
pub const MAGIC: u64 = u64::from_le_bytes(*b"fusewire");
/// Of this layout. Memory of another version is not read any further.
pub const VERSION: u64 = 1;

/// Bytes of a word.
pub const WORD: usize = 8;
const KIB: usize = 1024 / WORD;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

/// Words of the header, by what they hold.
#[derive(Clone, Copy, Debug)]
pub enum Header {
    /// [`MAGIC`].
    Magic,
    /// [`VERSION`].
    Version,
    /// Most bytes that a node's name has.
    NodeBytes,
    /// Records of the journal that were ever used.
    Journal,
    /// Records that were ever inherited.
    Inherited,
    /// Entries of the table of opens that were ever used.
    Opens,
    /// Nodes that were ever used.
    Nodes,
}

/// Words of the two copies of what is saved as bytes.
pub const BLOB: usize = 64 * KIB;
/// Where they begin.
pub const BLOBS: [usize; 2] = [4 * KIB, 4 * KIB + BLOB];

/// Where the opens of inodes begin, how many there are, words of one.
pub const OPENS: usize = MIB;
/// See [`OPENS`].
pub const MAX_OPENS: usize = 1 << 20;
/// See [`OPENS`].
pub const OPEN: usize = 4;

/// Records of requests in flight: as many as a process can have, words of one.
pub const MAX_RECORDS: usize = 1 << 20;
/// See [`MAX_RECORDS`].
pub const RECORD: usize = 40;
/// Where the records begin that the predecessors of the serving process left.
pub const INHERITED: usize = 64 * MIB;
/// Where those of the serving process begin.
pub const JOURNAL: usize = 512 * MIB;

/// Where the nodes begin.
pub const NODES: usize = GIB;
/// How many there are at most.
pub const MAX_NODES: usize = 1 << 24;
/// Words of a node before its name.
pub const NODE_HEAD: usize = 6;
/// Most bytes that a node's name may have.
pub const MAX_NODE_BYTES: usize = 4096;

/// Words of one of a node's two names, of so many bytes at most.
pub const fn name_words(node_bytes: usize) -> usize {
    node_bytes.div_ceil(WORD)
}

/// Words of a node.
pub const fn node_words(node_bytes: usize) -> usize {
    NODE_HEAD + 2 * name_words(node_bytes)
}

/// Bytes of the memory.
pub const fn size(node_bytes: usize) -> usize {
    let nodes = if node_bytes == 0 { 0 } else { MAX_NODES * node_words(node_bytes) };
    // Whole pages, whatever their size.
    ((NODES + nodes) * WORD).next_multiple_of(1 << 16)
}

const _: () = {
    assert!(BLOBS[1] + BLOB <= OPENS);
    assert!(OPENS + MAX_OPENS * OPEN <= INHERITED);
    assert!(INHERITED + MAX_RECORDS * RECORD <= JOURNAL);
    assert!(JOURNAL + MAX_RECORDS * RECORD <= NODES);
};
