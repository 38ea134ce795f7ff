//! What the init callback is shown of the connection. It stays where it is as long as the session, for programs keep its
//! address and look at what came of the negotiation later.

use super::Session;
use crate::abi::c::common::fuse_conn_info;
use core::sync::atomic::{AtomicU64, Ordering};
use zerocopy::transmute;

const WORDS: usize = size_of::<fuse_conn_info>() / size_of::<u64>();

/// A `struct fuse_conn_info` that C may read and write at any time, which is why its words are atomic here. Nothing is
/// decided by what is in it once init has returned.
#[derive(Default)]
pub struct Shown([AtomicU64; WORDS]);

impl Shown {
    /// Where C finds it.
    pub fn as_ptr(&self) -> *mut fuse_conn_info {
        self.0.as_ptr().cast_mut().cast()
    }

    fn put(&self, conn: fuse_conn_info) {
        let words: [u64; WORDS] = transmute!(conn);
        self.0.iter().zip(words).for_each(|(shown, word)| shown.store(word, Ordering::Relaxed));
    }

    fn get(&self) -> fuse_conn_info {
        let words: [u64; WORDS] = self.0.each_ref().map(|shown| shown.load(Ordering::Relaxed));
        transmute!(words)
    }
}

impl Session {
    /// Calls the daemon's init, which changes `conn`. The protocol's version and `capable` count from here on, so that
    /// it may notify the kernel.
    pub(super) fn call_init(&self, conn: &mut fuse_conn_info, capable: u64) {
        {
            let mut known = self.conn.lock();
            (known.proto_major, known.proto_minor, known.capable_ext) = (conn.proto_major, conn.proto_minor, capable);
        }
        self.shown.put(*conn);
        self.handler.init(&self.shown);
        *conn = self.shown.get();
    }

    /// Puts `conn` in force, and shows it to the daemon, in the words that its program knows.
    pub(super) fn put_in_force(&self, conn: fuse_conn_info) {
        *self.conn.lock() = conn;
        self.shown.put(match self.config.compat_file_info {
            true => fuse_conn_info { capable_ext: 0, want_ext: 0, ..conn },
            false => conn,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown_and_comes_back() {
        let mut reserved = [0; 31];
        reserved[30] = 3;
        let conn = fuse_conn_info { proto_major: 7, max_write: 1, want_ext: 1 << 63, reserved, ..Default::default() };
        let shown = Shown::default();
        shown.put(conn);
        assert_eq!(format!("{:?}", shown.get()), format!("{conn:?}"));
        assert_eq!(shown.as_ptr().addr(), core::ptr::from_ref(&shown).addr());
    }
}
