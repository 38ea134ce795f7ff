//! The C surface as its source tells it: which Rust files make a header, what they declare, and which symbols they
//! export.

use crate::{Result, files_below, read};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The headers, each after those that it includes, with the names of its source files: for each stem
/// `src/abi/c/<stem>.rs`, `src/abi/c/<stem>/`, `src/capi/<stem>.rs` and `src/capi/<stem>/`. A new header needs a line
/// here and a template in `include/templates/`.
pub const HEADERS: [(&str, &[&str]); 8] = [
    ("libfuse_config.h", &["config"]),
    ("fuse_opt.h", &["opt"]),
    ("fuse_log.h", &["log"]),
    ("fuse_common.h", &["common"]),
    ("fuse_lowlevel.h", &["lowlevel", "cmdline"]),
    ("cuse_lowlevel.h", &["cuse"]),
    ("fuse_service.h", &["service"]),
    ("fuse_daemonize.h", &["daemonize"]),
];

/// A `symver!` line: a symbol of the libraries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Name of the symbol.
    pub name: String,
    /// The Rust function behind it.
    pub function: String,
    /// Its version.
    pub version: String,
    /// The version that new links take (`@@`).
    pub default: bool,
    /// Index into [`HEADERS`].
    pub header: usize,
}

/// A type or constant that a header may show.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Index into [`HEADERS`].
    pub header: usize,
    /// Where it stands among all that is declared, in the order of the source.
    pub order: usize,
    /// The type of a constant.
    pub constant_type: Option<String>,
}

/// All that is known from the source.
#[derive(Default)]
pub struct Surface {
    /// The Rust files, in the order of [`HEADERS`].
    pub files: Vec<PathBuf>,
    /// The symbols, in the order of the source.
    pub exports: Vec<Export>,
    /// Types and constants by name.
    pub declared: BTreeMap<String, Declared>,
    /// What each exported function does: the first sentence of its documentation.
    pub summaries: BTreeMap<String, String>,
    /// Plain integer constants by name, for the versions.
    pub numbers: BTreeMap<String, i64>,
}

impl Surface {
    /// Reads the source below `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut surface = Self::default();
        for (header, (_, stems)) in HEADERS.iter().enumerate() {
            for file in ["src/abi/c", "src/capi"].iter().flat_map(|side| files_of(&root.join(side), stems)) {
                surface.scan(&read(&file)?, header)?;
                surface.files.push(file);
            }
        }
        surface.refuse_strays(root)?;
        Ok(surface)
    }

    /// An export in a file that belongs to no header would be missing from all of them without a word.
    fn refuse_strays(&self, root: &Path) -> Result<()> {
        for file in files_below(&root.join("src/capi"), &["rs"]) {
            if !self.files.contains(&file) && !exports(&read(&file)?, 0)?.is_empty() {
                return Err(format!("{} exports symbols and belongs to no header of HEADERS", file.display()));
            }
        }
        Ok(())
    }

    fn scan(&mut self, text: &str, header: usize) -> Result<()> {
        self.exports.extend(exports(text, header)?);
        self.summaries.extend(summaries(text));
        for line in text.lines() {
            let Some(rest) = line.trim_start().strip_prefix("pub ") else {
                continue;
            };
            let Some((keyword, rest)) = rest.split_once(' ') else {
                continue;
            };
            if !matches!(keyword, "struct" | "union" | "type" | "const") {
                continue;
            }
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let constant = rest.split_once(": ").filter(|_| keyword == "const");
            let constant_type = constant.map(|(_, after)| after.split(" =").next().unwrap_or(after).to_string());
            let number = constant.and_then(|(_, after)| after.split_once("= ")).and_then(|(_, value)| integer(value));
            if let Some(number) = number {
                self.numbers.insert(name.clone(), number);
            }
            let order = self.declared.len();
            // A struct with bit-fields stands there twice, under one name; its place is that of the first.
            self.declared.entry(name).or_insert(Declared { header, order, constant_type });
        }
        Ok(())
    }

    /// The number that a constant has.
    pub fn number(&self, name: &str) -> Result<i64> {
        self.numbers.get(name).copied().ok_or_else(|| format!("no constant {name} with a plain number in src/abi/c"))
    }

    /// The version of the API, as in `3.19.0`.
    pub fn version(&self) -> Result<String> {
        let part = |name: &str| self.number(&format!("FUSE_{name}_VERSION"));
        Ok(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("HOTFIX")?))
    }
}

