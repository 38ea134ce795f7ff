//! How long a loop looks for the next request before it goes to sleep.

use super::{Result, Value};
use nix::errno::Errno;
use std::ffi::CStr;
use std::time::Duration;

/// The longest time that may be asked for, in microseconds: an exit waits for it.
const MOST: u32 = 10_000;

/// Reads the value of `busy_poll=USEC`; 0 for none. EINVAL, and a line that names the option, for a number that cannot be
/// meant.
pub fn read(option: &CStr, value: Option<Value<'_>>) -> Result<Duration> {
    let number: Option<u32> = value.and_then(|value| value.text.to_str().ok()?.parse().ok());
    match number.filter(|time| *time <= MOST) {
        Some(time) => Ok(Duration::from_micros(time.into())),
        None => {
            let option = option.to_string_lossy();
            log::error!("option '{option}': the time must be a number of microseconds up to {MOST}");
            Err(Errno::EINVAL)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds() {
        let read = |text: &'static CStr| read(c"busy_poll=", Some(Value { text, conversion: c"%u" }));
        assert_eq!(read(c"0"), Ok(Duration::ZERO));
        assert_eq!(read(c"50"), Ok(Duration::from_micros(50)));
        assert_eq!(read(c"10000"), Ok(Duration::from_millis(10)));
        for bad in [c"", c"-1", c"10001", c"1.5", c"5us", c"99999999999999999999"] {
            assert_eq!(read(bad), Err(Errno::EINVAL), "{bad:?}");
        }
    }
}
