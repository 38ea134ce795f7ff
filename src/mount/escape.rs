//! Option values that contain separators: how they reach fusermount3 and the kernel unharmed.

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

/// Appends `name=value` for mount(2)'s data, where a value with commas (SELinux categories: `s0:c1,c2`) has to stand
/// in double quotes. A value that brings its own is left as it is.
pub fn for_kernel(item: &[u8], into: &mut Vec<u8>) {
    let split = item.iter().position(|&b| b == b'=').map_or(item.len(), |at| at + 1);
    let (name, value) = item.split_at(split);
    into.extend_from_slice(name);
    if value.contains(&b',') && !value.contains(&b'"') {
        into.push(b'"');
        into.extend_from_slice(value);
        into.push(b'"');
    } else {
        into.extend_from_slice(value);
    }
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
        super::for_kernel(item.as_bytes(), &mut out);
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
    }
}
