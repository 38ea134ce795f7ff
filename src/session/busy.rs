//! Looking for the next request before going to sleep for it (`busy_poll`): a processor that sleeps takes longer to come back
//! than most requests take.

use super::Session;
use crate::transport::Channel;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// For how long, and whether somebody does so now.
pub(super) struct BusyPoll {
    time: Duration,
    taken: AtomicBool,
}

impl BusyPoll {
    pub fn new(time: Duration) -> Self {
        Self { time, taken: AtomicBool::new(false) }
    }
}

impl Session {
    /// Waits for a message without going to sleep, for as long as the session's options say.
    #[inline]
    pub(super) fn poll_busily(&self, channel: &Channel) {
        if !self.busy_poll.time.is_zero() {
            self.look_for_message(channel);
        }
    }

    #[inline(never)]
    fn look_for_message(&self, channel: &Channel) {
        // One at a time: a second would only take a processor from those who have something to do.
        if self.busy_poll.taken.swap(true, Ordering::Acquire) {
            return;
        }
        let begin = Instant::now();
        while !channel.has_message() && !self.exited() && !self.is_paused() && begin.elapsed() < self.busy_poll.time {
            core::hint::spin_loop();
        }
        self.busy_poll.taken.store(false, Ordering::Release);
    }
}
