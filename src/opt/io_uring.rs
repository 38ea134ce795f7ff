//! Whether requests are to come over io_uring, and how many at once.

use super::{Result, Value, scan};
use std::ffi::{CStr, OsString};

/// Requests at a queue at most, unless the user says otherwise.
const DEFAULT_DEPTH: u32 = 8;
/// The largest number that may be said.
const MAX_DEPTH: u32 = 1024;

/// What the user says: first the environment, then the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoUring {
    on: bool,
    depth: u32,
}

impl IoUring {
    /// As the environment says, FUSE_URING_ENABLE and FUSE_URING_QUEUE_DEPTH; `variable` looks there. What is no number, or
    /// not one that can be meant, is logged and left alone.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let number = |name: &str, most: u32| {
            let text = variable(name)?;
            let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number <= most);
            if number.is_none() {
                log::error!("{name} in the environment is no number up to {most}: {}", text.to_string_lossy());
            }
            number
        };
        let on = number("FUSE_URING_ENABLE", u32::MAX).is_some_and(|on| on != 0);
        let depth = number("FUSE_URING_QUEUE_DEPTH", MAX_DEPTH).filter(|depth| *depth > 0);
        Self { on, depth: depth.unwrap_or(DEFAULT_DEPTH) }
    }

    /// The option `io_uring`.
    pub fn set_on(&mut self) {
        self.on = true;
    }

    /// The option `io_uring_q_depth=N`. EINVAL, and a line that names it, for a number that cannot be meant.
    pub fn set_depth(&mut self, option: &CStr, value: Option<Value<'_>>) -> Result<()> {
        self.depth = scan::number_in(option, value, 1..=MAX_DEPTH, "the depth")?;
        Ok(())
    }

    /// Requests at a queue at most; none where io_uring is not asked for.
    pub fn depth(self) -> Option<u32> {
        self.on.then_some(self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    fn of(enable: &str, depth: &str) -> Option<u32> {
        IoUring::from_environment(|name| {
            let text = if name == "FUSE_URING_ENABLE" { enable } else { depth };
            (!text.is_empty()).then(|| text.into())
        })
        .depth()
    }

    #[test]
    fn the_environment() {
        for (enable, depth, expected) in [
            ("", "", None),
            ("", "4", None),
            ("0", "4", None),
            ("yes", "4", None),
            ("1", "", Some(DEFAULT_DEPTH)),
            ("2", "4", Some(4)),
            ("1", "0", Some(DEFAULT_DEPTH)),
            ("1", "-1", Some(DEFAULT_DEPTH)),
            ("1", "1025", Some(DEFAULT_DEPTH)),
            ("1", "1024", Some(1024)),
        ] {
            assert_eq!(of(enable, depth), expected, "{enable} {depth}");
        }
    }

    #[test]
    fn the_options() {
        let mut wish = IoUring { on: false, depth: 3 };
        let value = |text| Some(Value { text, conversion: c"%u" });
        for bad in [c"", c"0", c"1025", c"-1", c"8x", c"99999999999"] {
            assert_eq!(wish.set_depth(c"io_uring_q_depth=", value(bad)), Err(Errno::EINVAL), "{bad:?}");
        }
        assert_eq!(wish.set_depth(c"io_uring_q_depth=16", value(c"16")), Ok(()));
        assert_eq!(wish.depth(), None);
        wish.set_on();
        assert_eq!(wish.depth(), Some(16));
    }
}
