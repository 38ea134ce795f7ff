//! Further channels of the connection: under clone_fd each worker has one.
//!
//! All of them are kept as long as the session: closing one would abort the requests that were read from it and are not
//! answered yet. What is done to every end of the connection is done under the lock of their list, and done to a new one
//! when it joins it: none is left out, whoever makes or uses one at that moment.

use super::Session;
use crate::transport::Channel;
use nix::errno::Errno;
use parking_lot::MutexGuard;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The clones of a session.
#[derive(Default)]
pub(super) struct Clones {
    all: Vec<Arc<Channel>>,
    /// Those of them that no worker uses.
    idle: Vec<Arc<Channel>>,
}

impl Session {
    /// A clone for a worker: one that an earlier worker left, or a new one.
    pub(super) fn lend_clone(&self) -> Result<Arc<Channel>, Errno> {
        let idle = self.clones.lock().idle.pop();
        idle.map_or_else(|| self.make_clone(), Ok)
    }

    /// The worker uses it no more.
    pub(super) fn give_clone_back(&self, clone: Arc<Channel>) {
        self.clones.lock().idle.push(clone);
    }

    fn make_clone(&self) -> Result<Arc<Channel>, Errno> {
        let clone = self.channel()?.try_clone()?;
        // One that is not kept would take its requests with it if the process died.
        self.keep_clone(&clone)?;
        self.add_clone(clone)
    }

    /// The clone becomes one of the ends, and is as they are: waiting for requests, or not. ENOTCONN when they are closed.
    pub(super) fn add_clone(&self, clone: Channel) -> Result<Arc<Channel>, Errno> {
        let mut clones = self.clones.lock();
        if self.channel()?.is_retired() {
            return Err(Errno::ENOTCONN);
        }
        clone.set_hurried(self.is_paused())?;
        let clone = Arc::new(clone);
        clones.all.push(clone.clone());
        Ok(clone)
    }

    /// Clones of a predecessor's: requests that it did not answer may belong to them.
    pub(super) fn inherit_clones(&self, clones: Vec<OwnedFd>) {
        let inherited = clones.into_iter().map(|clone| Arc::new(Channel::device(clone)));
        let mut clones = self.clones.lock();
        clones.all.extend(inherited);
        clones.idle = clones.all.clone();
    }

    /// The ends of the connection. None joins them while this is held.
    pub(super) fn ends(&self) -> Ends<'_> {
        Ends { clones: self.clones.lock(), own: [self.device.get(), self.custom.get()] }
    }
}

/// The session's own channels, as far as it has them, and their clones.
pub(super) struct Ends<'s> {
    clones: MutexGuard<'s, Clones>,
    own: [Option<&'s Channel>; 2],
}

impl Ends<'_> {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Channel> {
        self.clones.all.iter().map(AsRef::as_ref).chain(self.own.into_iter().flatten())
    }

    /// All but the clones that workers use.
    pub fn idle(&self) -> impl Iterator<Item = &Channel> {
        self.clones.idle.iter().map(AsRef::as_ref).chain(self.own.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{end, session};
    use super::*;
    use crate::transport::fd;
    use std::os::fd::AsFd;
    use std::time::Duration;

    #[test]
    fn a_pause_is_one_of_clones_in_use_and_of_new_ones() {
        let (session, _kernel) = session();
        let before = session.add_clone(end().0).unwrap();
        assert!(before.waits());
        session.pause(Duration::ZERO).unwrap();
        let meanwhile = session.add_clone(end().0).unwrap();
        assert_eq!([&before, &meanwhile].map(|end| end.waits()), [false, false]);
        session.resume().unwrap();
        assert_eq!([&before, &meanwhile].map(|end| end.waits()), [true, true]);
    }

    #[test]
    fn a_closed_connection_gets_no_further_end() {
        let (session, _kernel) = session();
        let clone = session.add_clone(end().0).unwrap();
        let nowhere = fd::nowhere().unwrap();
        session.ends().all().for_each(|end| end.retire(nowhere.as_fd()).unwrap());
        assert!(clone.is_retired());
        assert_eq!(session.add_clone(end().0).unwrap_err(), Errno::ENOTCONN);
    }

    #[test]
    fn clones_are_lent_again() {
        let (session, _kernel) = session();
        let clone = session.add_clone(end().0).unwrap();
        // A socket cannot be cloned.
        assert!(session.lend_clone().is_err());
        session.give_clone_back(clone.clone());
        assert!(Arc::ptr_eq(&session.lend_clone().unwrap(), &clone));
        assert!(session.lend_clone().is_err());
    }
}
