//! Before and after the mount: the state is made, and given to whoever keeps it.

use super::saved::UNKNOWN_CONNECTION;
use super::{Session, State};
use crate::abi::wire::{InitIn, InitOut};
use crate::mount::Mount;
use crate::recovery::store::{Role, Store};
use crate::session::teardown::Mounted;
use crate::transport::{Channel, fd};
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};

impl Session {
    /// Who keeps this session's fds for a successor, if anybody does.
    fn store(&self) -> Option<&Store> {
        self.recovery.store.get().filter(|_| self.is_recoverable())
    }

    /// Before the mount: takes up a connection that is kept for this daemon, if there is one, and returns its mount.
    pub(in crate::session) fn take_up(&self) -> Result<Option<Mounted>, Errno> {
        if self.is_recoverable() {
            Store::check()?;
        }
        if self.recovery.store.get().is_some() {
            // It mounts again: what was kept was taken up then.
            return Ok(None);
        }
        let Some(store) = Store::find(self.is_recoverable())? else { return Ok(None) };
        // Held as long as the session: that it is closed means that the daemon has ended.
        let store = self.recovery.store.get_or_init(|| store);
        if !self.is_recoverable() {
            // Said before anything is asked for: a daemon that serves is not to leave its mount to this one.
            store.unaware().inspect_err(|_| {
                log::error!(
                    "a mount is kept for this daemon, which does not declare itself recoverable \
                     (fuse_session_set_recoverable): refused, its nodeids would mean nothing"
                );
            })?;
            return Ok(None);
        }
        let Some(kept) = store.kept()? else { return Ok(None) };
        self.take_over(kept.state, kept.device, kept.clones).map(Some).inspect_err(|_| Store::refuse())
    }

    /// Before the mount: makes the state of a session that is recoverable.
    pub(in crate::session) fn prepare_state(&self) -> Result<(), Errno> {
        let Some(node_bytes) = self.recovery.declared.get().filter(|_| self.state().is_none()) else { return Ok(()) };
        let state = State::create(*node_bytes);
        let state = state.inspect_err(|errno| log::error!("no memory for the session's state: {}", errno.desc()))?;
        self.begin_state(state);
        Ok(())
    }

    /// After the mount: the state says which it is, and both are kept.
    pub(in crate::session) fn keep(&self, mount: &Mount) -> Result<(), Errno> {
        let (Some(state), Ok(channel)) = (self.state(), self.channel()) else { return Ok(()) };
        let Some(device) = channel.as_device() else { return Ok(()) };
        // Kernels do not say it of old: then nobody can check that device and state belong together.
        let connection = fd::connection(device.as_fd()).unwrap_or(UNKNOWN_CONNECTION);
        let mut saved = state.saved.lock();
        let fixed = &mut saved.fixed;
        fixed.connection = connection;
        (fixed.max_read, fixed.deny_others) = (self.config.max_read, self.config.deny_others.into());
        fixed.owner = self.owner;
        if let Some((path, id, recorded)) = mount.made() {
            let fixed = &mut saved.fixed;
            (fixed.mount_id, fixed.has_mount_id) = (id.map_or(0, u64::from), id.is_some().into());
            fixed.recorded = recorded.into();
            saved.mountpoint = path.to_owned();
        }
        saved.store(&state.memory)?;
        drop(saved);
        if let Some(store) = self.store() {
            // Where they are not kept, which was logged, the daemon serves all the same.
            let _ = store.keep(Role::State, state.memory.fd()).and_then(|()| store.keep(Role::Device, device.as_fd()));
        }
        Ok(())
    }

    /// Whether clones of the device would end with the process, and the requests that were read from them with it, where
    /// a successor is to answer those.
    pub(in crate::session) fn loses_clones(&self) -> bool {
        self.is_recoverable() && self.store().is_none()
    }

    /// A clone of the device, before anything is read from it.
    pub(in crate::session) fn keep_clone(&self, clone: &Channel) -> Result<(), Errno> {
        match (self.store(), clone.as_device()) {
            (Some(store), Some(device)) => store.keep(Role::Clone, device.as_fd()),
            _ => Ok(()),
        }
    }

    /// The mount is gone, and nothing needs to be kept.
    pub(in crate::session) fn keep_no_more(&self) {
        if let Some(store) = self.store() {
            store.forget();
        }
    }

    /// INIT is about to be answered so.
    pub(in crate::session) fn save_negotiation(&self, arg: &InitIn, flags2: u32, out: &InitOut) {
        let Some(state) = self.state() else { return };
        let mut saved = state.saved.lock();
        let fixed = &mut saved.fixed;
        (fixed.init, fixed.flags2, fixed.reply, fixed.negotiated) = (*arg, flags2, *out, 1);
        // That it is too long is the only reason, and was logged before the mount.
        let _ = saved.store(&state.memory);
    }

    /// The memory that a successor is to be given, as an fd of the caller's. ENOTSUP when the session is not recoverable,
    /// ENOTCONN before it is mounted.
    pub fn save_state(&self) -> Result<OwnedFd, Errno> {
        if !self.is_recoverable() {
            return Err(Errno::ENOTSUP);
        }
        let state = self.state().ok_or(Errno::ENOTCONN)?;
        state.saved.lock().store(&state.memory)?;
        state
            .memory
            .fd()
            .try_clone_to_owned()
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    }
}