fn files_of(side: &Path, stems: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for stem in stems {
        files.extend(Some(side.join(format!("{stem}.rs"))).filter(|file| file.exists()));
        files.extend(files_below(&side.join(stem), &["rs"]));
    }
    files
}

fn integer(value: &str) -> Option<i64> {
    let value = value.trim_end_matches(';');
    value.strip_prefix("0x").map_or_else(|| value.parse().ok(), |hex| i64::from_str_radix(hex, 16).ok())
}

/// The functions of a source file that C may call, each with the first sentence of its documentation.
fn summaries(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut doc = String::new();
    for line in text.lines() {
        if let Some(part) = line.strip_prefix("///") {
            doc.push_str(part);
        } else if let Some((_, rest)) = line.split_once("extern \"C\" fn ") {
            let name = rest.split('(').next().unwrap_or(rest);
            let doc = std::mem::take(&mut doc);
            let sentence = doc.split_once(". ").map_or(doc.as_str(), |(first, _)| first);
            found.insert(name.to_string(), sentence.trim().trim_end_matches('.').to_string() + ".");
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

/// The `symver!` lines of a source file: `symver!(name, "V")`, `symver!(function as name @ "V")` or `@@`.
fn exports(text: &str, header: usize) -> Result<Vec<Export>> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("symver!(") {
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let inside = &text[start + "symver!(".len()..];
        if text[line_start..start].contains("//") || inside.starts_with(['@', '$']) {
            continue; // a comment, or the definition of the macro
        }
        let inside = inside.split(')').next().unwrap_or(inside);
        found.push(export(inside, header).ok_or_else(|| format!("symver!({inside}) is not of a known form"))?);
    }
    Ok(found)
}

fn export(inside: &str, header: usize) -> Option<Export> {
    let mut quoted = inside.split('"');
    let head = quoted.next()?.trim().trim_end_matches(',');
    let version = quoted.next()?.to_string();
    let words: Vec<&str> = head.split_whitespace().collect();
    let (function, name, default) = match words.as_slice() {
        [name] => (name, name, true),
        [function, "as", name, "@"] => (function, name, false),
        [function, "as", name, "@@"] => (function, name, true),
        _ => return None,
    };
    Some(Export { name: name.to_string(), function: function.to_string(), version, default, header })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_sentences() {
        let text = "/// Not this.\nfn no() {}\n\n/// What it\n/// does. And more.\n#[x]\npub extern \"C\" fn a(b: c) {}\n/// Short.\npub extern \"C\" fn d() {}\n";
        let found: Vec<_> = summaries(text).into_iter().collect();
        let row = |name: &str, does: &str| (name.to_string(), does.to_string());
        assert_eq!(found, [row("a", "What it does."), row("d", "Short.")]);
    }

    #[test]
    fn forms_of_symver() {
        let text = "symver!(a, \"FUSE_3.0\");\nsymver!(b as a @ \"FUSE_3.2\");\n// symver!(no, \"X\")\n    symver!(\n  c as d @@ \"FUSE_3.17.3\"\n);";
        let found: Vec<_> =
            exports(text, 0).unwrap().into_iter().map(|e| (e.function, e.name, e.version, e.default)).collect();
        let row = |f: &str, n: &str, v: &str, d| (f.to_string(), n.to_string(), v.to_string(), d);
        assert_eq!(
            found,
            [row("a", "a", "FUSE_3.0", true), row("b", "a", "FUSE_3.2", false), row("c", "d", "FUSE_3.17.3", true)]
        );
        assert!(exports("symver!(a b)", 0).is_err());
    }
}
