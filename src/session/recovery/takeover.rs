//! Making a session of what a predecessor left, in the place of a mount.

use super::saved::{Saved, UNKNOWN_CONNECTION};
use super::{Session, State};
use crate::abi::flags::InitFlags;
use crate::abi::wire::InitOut;
use crate::mount::Mount;
use crate::recovery::journal::Inheritance;
use crate::recovery::memory::Memory;
use crate::recovery::nodes::Nodes;
use crate::session::init::HEADER_SIZE;
use crate::session::teardown::Mounted;
use crate::session::{Stage, start};
use crate::transport::fd;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;

fn refuse<T>(errno: Errno, why: &str) -> Result<T, Errno> {
    log::error!("the session cannot be taken over: {why}");
    Err(errno)
}

impl Session {
    /// Takes over from a predecessor: its memory and its device. Nothing is served before they are known to belong
    /// together.
    pub fn restore(&self, state: OwnedFd, device: OwnedFd) -> Result<(), Errno> {
        let mut mounted = self.mount.lock();
        if self.is_taken() {
            return refuse(Errno::EBUSY, "it is connected already");
        }
        *mounted = Some(self.take_over(state, device, Vec::new())?);
        Ok(())
    }

    /// As [`Session::restore`], by who knows that the session is not connected. Returns the mount.
    pub(super) fn take_over(&self, state: OwnedFd, device: OwnedFd, clones: Vec<OwnedFd>) -> Result<Mounted, Errno> {
        let Some(node_bytes) = self.recovery.declared.get() else {
            return refuse(Errno::ENOTSUP, "the daemon does not declare itself recoverable");
        };
        let memory = Memory::open(state, *node_bytes)?;
        let lock = memory.lock()?;
        let saved = Saved::load(&memory)?;
        for end in clones.iter().chain([&device]) {
            check_connection(&saved, end.as_fd())?;
        }
        self.check_options(&saved)?;
        let nodes = (*node_bytes > 0).then(|| Nodes::restore(memory.clone())).transpose()?;
        let inheritance = Inheritance::take(&memory)?;
        let mounted = Mounted { mount: mount_of(&saved), nowhere: fd::nowhere()? };
        let state = State::new(memory, lock, nodes, saved.clone());
        let _ = state.inheritance.set(inheritance);
        if !self.begin_state(state) {
            return refuse(Errno::EBUSY, "it has a state already");
        }
        let channel = self.take_device(device)?;
        self.inherit_clones(clones);
        start::connected();
        if saved.fixed.negotiated != 0 {
            self.replay_init(&saved)?;
        }
        self.ask_again(channel)?;
        Ok(mounted)
    }

    fn check_options(&self, saved: &Saved) -> Result<(), Errno> {
        let was = &saved.fixed;
        if was.max_read != self.config.max_read {
            let (now, was) = (self.config.max_read, was.max_read);
            return refuse(Errno::EPROTO, &format!("it was mounted with max_read={was}, not max_read={now}"));
        }
        if (was.deny_others != 0) != self.config.deny_others {
            let with = if self.config.deny_others { "without" } else { "with" };
            return refuse(Errno::EPROTO, &format!("it was mounted {with} allow_root"));
        }
        if was.owner != self.owner {
            return refuse(Errno::EPERM, &format!("user {} mounted it, this is user {}", was.owner, self.owner));
        }
        Ok(())
    }

    /// Has the daemon's init hear what the kernel offered, and checks that it comes to what the kernel was told.
    fn replay_init(&self, saved: &Saved) -> Result<(), Errno> {
        let fixed = &saved.fixed;
        // The system's limit may be another by now.
        self.buf_size.store(fixed.reply.max_write as usize + HEADER_SIZE, Ordering::Relaxed);
        let out = self.answer_init(&fixed.init, fixed.flags2)?;
        if out.as_bytes() != fixed.reply.as_bytes() {
            return refuse(
                Errno::EPROTO,
                &format!("init now asks for other things: {}", difference(&fixed.reply, &out)),
            );
        }
        self.enter(Stage::SERVING);
        Ok(())
    }
}

fn mount_of(saved: &Saved) -> Mount {
    let id = (saved.fixed.has_mount_id != 0).then_some(saved.fixed.mount_id.into());
    Mount::taken_over(saved.mountpoint.clone(), id, saved.fixed.recorded != 0)
}

/// Whether an fd is an end of the connection that was saved.
fn check_connection(saved: &Saved, end: BorrowedFd<'_>) -> Result<(), Errno> {
    match fd::connection(end) {
        Ok(connection) if connection == saved.fixed.connection => Ok(()),
        Ok(connection) => {
            let was = saved.fixed.connection;
            refuse(Errno::ESTALE, &format!("the state is of connection {was}, the device of connection {connection}"))
        }
        Err(Errno::ENOTCONN) if saved.fixed.connection == UNKNOWN_CONNECTION => {
            log::warn!("this kernel does not say which connection a device is of: it is taken to be the state's");
            Ok(())
        }
        Err(Errno::ENOTCONN) => refuse(Errno::ENOTCONN, "the device is not connected: not mounted any more?"),
        Err(errno) => refuse(errno, "the file descriptor is no FUSE device"),
    }
}

/// What is different in two answers to INIT.
fn difference(was: &InitOut, now: &InitOut) -> String {
    let flags = |out: &InitOut| InitFlags::from_bits_retain(u64::from(out.flags) | u64::from(out.flags2) << 32);
    let (missing, new) = (flags(was).difference(flags(now)), flags(now).difference(flags(was)));
    let mut found = Vec::new();
    if !missing.is_empty() {
        found.push(format!("without {missing}"));
    }
    if !new.is_empty() {
        found.push(format!("with {new}"));
    }
    let numbers = |out: &InitOut| {
        [
            ("minor version", out.minor),
            ("max_readahead", out.max_readahead),
            ("max_write", out.max_write),
            ("max_background", out.max_background.into()),
            ("congestion_threshold", out.congestion_threshold.into()),
            ("time_gran", out.time_gran),
            ("max_pages", out.max_pages.into()),
            ("max_stack_depth", out.max_stack_depth),
            ("request_timeout", out.request_timeout.into()),
        ]
    };
    let pairs = numbers(was).into_iter().zip(numbers(now));
    found.extend(
        pairs.filter(|(was, now)| was != now).map(|((name, was), (_, now))| format!("{name} {now}, not {was}")),
    );
    found.join("; ")
}
