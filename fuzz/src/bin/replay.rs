//! Runs the targets over files: `replay [TARGET FILE...]`, or the whole corpus. Says how many inputs there were.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Replays one target; the input that fails is named first, as a panic aborts.
fn replay(name: &str, run: fn(&[u8]), files: &[PathBuf]) -> std::io::Result<()> {
    for path in files {
        let data = std::fs::read(path)?;
        let shown = path.display();
        std::panic::set_hook(Box::new({
            let line = format!("{name}: {shown}");
            move |info| eprintln!("{line}: {info}")
        }));
        run(&data);
    }
    println!("{name}: {} inputs", files.len());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let wanted = arguments.first();
    for (name, run) in fusewire_fuzz::TARGETS.iter().filter(|(name, _)| wanted.is_none_or(|w| w == name)) {
        let named: Vec<PathBuf> = arguments.iter().skip(1).map(PathBuf::from).collect();
        let inputs = if named.is_empty() { files(&corpus.join(name)) } else { Ok(named) };
        if let Err(error) = inputs.and_then(|inputs| replay(name, *run, &inputs)) {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
