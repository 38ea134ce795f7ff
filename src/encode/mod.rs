//! What the daemon answers, as the kernel's bytes: a head, fixed structs, and the payload left where it is.
#![forbid(unsafe_code)]

mod attributes;
mod directory;
mod notify;
mod open;

pub use attributes::{lock, statfs, timeout, with_attr, with_entry};
pub use directory::{dirent_size, direntplus_size, put_dirent, put_direntplus};
pub use notify::Notification;
pub use open::open;

use crate::abi::wire::OutHeader;
use nix::errno::Errno;

/// The head of a message with `payload` bytes behind it; `error` is 0, a negative errno or a notification's code.
///
/// A length that the protocol cannot carry is EMSGSIZE.
#[inline]
pub fn head(unique: u64, error: i32, payload: usize) -> Result<OutHeader, Errno> {
    let len = payload.checked_add(size_of::<OutHeader>()).and_then(|len| u32::try_from(len).ok());
    Ok(OutHeader { len: len.ok_or(Errno::EMSGSIZE)?, error, unique })
}
