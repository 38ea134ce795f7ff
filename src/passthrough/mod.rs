//! Backing ids, one for each inode: which inodes are open, how, and by which file the kernel reads and writes them.
//!
//! Knows numbers only. Registering a file with the kernel is the caller's, so that what must hold for every order of
//! opens and releases can be tested without one.
#![forbid(unsafe_code)]

mod status;
mod table;

pub use status::Status;
pub use table::{Kept, Mode, Table};
