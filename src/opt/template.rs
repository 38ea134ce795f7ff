//! Templates: what an option looks like.
//!
//! | template | takes |
//! | --- | --- |
//! | `-x`, `--long`, `name`, `name=fixed` | exactly that |
//! | `name=%u` | `name=` with a value after it |
//! | `name=` | the same, without looking at the value |
//! | `-x %s` | `-x` with a value after it, or in the next argument |
//! | `-x ` | the same, without looking at the value |

use std::ffi::CStr;

/// How an option met a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// The template takes no value.
    Plain,
    /// The template takes a value, which starts at byte `value_at` of the option.
    Value {
        /// Where the value starts.
        value_at: usize,
        /// The scanf conversion of the template, from its `%`; None when the value is not looked at.
        conversion: Option<&'a CStr>,
    },
    /// As `Value`, but the value is the next argument: the option ends where its value would start.
    Next {
        /// The length of the option, which is where the value starts once it is appended.
        value_at: usize,
        /// As in `Value`.
        conversion: Option<&'a CStr>,
    },
}

/// Matches an option against a template.
pub fn matches<'a>(template: &'a CStr, option: &CStr) -> Option<Match<'a>> {
    let (text, option) = (template.to_bytes(), option.to_bytes());
    // The first `=` counts, a blank only where there is none.
    let separator = memchr::memchr(b'=', text).or_else(|| memchr::memchr(b' ', text));
    if let Some(at) = separator
        && matches!(text.get(at + 1), None | Some(b'%'))
    {
        let equals = text.get(at) == Some(&b'=');
        let value_at = if equals { at + 1 } else { at };
        if text.get(..value_at).is_some_and(|prefix| option.starts_with(prefix)) {
            return Some(with_value(template, at, equals, value_at, option.len()));
        }
    }
    (text == option).then_some(Match::Plain)
}

fn with_value(template: &CStr, at: usize, equals: bool, value_at: usize, length: usize) -> Match<'_> {
    if at == 0 {
        // A template without a name takes anything, and nothing apart.
        return Match::Plain;
    }
    let conversion = Some(tail(template, at + 1)).filter(|c| !c.is_empty());
    if !equals && length == value_at {
        Match::Next { value_at, conversion }
    } else {
        Match::Value { value_at, conversion }
    }
}

/// The string from byte `from` on; empty when it is shorter.
pub fn tail(text: &CStr, from: usize) -> &CStr {
    let bytes = text.to_bytes_with_nul().get(from..).unwrap_or_default();
    CStr::from_bytes_with_nul(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_templates_match_whole() {
        assert_eq!(matches(c"-x", c"-x"), Some(Match::Plain));
        assert_eq!(matches(c"-x", c"-xy"), None);
        assert_eq!(matches(c"mode=fast", c"mode=fast"), Some(Match::Plain));
        assert_eq!(matches(c"mode=fast", c"mode=slow"), None);
        assert_eq!(matches(c"two words", c"two words"), Some(Match::Plain));
    }

    #[test]
    fn equals_needs_the_name_and_the_sign() {
        let conversion = Some(c"%u");
        assert_eq!(matches(c"size=%u", c"size=12"), Some(Match::Value { value_at: 5, conversion }));
        assert_eq!(matches(c"size=%u", c"size="), Some(Match::Value { value_at: 5, conversion }));
        assert_eq!(matches(c"size=%u", c"size"), None);
        assert_eq!(matches(c"size=", c"size=x"), Some(Match::Value { value_at: 5, conversion: None }));
        assert_eq!(matches(c"=%s", c"=x"), Some(Match::Plain));
    }

    #[test]
    fn a_blank_lets_the_value_stand_apart() {
        let conversion = Some(c"%s");
        assert_eq!(matches(c"-p %s", c"-p"), Some(Match::Next { value_at: 2, conversion }));
        assert_eq!(matches(c"-p %s", c"-pval"), Some(Match::Value { value_at: 2, conversion }));
        assert_eq!(matches(c"-p ", c"-p"), Some(Match::Next { value_at: 2, conversion: None }));
        assert_eq!(matches(c"-p %s", c"-q"), None);
    }

    #[test]
    fn the_tail_of_a_string_never_leaves_it() {
        assert_eq!((tail(c"abc", 1), tail(c"abc", 3), tail(c"abc", 4), tail(c"abc", 99)), (c"bc", c"", c"", c""));
    }
}
