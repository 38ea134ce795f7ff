//! Values of options as sscanf(3) would convert them.

use super::{Result, Value};
use nix::errno::Errno;
use std::ffi::CStr;
use std::ops::RangeInclusive;

/// A number as `%u` reads it, and how many bytes it read: blanks, a sign, digits. What follows is not looked at, a
/// minus sign wraps around, and what does not fit 64 bits is the largest number, cut to 32 bits like every other.
pub fn unsigned(text: &[u8]) -> Option<(u32, usize)> {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t'..=b'\r')).count();
    let rest = text.get(blanks..)?;
    let (negative, sign) = match rest.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let digits = rest.get(sign..)?.iter().take_while(|b| b.is_ascii_digit());
    let (mut value, mut count) = (Some(0u64), 0);
    for digit in digits {
        value = value.and_then(|v| v.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        count += 1;
    }
    if count == 0 {
        return None;
    }
    let value = match value {
        Some(value) if negative => value.wrapping_neg(),
        Some(value) => value,
        None => u64::MAX,
    };
    Some((value as u32, blanks + sign + count))
}

/// The value of a `%u` template: what [`unsigned()`] reads, or EINVAL and a line that names the option.
pub fn param(option: &CStr, value: Option<Value<'_>>) -> Result<u32> {
    match value.and_then(|v| unsigned(v.text.to_bytes())) {
        Some((number, _)) => Ok(number),
        None => {
            bad_value(option);
            Err(Errno::EINVAL)
        }
    }
}

/// The value of a `%u` template that has to be a number in `range` and nothing else; else EINVAL, and a line that names the
/// option and `what` the number is.
pub fn number_in(option: &CStr, value: Option<Value<'_>>, range: RangeInclusive<u32>, what: &str) -> Result<u32> {
    let number = value.and_then(|value| value.text.to_str().ok()?.parse().ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        let (option, least, most) = (option.to_string_lossy(), range.start(), range.end());
        log::error!("option '{option}': {what} must be a number from {least} to {most}");
        Errno::EINVAL
    })
}

/// Logs that an option's value does not convert.
pub fn bad_value(option: &CStr) {
    log::error!("option '{}' has a value of the wrong form", option.to_string_lossy());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_range() {
        let read = |text| number_in(c"option=", Some(Value { text, conversion: c"%u" }), 1..=50, "the number");
        assert_eq!((read(c"1"), read(c"50")), (Ok(1), Ok(50)));
        for bad in [c"", c"0", c"51", c"-1", c"1.5", c"5x", c" 5", c"99999999999999999999"] {
            assert_eq!(read(bad), Err(Errno::EINVAL), "{bad:?}");
        }
    }

    #[test]
    fn reads_what_scanf_reads() {
        assert_eq!(unsigned(b"42"), Some((42, 2)));
        assert_eq!(unsigned(b" \t+7x"), Some((7, 4)));
        assert_eq!(unsigned(b"0x10"), Some((0, 1)));
        assert_eq!(unsigned(b"-1"), Some((u32::MAX, 2)));
        assert_eq!(unsigned(b"4294967296"), Some((0, 10)));
        assert_eq!(unsigned(b"18446744073709551615"), Some((u32::MAX, 20)));
        assert_eq!(unsigned(b"99999999999999999999"), Some((u32::MAX, 20)));
        assert_eq!(unsigned(b"-99999999999999999999"), Some((u32::MAX, 21)));
        assert_eq!(unsigned(b"-18446744073709551614"), Some((2, 21)));
    }

    #[test]
    fn refuses_what_has_no_digit() {
        for text in [&b""[..], b" ", b"-", b"+x", b"x1", b"- 1", b"\x001"] {
            assert_eq!(unsigned(text), None);
        }
        let value = |text| Some(Value { text, conversion: c"%u" });
        assert_eq!(param(c"max=", value(c"")), Err(Errno::EINVAL));
        assert_eq!(param(c"max=3", value(c"3")), Ok(3));
    }
}
