//! What cbindgen printed, cut into declarations: each with its documentation, its kind and its name.

use crate::surface::Surface;

/// Where lines are broken.
pub const LINE_LENGTH: usize = 110;

/// Kinds of declarations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `#define`, typedef, struct or enum.
    Type,
    /// A function.
    Function,
}

/// One declaration.
#[derive(Clone, Debug)]
pub struct Item {
    /// Function or not.
    pub kind: Kind,
    /// Its name in C.
    pub name: String,
    /// The comment in front of it, with its marks; empty without one.
    pub doc: String,
    /// The declaration itself.
    pub code: String,
}

/// Cuts cbindgen's output into its declarations.
pub fn split(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut doc, mut code, mut depth, mut comment) = (String::new(), String::new(), 0_i32, false);
    for line in text.lines() {
        let trimmed = line.trim();
        let starts_comment = trimmed.starts_with("/*");
        if (comment || starts_comment) && code.is_empty() {
            comment = !trimmed.ends_with("*/");
            doc.push_str(line);
            doc.push('\n');
            continue;
        }
        if trimmed.is_empty() && code.is_empty() {
            continue;
        }
        code.push_str(line);
        code.push('\n');
        comment = (comment || starts_comment) && !trimmed.ends_with("*/");
        if comment || starts_comment || trimmed.ends_with("*/") {
            continue; // braces in a comment do not count
        }
        depth += line.matches(['{', '(']).count() as i32 - line.matches(['}', ')']).count() as i32;
        if depth == 0 && (trimmed.ends_with(';') || trimmed.starts_with("#define")) {
            items.extend(item(std::mem::take(&mut doc), std::mem::take(&mut code)).map(plain));
        }
    }
    items
}

fn item(doc: String, code: String) -> Option<Item> {
    let word = |text: &str| -> String {
        text.trim_start_matches([' ', '*', '(']).chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let last_word = |text: &str| word(text.trim_end().rsplit([' ', '*']).next().unwrap_or(text));
    let (kind, name) = if let Some(rest) = code.strip_prefix("#define ") {
        (Kind::Type, word(rest))
    } else if let Some(rest) = code.strip_prefix("typedef ") {
        let pointer = rest.find("(*").map(|at| word(&rest[at..]));
        (Kind::Type, pointer.unwrap_or_else(|| last_word(rest.trim_end().trim_end_matches(';'))))
    } else if let Some((head, _)) = code.split_once(" {").filter(|(head, _)| !head.contains('(')) {
        (Kind::Type, last_word(head))
    } else if let Some((head, _)) = code.split_once('(') {
        (Kind::Function, last_word(head))
    } else {
        (Kind::Type, last_word(code.trim_end().trim_end_matches(';')))
    };
    (!name.is_empty()).then_some(Item { kind, name, doc, code })
}

/// Makes of cbindgen's types what the headers show: enums of the integer aliases, all in the order of the source.
pub fn refine(items: Vec<Item>, surface: &Surface) -> Vec<Item> {
    let enum_of = |item: &Item| {
        let declared = surface.declared.get(&item.name)?.constant_type.clone()?;
        surface.declared.contains_key(&declared).then_some(declared)
    };
    let mut refined: Vec<Item> = Vec::new();
    for item in &items {
        let constants: Vec<&Item> = items.iter().filter(|c| enum_of(c).as_ref() == Some(&item.name)).collect();
        if enum_of(item).is_some() {
            continue; // goes into its enum
        }
        refined.push(if constants.is_empty() { item.clone() } else { enumeration(item, &constants) });
    }
    let order = |item: &Item| surface.declared.get(&item.name).map_or(usize::MAX, |d| d.order);
    refined.sort_by_key(order);
    refined
}

/// Opaque structs, constants of the right width, comments and functions in one form.
fn plain(mut item: Item) -> Item {
    if item.code.contains("uint8_t opaque[0];") {
        item.code = format!("struct {};\n", item.name);
    }
    if item.code.starts_with("#define") {
        item.code = unsigned_long(&item.code);
    }
    if item.kind == Kind::Function {
        item.code = one_line(&item.code);
    }
    item.doc = short_comments(&plain_text(&item.doc));
    item.code = short_comments(&plain_text(item.code.strip_prefix("extern ").unwrap_or(&item.code)));
    item
}

/// 64-bit constants are `unsigned long` in these headers where that is enough on every platform.
fn unsigned_long(define: &str) -> String {
    let Some((head, shift)) = define.split_once("(1ull << ") else {
        return define.to_string();
    };
    let wide = shift.trim_end().trim_end_matches(')').parse::<u32>().is_ok_and(|bit| bit >= 32);
    format!("{head}(1{} << {shift}", if wide { "ULL" } else { "UL" })
}

/// Takes out what only rustdoc understands: links and the heading of the section that C has no name for.
fn plain_text(text: &str) -> String {
    text.replace("[`", "`").replace("`]", "`").replace("* # Safety", "* The caller owes:")
}

/// A function that fits stands on one line.
fn one_line(code: &str) -> String {
    let words: Vec<&str> = code.split_whitespace().collect();
    let joined = words.join(" ");
    if joined.len() <= LINE_LENGTH { joined + "\n" } else { code.to_string() }
}

/// A comment of one line stands on one line.
fn short_comments(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        match lines.get(at..at + 3) {
            Some([open, only, close]) if open.trim() == "/**" && close.trim() == "*/" => {
                let indent = &open[..open.len() - open.trim_start().len()];
                out.push_str(&format!("{indent}/**{} */\n", only.trim_start().trim_start_matches('*')));
                at += 3;
            }
            _ => {
                out.push_str(line);
                out.push('\n');
                at += 1;
            }
        }
    }
    out
}

fn enumeration(alias: &Item, constants: &[&Item]) -> Item {
    let member = |constant: &&Item| {
        let value = constant.code.trim_end().splitn(3, ' ').nth(2).unwrap_or_default().to_string();
        let doc: String = constant.doc.lines().map(|line| format!("    {line}\n")).collect();
        format!("{doc}    {} = {value}", constant.name)
    };
    let members: Vec<String> = constants.iter().map(member).collect();
    Item { code: format!("enum {} {{\n{}\n}};\n", alias.name, members.join(",\n")), ..alias.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_names() {
        let text = "/** A { */\n#define A 1\n\n/**\n * B\n */\nstruct B {\n    /** ( */\n    int (*x)(int);\n};\n\ntypedef struct B *C;\n\ntypedef void (*D)(int,\n    int);\n\nconst char *e(int a,\n    int b);\n\nstruct B *f(void);\n\nstruct G;\n";
        let found: Vec<_> = split(text).into_iter().map(|i| (i.kind, i.name)).collect();
        let row = |kind, name: &str| (kind, name.to_string());
        use Kind::{Function, Type};
        let rows = [
            row(Type, "A"),
            row(Type, "B"),
            row(Type, "C"),
            row(Type, "D"),
            row(Function, "e"),
            row(Function, "f"),
            row(Type, "G"),
        ];
        assert_eq!(found, rows);
    }

    #[test]
    fn width_of_shifts() {
        assert_eq!(unsigned_long("#define A (1ull << 31)\n"), "#define A (1UL << 31)\n");
        assert_eq!(unsigned_long("#define A (1ull << 32)\n"), "#define A (1ULL << 32)\n");
    }
}
