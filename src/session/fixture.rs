//! A session for tests: it has a socket in the place of the device, and serves nothing.

use super::handler::{Handler, Provides};
use super::{Channel, Config, Kind, Session, Shown, Token};
use crate::abi::c::common::fuse_bufvec;
use crate::abi::wire::{InHeader, NotifyRetrieveIn};
use crate::decode::Operation;
use crate::mount;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

struct Nobody;

impl Handler for Nobody {
    fn provides(&self) -> Provides {
        Provides::empty()
    }
    fn init(&self, _: &Shown) {}
    fn destroy(&self) {}
    fn call(&self, _: &Session, _: Token, _: &InHeader, _: &Operation<'_>) {}
    fn retrieved(&self, _: Token, _: &InHeader, _: &NotifyRetrieveIn, _: usize, _: &mut fuse_bufvec) {}
}

/// A session, and where its messages go.
pub(super) fn session() -> (Arc<Session>, UnixDatagram) {
    let config = Config {
        debug: false,
        deny_others: false,
        max_read: 0,
        compat_file_info: false,
        io_uring: None,
        busy_poll: Default::default(),
        userdata: 0,
    };
    let session = Session::new(config, Kind::FileSystem, Box::new(Nobody), mount::Options::new());
    let (device, kernel) = end();
    session.connect(device).unwrap();
    (session, kernel)
}

/// An end of a connection, and where its messages go.
pub(super) fn end() -> (Channel, UnixDatagram) {
    let (ours, kernel) = UnixDatagram::pair().unwrap();
    kernel.set_nonblocking(true).unwrap();
    (Channel::device(ours.into()), kernel)
}
