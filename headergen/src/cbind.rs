//! cbindgen: Rust declarations as C text.

use crate::item::{self, Item, Kind};
use crate::surface::Surface;
use crate::{Result, read};
use cbindgen::{Builder, Config, DocumentationStyle, ItemType, Language, Style};

/// Structs of the system's headers that the surface mentions.
const SYSTEM_STRUCTS: [&str; 7] = ["stat", "statvfs", "statx", "flock", "iovec", "timespec", "utimbuf"];

/// All declarations of the surface, in the order of its source; only exported functions, and each under the names
/// that it is exported as.
pub fn items(surface: &Surface) -> Result<Vec<Item>> {
    let mut builder = Builder::new().with_config(config(surface));
    for file in &surface.files {
        read(file)?; // a better message than cbindgen's
        builder = builder.with_src(file);
    }
    let mut text = Vec::new();
    builder.generate().map_err(|e| format!("cbindgen: {e}"))?.write(&mut text);
    let text = String::from_utf8(text).map_err(|e| format!("cbindgen: {e}"))?;
    let items: Vec<Item> =
        item::split(&text).into_iter().filter(|item| item.kind == Kind::Function || public(&item.name)).collect();
    let (functions, types): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.kind == Kind::Function);
    let mut items = item::refine(types, surface);
    for export in &surface.exports {
        let Some(function) = functions.iter().find(|f| f.name == export.function) else {
            return Err(format!(
                "{} is exported, but cbindgen does not see the function {}",
                export.name, export.function
            ));
        };
        if !export.default && surface.exports.iter().any(|e| e.name == export.name && e.default) {
            continue; // an old version of a name: no header declares it
        }
        items.push(under_name(function, &export.name));
    }
    Ok(items)
}

/// Constants of ours that are no part of the interface do not begin like one.
fn public(name: &str) -> bool {
    ["FUSE", "CUSE", "fuse_", "cuse_", "libfuse_"].iter().any(|prefix| name.starts_with(prefix))
}

fn under_name(function: &Item, name: &str) -> Item {
    let old = format!("{}(", function.name);
    Item { name: name.to_string(), code: function.code.replacen(&old, &format!("{name}("), 1), ..function.clone() }
}

fn config(surface: &Surface) -> Config {
    let mut config = Config {
        language: Language::C,
        style: Style::Tag,
        no_includes: true,
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::Doxy,
        line_length: item::LINE_LENGTH,
        tab_width: 4,
        ..Config::default()
    };
    // What no function mentions is to be printed too.
    config.export.include = surface.declared.keys().cloned().collect();
    config.export.item_types = vec![
        ItemType::Constants,
        ItemType::Structs,
        ItemType::Unions,
        ItemType::Typedefs,
        ItemType::OpaqueItems,
        ItemType::Functions,
    ];
    for name in SYSTEM_STRUCTS {
        config.export.rename.insert(name.to_string(), format!("struct {name}"));
    }
    for declared in surface.declared.values() {
        let Some(name) = declared.constant_type.as_ref().filter(|name| surface.declared.contains_key(*name)) else {
            continue;
        };
        config.export.rename.insert(name.clone(), format!("enum {name}"));
    }
    config
}
