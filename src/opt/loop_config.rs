//! How a multi-threaded loop is to run.

/// An idle limit that is none.
pub const UNLIMITED: u32 = u32::MAX;
/// Workers at most, unless the daemon says otherwise.
pub const DEFAULT_MAX_THREADS: u32 = 10;
/// The largest idle limit that is believed.
const IDLE_THREADS_LIMIT: u32 = 100_000;

/// Configuration of a multi-threaded loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopConfig {
    /// Each worker gets a device fd of its own.
    pub clone_fd: bool,
    /// The loop starts no further worker once it has this many. It always has one.
    pub max_threads: u32,
    /// A worker that finds this many idle ones beside it ends; [`UNLIMITED`] for never.
    pub max_idle_threads: u32,
}

impl Default for LoopConfig {
    fn default() -> Self {
        LoopConfig { clone_fd: false, max_threads: DEFAULT_MAX_THREADS, max_idle_threads: UNLIMITED }
    }
}

impl LoopConfig {
    /// Sets the idle limit. [`UNLIMITED`] leaves it as it is, and so does a number that cannot be meant.
    pub fn set_idle_threads(&mut self, value: u32) {
        match value {
            UNLIMITED => {}
            0..=IDLE_THREADS_LIMIT => self.max_idle_threads = value,
            _ => {
                log::error!("max_idle_threads {value} is over {IDLE_THREADS_LIMIT}, it stays {}", self.max_idle_threads)
            }
        }
    }

    /// Takes over what a program of API 3.2 to 3.11 says with its two members. It knows the idle limit only, which
    /// also bounded the pool in the long run: so.4 takes it for both limits, libfuse 3.14 left the other as it was. A
    /// number that cannot be meant is in a struct that the program did not fill.
    pub fn take_v1(&mut self, clone_fd: bool, max_idle_threads: u32) {
        self.clone_fd = clone_fd;
        if cfg!(not(soname = "3")) && matches!(max_idle_threads, UNLIMITED | 0..=IDLE_THREADS_LIMIT) {
            self.max_threads = max_idle_threads;
        }
        self.set_idle_threads(max_idle_threads);
    }

    /// A configuration made of those two members alone.
    pub fn from_v1(clone_fd: bool, max_idle_threads: u32) -> Self {
        let mut config = LoopConfig::default();
        config.take_v1(clone_fd, max_idle_threads);
        config
    }

    /// Says when the limits contradict each other. The loop calls it once, when it starts.
    pub fn warn_if_odd(&self) {
        if self.max_idle_threads != UNLIMITED && self.max_idle_threads > self.max_threads {
            let (idle, max) = (self.max_idle_threads, self.max_threads);
            log::warn!("max_idle_threads {idle} is above max_threads {max}: no worker will ever be idle too long");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_threads_keep_to_what_can_be_meant() {
        let mut config = LoopConfig::default();
        assert_eq!((config.max_threads, config.max_idle_threads, config.clone_fd), (10, UNLIMITED, false));
        config.set_idle_threads(7);
        config.set_idle_threads(UNLIMITED);
        config.set_idle_threads(IDLE_THREADS_LIMIT + 1);
        assert_eq!(config.max_idle_threads, 7);
        config.set_idle_threads(IDLE_THREADS_LIMIT);
        assert_eq!(config.max_idle_threads, IDLE_THREADS_LIMIT);
    }

    #[test]
    fn a_v1_limit_bounds_the_pool() {
        let config = LoopConfig::from_v1(true, 5);
        let max_threads = if cfg!(soname = "3") { 10 } else { 5 };
        assert_eq!(config, LoopConfig { clone_fd: true, max_threads, max_idle_threads: 5 });
        assert_eq!(LoopConfig::from_v1(false, 0xdead_beef), LoopConfig::default());
    }
}
