//! Records of a directory buffer: a head, the name, and zeros up to the next multiple of 8.

use super::attributes::entry;
use crate::abi::c::lowlevel::fuse_entry_param;
use crate::abi::wire::{Dirent, EntryOut, NAME_OFFSET, NAME_OFFSET_DIRENTPLUS};
use zerocopy::IntoBytes;

/// Bytes that a readdir record of a name of `name` bytes takes.
#[inline]
pub fn dirent_size(name: usize) -> usize {
    padded(NAME_OFFSET.saturating_add(name))
}

/// Bytes that a readdirplus record of a name of `name` bytes takes.
#[inline]
pub fn direntplus_size(name: usize) -> usize {
    padded(NAME_OFFSET_DIRENTPLUS.saturating_add(name))
}

#[inline]
fn padded(size: usize) -> usize {
    size.saturating_add(7) & !7
}

/// Writes a readdir record; false when it does not fit, and then nothing is written.
#[inline]
pub fn put_dirent(buf: &mut [u8], name: &[u8], st: &libc::stat, off: i64) -> bool {
    let Some(record) = buf.get_mut(..dirent_size(name.len())) else { return false };
    put(record, &[dirent(name, st, off).as_bytes(), name]);
    true
}

/// Writes a readdirplus record; false when it does not fit, and then nothing is written.
#[inline]
pub fn put_direntplus(buf: &mut [u8], name: &[u8], e: &fuse_entry_param, off: i64, flags: u32) -> bool {
    let Some(record) = buf.get_mut(..direntplus_size(name.len())) else { return false };
    let head: EntryOut = entry(e, flags);
    put(record, &[head.as_bytes(), dirent(name, &e.attr, off).as_bytes(), name]);
    true
}

#[inline]
fn dirent(name: &[u8], st: &libc::stat, off: i64) -> Dirent {
    let typ = (st.st_mode & libc::S_IFMT) >> 12;
    Dirent { ino: st.st_ino, off: off as u64, namelen: name.len() as u32, typ }
}

/// Fills `record` with `parts` and zeros behind them; `record` is at least as long as they are together.
#[inline]
fn put(record: &mut [u8], parts: &[&[u8]]) {
    let mut rest = record;
    for part in parts {
        let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else { return };
        place.copy_from_slice(part);
        rest = behind;
    }
    rest.fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_multiples_of_eight() {
        assert_eq!((dirent_size(0), dirent_size(1), dirent_size(8)), (24, 32, 32));
        assert_eq!((direntplus_size(1), direntplus_size(8), direntplus_size(9)), (160, 160, 168));
        assert_eq!(size_of::<EntryOut>() + size_of::<Dirent>(), NAME_OFFSET_DIRENTPLUS);
    }
}
