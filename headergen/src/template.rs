//! The hand-written part of a header, and how it takes in the generated part.
//!
//! A line that starts with `//@` is an instruction:
//!
//! | instruction | meaning |
//! | --- | --- |
//! | `item NAME` | the declaration NAME with its documentation; text after the name goes before the semicolon |
//! | `code NAME` | the declaration without its documentation |
//! | `doc NAME` | only its documentation; what follows is written by hand |
//! | `drop NAME` | not in this header |
//! | `vary NAME if CONDITION: FROM -> TO` | in NAME, the statement with FROM has TO instead under the condition |
//! | `swap NAME: FROM -> TO` | in NAME, TO stands for FROM |
//! | `if NAME` … `end` | only when NAME is there: not every function is written yet |
//! | `types`, `functions` | all that no other line of the template names |

use crate::Result;
use crate::item::{Item, Kind};
use std::collections::HashSet;

/// Fills in a template. `items` are the declarations of this header.
pub fn render(name: &str, template: &str, items: &[Item]) -> Result<String> {
    let mut items = items.to_vec();
    let mut named = HashSet::new();
    for (number, line) in template.lines().enumerate() {
        let Some((word, rest)) = instruction(line) else {
            continue;
        };
        if let "item" | "code" | "doc" | "drop" = word {
            named.insert(first_word(rest).to_string());
        }
        let changed = match word {
            "vary" => vary(&mut items, rest),
            "swap" => swap(&mut items, rest),
            _ => Ok(()),
        };
        changed.map_err(|e| format!("{name}.in, line {}: {e}", number + 1))?;
    }
    let mut out = String::new();
    let mut skipping = false;
    for (number, line) in template.lines().enumerate() {
        let Some((word, rest)) = instruction(line) else {
            if !skipping {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        let item = items.iter().find(|item| item.name == first_word(rest));
        match word {
            "if" => skipping = item.is_none(),
            "end" => skipping = false,
            _ if skipping => {}
            "vary" | "swap" | "drop" => {}
            "types" => out.push_str(&rest_of(&items, Kind::Type, &named)),
            "functions" => out.push_str(&rest_of(&items, Kind::Function, &named)),
            "doc" | "code" | "item" => match item {
                Some(item) if word == "doc" => out.push_str(&item.doc),
                Some(item) if word == "code" => out.push_str(&item.code),
                Some(item) => out.push_str(&with_suffix(item, rest)),
                None => {
                    return Err(format!("{name}.in, line {}: there is no {}", number + 1, first_word(rest)));
                }
            },
            _ => {
                return Err(format!("{name}.in, line {}: unknown instruction {word}", number + 1));
            }
        }
    }
    Ok(squeeze(&out))
}

fn instruction(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("//@")?.trim();
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn with_suffix(item: &Item, rest: &str) -> String {
    let suffix = rest.trim_start().strip_prefix(&item.name).unwrap_or_default().trim();
    let code = item.code.trim_end().trim_end_matches(';');
    let gap = if suffix.is_empty() { "" } else { "\n    " };
    let semicolon = if item.code.trim_end().ends_with(';') { ";" } else { "" };
    format!("{}{code}{gap}{suffix}{semicolon}\n", item.doc)
}

fn rest_of(items: &[Item], kind: Kind, named: &HashSet<String>) -> String {
    let rest = items.iter().filter(|item| item.kind == kind && !named.contains(&item.name));
    rest.map(|item| format!("{}{}", item.doc, item.code)).collect::<Vec<_>>().join("\n")
}

/// At most one empty line in a row, so that parts left out leave no gap.
fn squeeze(text: &str) -> String {
    let mut out = String::new();
    let mut empty = false;
    for line in text.lines() {
        if line.is_empty() && empty {
            continue;
        }
        empty = line.is_empty();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Replaces text of an item. Leaves an item that is not there alone.
fn swap(items: &mut [Item], rest: &str) -> Result<()> {
    let malformed = || "swap NAME: FROM -> TO".to_string();
    let (name, rest) = rest.split_once(": ").ok_or_else(malformed)?;
    let (from, to) = rest.split_once(" -> ").ok_or_else(malformed)?;
    if let Some(item) = items.iter_mut().find(|item| item.name == name) {
        item.code = item.code.replace(from, to);
    }
    Ok(())
}

/// Gives a statement of an item two forms. Leaves an item that is not there alone.
fn vary(items: &mut [Item], rest: &str) -> Result<()> {
    let malformed = || "vary NAME if CONDITION: FROM -> TO".to_string();
    let (name, rest) = rest.split_once(" if ").ok_or_else(malformed)?;
    let (condition, rest) = rest.split_once(": ").ok_or_else(malformed)?;
    let (from, to) = rest.split_once(" -> ").ok_or_else(malformed)?;
    let Some(item) = items.iter_mut().find(|item| item.name == name) else {
        return Ok(());
    };
    let at = item.code.find(from).ok_or_else(|| format!("{name} has no `{from}`"))?;
    let before = &item.code[..at];
    let start = before.rfind([';', '{', '/']).map_or(0, |mark| mark + 1);
    let start = start + item.code[start..].find(|c: char| c != '\n').unwrap_or(0);
    let end = at + item.code[at..].find([';', '{']).ok_or_else(malformed)? + 1;
    let statement = item.code[start..end].to_string();
    let other = statement.replacen(from, to, 1);
    item.code.replace_range(start..end, &format!("#if {condition}\n{other}\n#else\n{statement}\n#endif"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, name: &str, code: &str) -> Item {
        Item { kind, name: name.into(), doc: format!("/** {name} */\n"), code: code.into() }
    }

    #[test]
    fn instructions() {
        let items = [
            item(Kind::Type, "s", "struct s {\n    /** m */\n    int m;\n    int n;\n};\n"),
            item(Kind::Function, "f", "void f(int);\n"),
            item(Kind::Function, "g", "void g(int);\n"),
        ];
        let text = "//@ vary s if X < 3: int m -> long m\n//@ item s\n//@ if h\nno\n//@ item h\n//@ end\n//@ item f NAMED\n//@ functions\n";
        let want = "/** s */\nstruct s {\n    /** m */\n#if X < 3\n    long m;\n#else\n    int m;\n#endif\n    int n;\n};\n/** f */\nvoid f(int)\n    NAMED;\n/** g */\nvoid g(int);\n";
        assert_eq!(render("t", text, &items).unwrap(), want);
        assert!(render("t", "//@ item h\n", &items).is_err());
        assert!(render("t", "//@ what\n", &items).is_err());
    }
}
