//! The border between a session and whoever answers its requests: the C operation table, or the path-based API.

use super::{Channel, Session, Shown, Token};
use crate::abi::c::common::fuse_bufvec;
use crate::abi::wire::{InHeader, NotifyRetrieveIn};
use crate::decode::Operation;
use bitflags::bitflags;

bitflags! {
    /// Which callbacks exist, as far as INIT's defaults depend on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Provides: u32 {
        /// write_buf.
        const WRITE_BUF = 1 << 0;
        /// getlk and setlk.
        const POSIX_LOCKS = 1 << 1;
        /// flock.
        const FLOCK = 1 << 2;
        /// readdir.
        const READDIR = 1 << 3;
        /// readdirplus.
        const READDIRPLUS = 1 << 4;
    }
}

/// Answers requests, from any thread, possibly after the call returned.
pub trait Handler: Send + Sync {
    /// Which callbacks exist.
    fn provides(&self) -> Provides;

    /// INIT: reads what the kernel offers, changes what is wanted.
    fn init(&self, conn: &Shown);

    /// The reply to CUSE_INIT was sent. A file system has nothing of that kind.
    fn init_done(&self) {}

    /// The end, once.
    fn destroy(&self);

    /// A request of the session's: its name until the reply, its head, what it asks for. Exactly one reply is owed, through
    /// the token.
    fn call(&self, session: &Session, token: Token, header: &InHeader, operation: &Operation<'_>);

    /// Takes one message for the session, which calls the handler for what is in it: compiled for each handler, so that the
    /// call is none where the compiler can see both.
    fn process(&self, session: &Session, channel: &Channel, message: &[u8]) {
        session.process_for(self, channel, message);
    }

    /// Data that was asked for with a retrieve notification, with the cookie given then. The token is owed a
    /// reply-none.
    fn retrieved(&self, token: Token, header: &InHeader, arg: &NotifyRetrieveIn, cookie: usize, data: &mut fuse_bufvec);
}
