//! Threads that could not be started: where the system is at its limit, every request would find that none waits, try to
//! start one, and say that this failed.

use nix::errno::Errno;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How long the pool does with the workers that there are.
const BACKOFF: Duration = Duration::from_millis(100);

/// When a start failed last; none when the last one did not.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Option<Instant>>);

impl Refusals {
    /// Whether it is too early to try again.
    pub fn are_recent(&self) -> bool {
        self.0.lock().is_some_and(|last| last.elapsed() < BACKOFF)
    }

    /// How soon to try again while the last start failed.
    pub fn retry(&self) -> Option<Duration> {
        self.0.lock().map(|_| BACKOFF)
    }

    /// What came of a start. Whether that is a failure, and the first one in a row.
    pub fn note(&self, started: Result<(), Errno>) -> bool {
        let now = started.is_err().then(Instant::now);
        now.is_some() & core::mem::replace(&mut *self.0.lock(), now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_a_row_is_news() {
        let refusals = Refusals::default();
        assert!(!refusals.note(Ok(())) && !refusals.are_recent() && refusals.retry().is_none());
        assert!(refusals.note(Err(Errno::EAGAIN)) && refusals.are_recent() && refusals.retry().is_some());
        assert!(!refusals.note(Err(Errno::EAGAIN)) && refusals.are_recent());
        assert!(!refusals.note(Ok(())) && !refusals.are_recent());
        assert!(refusals.note(Err(Errno::ENOMEM)));
    }
}
