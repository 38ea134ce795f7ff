//! Processes that fork(2) makes of this one.
//!
//! A callback may fork, and its child may reply, or return and serve on. Then parent and child have the same pipes: what
//! one of them puts in, the other could take out. So neither uses a pipe again that is older than the fork.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Forks that this process has taken part in, as parent or as child.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// Forks that this process is the outcome of.
static DESCENT: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn in_parent() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    DESCENT.fetch_add(1, Ordering::Relaxed);
}

/// Counts from the first call on.
fn count() {
    static COUNTING: Once = Once::new();
    COUNTING.call_once(|| {
        // SAFETY: the handlers only count, and the library is never unloaded.
        let failed = unsafe { libc::pthread_atfork(None, Some(in_parent), Some(in_child)) };
        if failed != 0 {
            log::warn!("no memory to take note of forks: a callback must not fork");
        }
    });
}

/// A number that is another one after each fork.
pub fn number() -> u32 {
    count();
    FORKS.load(Ordering::Relaxed)
}

/// A number that is another one in each child.
#[inline]
pub fn descent() -> u32 {
    DESCENT.load(Ordering::Relaxed)
}

/// Notices that the process has become another one.
pub struct Watch(u32);

impl Watch {
    /// The process is the one that it is now.
    pub fn begin() -> Self {
        count();
        Self(DESCENT.load(Ordering::Relaxed))
    }

    /// Whether the process is a child of the one that it was when this was asked last.
    #[inline]
    pub fn is_child(&mut self) -> bool {
        let now = DESCENT.load(Ordering::Relaxed);
        core::mem::replace(&mut self.0, now) != now
    }
}
