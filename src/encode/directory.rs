//! Records of a directory buffer: a head, the name, and zeros up to the next multiple of 8.

use super::attributes::put_entry;
use crate::abi::c::lowlevel::fuse_entry_param;
use crate::abi::wire::{Dirent, Direntplus, NAME_OFFSET, NAME_OFFSET_DIRENTPLUS};
use zerocopy::{FromBytes, transmute};

/// Bytes that a readdir record of that name takes.
#[inline]
pub fn dirent_size(name: &[u8]) -> usize {
    NAME_OFFSET + padded(name.len())
}

/// Bytes that a readdirplus record of that name takes.
#[inline]
pub fn direntplus_size(name: &[u8]) -> usize {
    NAME_OFFSET_DIRENTPLUS + padded(name.len())
}

/// No slice is so long that this could not be counted.
#[inline]
fn padded(size: usize) -> usize {
    size.wrapping_add(7) & !7
}

/// Fills a readdir record of the [size](dirent_size) that its name needs; one that has no room for it is left alone.
#[inline]
pub fn put_dirent(record: &mut [u8], name: &[u8], st: &libc::stat, off: i64) {
    let Some((head, rest)) = record.split_first_chunk_mut::<NAME_OFFSET>() else { return };
    if put_name(rest, name) {
        *head = transmute!(dirent(name, st, off));
    }
}

/// Fills a readdirplus record of the [size](direntplus_size) that its name needs; one that has no room for it is left alone.
#[inline]
pub fn put_direntplus(record: &mut [u8], name: &[u8], e: &fuse_entry_param, off: i64, flags: u32) {
    let Some((head, rest)) = record.split_first_chunk_mut::<NAME_OFFSET_DIRENTPLUS>() else { return };
    if !put_name(rest, name) {
        return;
    }
    if let Ok(head) = Direntplus::mut_from_bytes(head) {
        return fill(head, name, e, off, flags);
    }
    // The daemon's buffer is at an odd address.
    let mut made = Direntplus::default();
    fill(&mut made, name, e, off, flags);
    *head = transmute!(made);
}

#[inline]
fn fill(head: &mut Direntplus, name: &[u8], e: &fuse_entry_param, off: i64, flags: u32) {
    put_entry(&mut head.entry, e, flags);
    head.dirent = dirent(name, &e.attr, off);
}

#[inline]
fn dirent(name: &[u8], st: &libc::stat, off: i64) -> Dirent {
    let typ = (st.st_mode & libc::S_IFMT) >> 12;
    Dirent { ino: st.st_ino, off: off as u64, namelen: name.len() as u32, typ }
}

/// Puts the name, and zeros behind it; false where there is no room for it.
#[inline]
fn put_name(place: &mut [u8], name: &[u8]) -> bool {
    if place.len() < name.len() {
        return false;
    }
    // What fills up is shorter than this; what the name takes of it is overwritten.
    if let Some(end) = place.last_chunk_mut::<8>() {
        *end = [0; 8];
    }
    if let Some(place) = place.get_mut(..name.len()) {
        place.copy_from_slice(name);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    #[test]
    fn sizes_are_multiples_of_eight() {
        assert_eq!((dirent_size(b""), dirent_size(b"1"), dirent_size(b"12345678")), (24, 32, 32));
        assert_eq!(
            (direntplus_size(b"1"), direntplus_size(b"12345678"), direntplus_size(b"123456789")),
            (160, 160, 168)
        );
        assert_eq!((size_of::<Dirent>(), size_of::<Direntplus>()), (NAME_OFFSET, NAME_OFFSET_DIRENTPLUS));
    }

    /// At every address; a record that is one byte short is left alone.
    fn check(head: usize, name: &[u8], size: usize, put: impl Fn(&mut [u8])) {
        for at in 0..8 {
            let mut buf = vec![0xff; at + size];
            put(&mut buf[at..]);
            let (head, rest) = buf[at..].split_at(head);
            let (ino, off, namelen, typ) = (7, 5, name.len() as u32, 8);
            assert!(head.ends_with(Dirent { ino, off, namelen, typ }.as_bytes()));
            assert!(rest.starts_with(name) && rest[name.len()..].iter().all(|byte| *byte == 0), "{rest:?}");
            let room = head.len() + name.len();
            let mut short = vec![0xff; at + room - 1];
            put(&mut short[at..]);
            assert!(short.iter().all(|byte| *byte == 0xff));
        }
    }

    #[test]
    fn a_record_is_written_whole_or_not_at_all() {
        let mut attr = nix::sys::stat::stat(".").unwrap();
        (attr.st_ino, attr.st_mode) = (7, libc::S_IFREG);
        let e = fuse_entry_param { ino: 9, generation: 1, attr, attr_timeout: 1.0, entry_timeout: 0.0 };
        for length in 0..20 {
            let name = &vec![b'n'; length][..];
            check(NAME_OFFSET, name, dirent_size(name), |record| put_dirent(record, name, &e.attr, 5));
            check(NAME_OFFSET_DIRENTPLUS, name, direntplus_size(name), |record| put_direntplus(record, name, &e, 5, 0));
        }
    }
}
