//! Whether a daemon moves, as can be seen without touching its mount.

use crate::hold::Hold;
use fusewire::recovery::journal::{Sight, look};
use fusewire::recovery::memory::Memory;
use std::time::{Duration, Instant};

/// The journal of the mount's requests, as it was when something last moved.
#[derive(Debug)]
pub struct Watch {
    memory: Memory,
    /// When this daemon began to serve.
    first: Sight,
    last: Sight,
    moved: Instant,
}

impl Watch {
    /// Begins to look at a daemon that serves from the state that is kept; none, after a line, when that cannot be read.
    pub fn begin(hold: &Hold) -> Option<Self> {
        let state = hold.state()?.try_clone_to_owned().ok()?;
        let memory = match Memory::inspect(state) {
            Ok(memory) => memory,
            Err(errno) => {
                log::warn!("the state of the mount cannot be read ({}): whether it moves is not known", errno.desc());
                return None;
            }
        };
        let first = look(&memory);
        Some(Self { last: first.clone(), first, memory, moved: Instant::now() })
    }

    /// Whether any request was taken since the daemon began.
    pub fn has_served(&self) -> bool {
        look(&self.memory).has_taken_since(&self.first)
    }

    /// Looks again. True when requests wait, and nothing has moved for so long.
    pub fn is_hung(&mut self, hold: &Hold, deadline: Duration) -> bool {
        let now = look(&self.memory);
        if now != self.last || !(now.waits() || hold.has_unread()) {
            (self.last, self.moved) = (now, Instant::now());
        }
        self.moved.elapsed() >= deadline
    }
}
