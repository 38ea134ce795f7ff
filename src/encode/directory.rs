//! Records of a directory buffer: a head, the name, and zeros up to the next multiple of 8.

use super::attributes::entry;
use crate::abi::c::lowlevel::fuse_entry_param;
use crate::abi::wire::{Dirent, Direntplus, NAME_OFFSET, NAME_OFFSET_DIRENTPLUS};
use zerocopy::{Immutable, IntoBytes};

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
    put(record, &dirent(name, st, off), name)
}

/// Writes a readdirplus record; false when it does not fit, and then nothing is written.
#[inline]
pub fn put_direntplus(buf: &mut [u8], name: &[u8], e: &fuse_entry_param, off: i64, flags: u32) -> bool {
    let Some(record) = buf.get_mut(..direntplus_size(name.len())) else { return false };
    put(record, &Direntplus { entry: entry(e, flags), dirent: dirent(name, &e.attr, off) }, name)
}

#[inline]
fn dirent(name: &[u8], st: &libc::stat, off: i64) -> Dirent {
    let typ = (st.st_mode & libc::S_IFMT) >> 12;
    Dirent { ino: st.st_ino, off: off as u64, namelen: name.len() as u32, typ }
}

/// Fills a record; false, and nothing written, when it is too short for what it is made of.
#[inline]
fn put(record: &mut [u8], head: &(impl IntoBytes + Immutable), name: &[u8]) -> bool {
    let head = head.as_bytes();
    let Some((head_place, rest)) = record.split_at_mut_checked(head.len()) else { return false };
    if rest.len() < name.len() {
        return false;
    }
    head_place.copy_from_slice(head);
    // The padding is shorter than this; what the name takes of it is overwritten.
    if let Some(end) = rest.last_chunk_mut::<8>() {
        *end = [0; 8];
    }
    if let Some(name_place) = rest.get_mut(..name.len()) {
        name_place.copy_from_slice(name);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_multiples_of_eight() {
        assert_eq!((dirent_size(0), dirent_size(1), dirent_size(8)), (24, 32, 32));
        assert_eq!((direntplus_size(1), direntplus_size(8), direntplus_size(9)), (160, 160, 168));
        assert_eq!((size_of::<Dirent>(), size_of::<Direntplus>()), (NAME_OFFSET, NAME_OFFSET_DIRENTPLUS));
    }

    #[test]
    fn a_record_is_written_whole_or_not_at_all() {
        for length in 0..20 {
            let (head, name) = (Dirent { ino: 7, off: 5, namelen: length as u32, typ: 8 }, vec![b'n'; length]);
            let mut record = vec![0xff; dirent_size(length)];
            assert!(put(&mut record, &head, &name));
            let (head_place, rest) = record.split_at(NAME_OFFSET);
            assert_eq!(head_place, head.as_bytes());
            assert!(rest.starts_with(&name) && rest[length..].iter().all(|byte| *byte == 0), "{rest:?}");
            let mut short = vec![0xff; NAME_OFFSET + length - 1];
            assert!(!put(&mut short, &head, &name));
            assert!(short.iter().all(|byte| *byte == 0xff));
        }
    }
}
