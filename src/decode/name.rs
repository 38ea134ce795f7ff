//! Names inside a message.

use core::ffi::c_char;
use core::fmt::{Debug, Formatter, Result};
use core::num::NonZero;
use memchr::memchr;

/// Bytes that end with the only NUL among them, as C takes them. A borrow of the message, one word less to look at than a
/// `CStr`, which would look at every byte once more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// The name that `bytes` begin with; none without a NUL.
    #[inline]
    pub(super) fn at_start_of(bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..=memchr(0, bytes)?).map(Self)
    }

    /// The same for one without a slash in it.
    #[inline]
    pub(super) fn of_entry(bytes: &'a [u8]) -> Option<Self> {
        let name = bytes.get(..=nul_or_slash(bytes)?)?;
        (name.last() == Some(&0)).then_some(Self(name))
    }

    /// Where C finds it.
    #[inline]
    pub fn as_ptr(self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// The bytes without the NUL.
    #[inline]
    pub fn to_bytes(self) -> &'a [u8] {
        self.0.split_last().map_or(&[], |(_, bytes)| bytes)
    }

    /// The bytes, the NUL included.
    #[inline]
    pub fn to_bytes_with_nul(self) -> &'a [u8] {
        self.0
    }
}

/// Quoted, with what is no text escaped.
impl Debug for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "\"{}\"", self.to_bytes().escape_ascii())
    }
}

const WORD: usize = size_of::<u64>();
const ONES: u64 = u64::MAX / 0xff;
const SLASHES: u64 = ONES * b'/' as u64;

/// Where the first NUL or slash is. Names of entries are looked up all the time and are short: a general search would spend
/// its time on the choice of a way.
#[inline]
fn nul_or_slash(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        if let Some(found) = in_word(*word) {
            return Some(bytes.len() - rest.len() + found);
        }
        rest = behind;
    }
    match bytes.last_chunk() {
        // What of it was looked at before has neither.
        Some(last) => in_word(*last).map(|found| bytes.len() - WORD + found),
        None => bytes.iter().position(|byte| matches!(byte, 0 | b'/')),
    }
}

#[inline]
fn in_word(word: [u8; WORD]) -> Option<usize> {
    // The high bit of each zero byte; of others only above the first.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let word = u64::from_le_bytes(word);
    let found = NonZero::new(zeros(word) | zeros(word ^ SLASHES))?;
    Some(found.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_nul_and_slash_is_found() {
        // Bytes next to NUL and slash, and such as the carry of a subtraction could mistake for one.
        let fillings = [0x80, 1, 0x2e, 0x30, 0x7f, 0x81, 0xaf, 0xff];
        // The interpreter is too slow for all of them.
        let (few, step) = if cfg!(miri) { (1, 13) } else { (fillings.len(), 1) };
        for filling in fillings.into_iter().take(few) {
            for len in (0..27).step_by(step) {
                for (nul, slash) in (0..=len).flat_map(|nul| (0..=len).map(move |slash| (nul, slash))) {
                    let mut bytes = vec![filling; len];
                    bytes.iter_mut().skip(slash).take(1).for_each(|byte| *byte = b'/');
                    bytes.iter_mut().skip(nul).take(2).for_each(|byte| *byte = 0);
                    let name = bytes.iter().position(|byte| *byte == 0).map(|nul| &bytes[..=nul]);
                    assert_eq!(Name::at_start_of(&bytes).map(|name| name.0), name);
                    let entry = name.filter(|name| !name.contains(&b'/'));
                    assert_eq!(Name::of_entry(&bytes).map(|name| name.0), entry, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn debug_output_is_quoted() {
        let name = Name::at_start_of(b"a \"b\"\n\xff\0").unwrap();
        assert_eq!(format!("{name:?}"), format!("{:?}", c"a \"b\"\n\xff"));
    }
}
