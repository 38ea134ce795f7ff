//! What a successor needs to know besides the tables: the connection, its mount, and how INIT was answered.

use crate::abi::wire::{InitIn, InitOut};
use crate::recovery::{blob, memory::Memory};
use nix::errno::Errno;
use std::ffi::CString;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// In the place of a connection's number where the kernel does not say it. No connection has it.
pub const UNKNOWN_CONNECTION: u64 = 0;

/// What comes first, as bytes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fixed {
    /// The kernel's number of the connection, or [`UNKNOWN_CONNECTION`].
    pub connection: u64,
    /// What tells the mount from others, if `has_mount_id`.
    pub mount_id: u64,
    /// See `mount_id`.
    pub has_mount_id: u32,
    /// The mount is in the mount table of libmount.
    pub recorded: u32,
    /// INIT was answered, as `init`, `flags2` and `reply` say.
    pub negotiated: u32,
    /// The mount option.
    pub max_read: u32,
    /// The mount option allow_root.
    pub deny_others: u32,
    /// Who mounted.
    pub owner: u32,
    /// The second half of INIT's flags.
    pub flags2: u32,
    /// For the alignment.
    pub reserved: u32,
    /// What the kernel sent.
    pub init: InitIn,
    /// What it was answered.
    pub reply: InitOut,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// What has a fixed size.
    pub fixed: Fixed,
    /// Where it is mounted; empty where somebody else mounted.
    pub mountpoint: CString,
}

impl Saved {
    /// What a predecessor saved last; an error is logged.
    pub fn load(memory: &Memory) -> Result<Self, Errno> {
        let bytes = blob::load(memory)?;
        let parsed = Fixed::read_from_prefix(&bytes).ok();
        let saved = parsed.and_then(|(fixed, path)| Some(Self { fixed, mountpoint: CString::new(path).ok()? }));
        saved.ok_or_else(|| {
            log::error!("saved state: it is not what a session saves");
            Errno::EBADMSG
        })
    }

    /// Saves it.
    pub fn store(&self, memory: &Memory) -> Result<(), Errno> {
        blob::save(memory, &[self.fixed.as_bytes(), self.mountpoint.as_bytes()].concat())
    }
}
