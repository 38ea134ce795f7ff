//! Waits that may end a little late.
//!
//! A time that is over interrupts a processor, which costs more than most requests. One that may be late ends with the
//! interrupt that comes next anyway: the kernel's tick, on a processor that has something to do.

use core::ffi::c_ulong;
use nix::sys::prctl::{get_timerslack, set_timerslack};
use std::time::Duration;

/// Longer than from the end of a look's time to the next tick, where there are 250 of them a second, or more.
const LATE: Duration = Duration::from_millis(2);

/// By how much the kernel lets times of the calling thread be late.
pub(super) struct Slack(Option<c_ulong>);

impl Slack {
    /// As the thread has it now.
    pub fn of_this_thread() -> Self {
        Self(get_timerslack().ok().and_then(|nanoseconds| nanoseconds.try_into().ok()))
    }

    /// Runs `wait` on that thread, whose times may be [`LATE`] meanwhile. Threads that are started then would have that, too.
    pub fn late<T>(&self, wait: impl FnOnce() -> T) -> T {
        let Self(Some(before)) = self else {
            return wait();
        };
        let _ = set_timerslack(LATE.as_nanos() as c_ulong);
        let waited = wait();
        let _ = set_timerslack(*before);
        waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_thread_had_comes_back() {
        set_timerslack(70_000).unwrap();
        assert_eq!(Slack::of_this_thread().late(get_timerslack), Ok(LATE.as_nanos() as i32));
        assert_eq!(get_timerslack(), Ok(70_000));
    }
}
