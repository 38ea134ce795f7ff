//! What outlives the process: the state that a successor takes over, in memory that somebody keeps, and who keeps it.
//!
//! [`blob`] holds what is saved as bytes, [`journal`] the requests in flight, [`nodes`] the inodes that the kernel knows,
//! [`opens`] what it has open of them. [`layout`] says where they lie in the [`memory`]. [`store`] is who keeps it.
#![forbid(unsafe_code)]

pub mod blob;
pub mod journal;
pub mod layout;
pub mod memory;
pub mod nodes;
pub mod opens;
pub mod store;
