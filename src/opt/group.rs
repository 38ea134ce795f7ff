//! The value of `-o`: options with commas between them.
//!
//! A backslash takes the meaning off what follows, so `\,` and `\\` stand for themselves; three octal digits, up to
//! `\377`, stand for a byte. A backslash at the very end is an ordinary character.

use std::ffi::{CStr, CString};

/// The options of a group, unescaped, one after the other. There is always at least one, if only an empty one.
pub fn split(group: &CStr) -> impl Iterator<Item = CString> {
    let mut rest = Some(group.to_bytes());
    std::iter::from_fn(move || {
        let (option, after) = first(rest?);
        rest = after;
        Some(option)
    })
}

/// The first option of a group, and the group after its comma.
fn first(mut group: &[u8]) -> (CString, Option<&[u8]>) {
    let mut option = Vec::new();
    let after = loop {
        group = match group {
            [] => break None,
            [b',', after @ ..] => break Some(after),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                option.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                option.push(*byte);
                after
            }
        };
    };
    // `\000` ends the option, as it does for every C function that would see it.
    option.push(0);
    (CStr::from_bytes_until_nul(&option).unwrap_or_default().to_owned(), after)
}

/// Whether an option is escaped when it joins a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As it is: it may hold several options, or be escaped already.
    No,
    /// So that [`split()`] gives it back as one option.
    Yes,
}

/// What must follow a group of `length` bytes so that it also holds `option`. No comma stands in front of a group's
/// first option that is not empty.
pub fn suffix(length: usize, option: &CStr, escape: Escape) -> Vec<u8> {
    let mut suffix = Vec::with_capacity(option.count_bytes() + 1);
    if length > 0 {
        suffix.push(b',');
    }
    for &byte in option.to_bytes() {
        if escape == Escape::Yes && matches!(byte, b',' | b'\\') {
            suffix.push(b'\\');
        }
        suffix.push(byte);
    }
    suffix
}

/// Adds an option to a group.
pub fn append(group: &mut Vec<u8>, option: &CStr, escape: Escape) {
    group.extend_from_slice(&suffix(group.len(), option, escape));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(group: &CStr) -> Vec<CString> {
        split(group).collect()
    }

    #[test]
    fn commas_separate_and_escapes_join() {
        assert_eq!(options(c"a,b=1,c"), [c"a".to_owned(), c"b=1".to_owned(), c"c".to_owned()]);
        assert_eq!(options(c"a\\,b\\\\,c"), [c"a,b\\".to_owned(), c"c".to_owned()]);
        assert_eq!(options(c""), [c"".to_owned()]);
        assert_eq!(options(c",a,"), [c"".to_owned(), c"a".to_owned(), c"".to_owned()]);
    }

    #[test]
    fn octal_needs_three_digits_up_to_377() {
        assert_eq!(options(c"\\101\\054x"), [c"A,x".to_owned()]);
        assert_eq!(options(c"\\400\\08"), [c"40008".to_owned()]);
        assert_eq!(options(c"\\377"), [CString::from(c"\xff")]);
        assert_eq!(options(c"ab\\000cd,e"), [c"ab".to_owned(), c"e".to_owned()]);
        assert_eq!(options(c"end\\"), [c"end\\".to_owned()]);
        assert_eq!(options(c"\\12"), [c"12".to_owned()]);
    }

    #[test]
    fn what_was_escaped_comes_back() {
        let mut group = Vec::new();
        for option in [c"a,b", c"c\\d", c"plain"] {
            append(&mut group, option, Escape::Yes);
        }
        assert_eq!(group, b"a\\,b,c\\\\d,plain");
        let group = CString::new(group).unwrap();
        assert_eq!(options(&group), [c"a,b".to_owned(), c"c\\d".to_owned(), c"plain".to_owned()]);
    }

    #[test]
    fn no_comma_before_the_first() {
        let mut group = Vec::new();
        append(&mut group, c"", Escape::No);
        append(&mut group, c"a,b", Escape::No);
        append(&mut group, c"", Escape::No);
        assert_eq!(group, b"a,b,");
    }
}
