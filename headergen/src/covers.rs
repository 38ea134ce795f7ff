//! Which tests mention which function.
//!
//! Two things count, so that the list promises nothing that is not there: a call `name(` in the code of a C file, its
//! comments and strings left out; and a marker `covers: name other_name@FUSE_3.2` in a C or Python file, for what is
//! called through a binary, a header's inline function or ctypes. A bare name means the default version.

use crate::{Result, files_below, read};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Test files by what they cover: `name` or `name@version`.
pub type Covers = BTreeMap<String, BTreeSet<String>>;

/// Reads all of `capi-tests/` and `examples/`, but for the tests of the structure, which name every symbol.
pub fn read_all(root: &Path) -> Result<Covers> {
    let mut covers = Covers::new();
    for folder in ["capi-tests", "examples"] {
        for file in files_below(&root.join(folder), &["c", "h", "cc", "cpp", "py"]) {
            let path = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            if path.starts_with("capi-tests/structure/") || path.starts_with("capi-tests/build/") {
                continue;
            }
            let text = read(&file)?;
            let calls = if path.ends_with(".py") { Vec::new() } else { calls(&text) };
            for name in markers(&text).into_iter().chain(calls) {
                covers.entry(name).or_default().insert(path.clone());
            }
        }
    }
    Ok(covers)
}

fn markers(text: &str) -> Vec<String> {
    let lists = text.lines().filter_map(|line| line.split_once("covers: "));
    lists
        .flat_map(|(_, names)| names.split_whitespace())
        .map(|name| name.trim_end_matches([',', '.', ';']).to_string())
        .collect()
}

fn calls(text: &str) -> Vec<String> {
    let code = code_only(text);
    let before = code.match_indices('(').map(|(at, _)| code[..at].trim_end());
    let name = |before: &str| {
        let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        before[start..].to_string()
    };
    before.map(name).filter(|name| !name.is_empty()).collect()
}

/// The text without comments and the insides of strings; what is left out was ASCII or becomes a space.
fn code_only(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |at| at + 4)
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' || c == '\'' {
            literal(rest, c)
        } else {
            code.push(if c.is_ascii() { c } else { ' ' });
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// Length of a string or character literal.
fn literal(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_code_only() {
        let text = "/* no(1) */ yes (2); // no2()\n\"no3(\" '\\'' also(\"\\\"(\") x";
        assert_eq!(calls(text), ["yes", "also"]);
        assert_eq!(markers("# covers: fuse_a, fuse_b@FUSE_3.2\n"), ["fuse_a", "fuse_b@FUSE_3.2"]);
    }
}
