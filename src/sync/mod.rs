//! Atomics and locks of the protocols between threads. Under `cfg(loom)` they are those of the model checker, which runs
//! every order that threads, and the memory between them, may take (`scripts/model`).
#![forbid(unsafe_code)]

#[cfg(loom)]
mod model;

/// A word that some threads store to while another exchanges what it stored itself.
#[cfg(not(loom))]
pub type SwappedUsize = AtomicUsize;
#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicPtr, AtomicU32, fence};
#[cfg(loom)]
pub use model::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Condvar, Mutex, SwappedUsize, here};
#[cfg(not(loom))]
pub use parking_lot::{Condvar, Mutex};
