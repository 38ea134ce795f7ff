//! Replies to open, opendir and create.

use crate::abi::c::common::{fi, fuse_file_info};
use crate::abi::flags::OpenFlags;
use crate::abi::wire::OpenOut;

/// What an open says of the file, and further flags. `backing_id` is read only where the caller's struct has one.
#[inline]
pub fn open(file: &fuse_file_info, further: u32) -> OpenOut {
    const BITS: [(u32, OpenFlags); 6] = [
        (fi::DIRECT_IO, OpenFlags::DIRECT_IO),
        (fi::KEEP_CACHE, OpenFlags::KEEP_CACHE),
        (fi::CACHE_READDIR, OpenFlags::CACHE_DIR),
        (fi::NONSEEKABLE, OpenFlags::NONSEEKABLE),
        (fi::NOFLUSH, OpenFlags::NOFLUSH),
        (fi::PARALLEL_DIRECT_WRITES, OpenFlags::PARALLEL_DIRECT_WRITES),
    ];
    let mut flags = OpenFlags::from_bits_retain(further);
    for (bit, flag) in BITS {
        if file.bits & bit != 0 {
            flags |= flag;
        }
    }
    let backing_id = file.backing_id.max(0);
    flags.set(OpenFlags::PASSTHROUGH, backing_id > 0);
    OpenOut { fh: file.fh, open_flags: flags.bits(), backing_id }
}
