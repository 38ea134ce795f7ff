//! Writes what is generated from the source of the C surface: `include/`, `pkgconfig/fuse3.pc.in` and
//! `docs/compatibility.md`. With `--check` nothing is written; it fails and names each file that is stale.

mod cbind;
mod covers;
mod header;
mod item;
mod matrix;
mod pkgconfig;
mod surface;
mod template;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// What went wrong, as one line for whoever ran it.
type Result<T> = std::result::Result<T, String>;

/// A generated file: its path from the root of the repository, and its text.
struct Output {
    path: PathBuf,
    text: String,
}

impl Output {
    fn new(path: impl Into<PathBuf>, text: String) -> Self {
        Self { path: path.into(), text }
    }
}

fn main() -> ExitCode {
    let check = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [only] if only == "--check" => true,
        _ => {
            eprintln!("usage: headergen [--check]");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match generate(&root).and_then(|outputs| if check { compare(&root, &outputs) } else { write(&root, &outputs) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("headergen: {message}");
            ExitCode::FAILURE
        }
    }
}

fn generate(root: &Path) -> Result<Vec<Output>> {
    let surface = surface::Surface::read(root)?;
    let mut outputs = header::generate(root, &surface)?;
    outputs.push(pkgconfig::generate(&surface)?);
    outputs.push(matrix::generate(root, &surface)?);
    Ok(outputs)
}

fn write(root: &Path, outputs: &[Output]) -> Result<()> {
    for output in outputs {
        let path = root.join(&output.path);
        if fs::read_to_string(&path).is_ok_and(|old| old == output.text) {
            continue; // keeps the time stamp, on which builds depend
        }
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        fs::write(&path, &output.text).map_err(|e| format!("{}: {e}", path.display()))?;
        println!("wrote {}", output.path.display());
    }
    Ok(())
}

fn compare(root: &Path, outputs: &[Output]) -> Result<()> {
    let stale: Vec<String> = outputs
        .iter()
        .filter(|output| fs::read_to_string(root.join(&output.path)).ok().as_ref() != Some(&output.text))
        .map(|output| output.path.display().to_string())
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("stale, run `cargo run -p headergen`: {}", stale.join(", ")))
}

/// Reads a file, naming it when that fails.
fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// All files below a folder whose names end in `extension`, sorted; none when there is no such folder.
fn files_below(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path, extensions));
        } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    found
}
