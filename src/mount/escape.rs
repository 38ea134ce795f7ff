//! Option values that contain separators: how they reach fusermount3 and the kernel unharmed.

use super::kernel::Parameter;
use std::borrow::Cow;
use std::ffi::{CStr, CString};

/// Appends a value for fusermount3's `-o`, which splits at commas and takes a backslash as "the next byte is meant
/// literally". It does so for `fsname=` and `subtype=` only.
pub fn for_helper(value: &[u8], into: &mut Vec<u8>) {
    for &byte in value {
        if matches!(byte, b',' | b'\\') {
            into.push(b'\\');
        }
        into.push(byte);
    }
}

/// Appends a parameter to mount(2)'s data, where a value with commas (SELinux categories: `s0:c1,c2`) has to stand in
/// double quotes. A value that brings its own is left as it is.
pub fn for_kernel(parameter: &Parameter, into: &mut Vec<u8>) {
    if !into.is_empty() {
        into.push(b',');
    }
    into.extend_from_slice(parameter.key.to_bytes());
    let Some(value) = &parameter.value else { return };
    let value = value.to_bytes();
    let quote: &[u8] = if value.contains(&b',') && !value.contains(&b'"') { b"\"" } else { b"" };
    for part in [b"=", quote, value, quote] {
        into.extend_from_slice(part);
    }
}

/// A value without the double quotes that it brings for mount(2): elsewhere they would be a part of it.
pub fn unquoted(value: &CStr) -> Cow<'_, CStr> {
    let inner = value.to_bytes().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner.and_then(|inner| CString::new(inner).ok()).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// Bytes of a field of the mount table, where some stand as a backslash and three octal digits.
pub fn table_length(field: &[u8]) -> usize {
    field.iter().map(|byte| if b" \t\n\\#".contains(byte) { 4 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    fn helper(value: &str) -> String {
        let mut out = Vec::new();
        super::for_helper(value.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn kernel(item: &str) -> String {
        let mut out = Vec::new();
        super::for_kernel(&super::Parameter::parse(item.as_bytes()).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn helper_values_keep_their_separators() {
        assert_eq!(helper("plain näme"), "plain näme");
        assert_eq!(helper(r"a,b\c"), r"a\,b\\c");
        assert_eq!(helper(""), "");
    }

    #[test]
    fn kernel_values_with_commas_are_quoted_once() {
        assert_eq!(kernel("context=u:r:t:s0"), "context=u:r:t:s0");
        assert_eq!(kernel("context=u:r:t:s0:c1,c2"), r#"context="u:r:t:s0:c1,c2""#);
        assert_eq!(kernel(r#"context="u:s0:c1,c2""#), r#"context="u:s0:c1,c2""#);
        assert_eq!(kernel("bare"), "bare");
        assert_eq!(kernel("empty="), "empty=");
    }

    #[test]
    fn quotes_are_for_one_way_only() {
        for (given, expected) in [(c"\"a,b\"", c"a,b"), (c"a,b", c"a,b"), (c"\"", c"\""), (c"\"a", c"\"a")] {
            assert_eq!(super::unquoted(given).as_ref(), expected);
        }
    }
}
