//! Messages of tests, where their structs can be used in place.

use std::ops::{Deref, DerefMut};
use zerocopy::IntoBytes;

/// Bytes at an address for every struct.
pub struct Aligned {
    place: Vec<u64>,
    len: usize,
}

impl Aligned {
    /// A copy.
    pub fn new(bytes: &[u8]) -> Self {
        let mut place = vec![0; bytes.len().div_ceil(8)];
        place.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        Self { place, len: bytes.len() }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.place.as_bytes()[..self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.place.as_mut_bytes()[..self.len]
    }
}
