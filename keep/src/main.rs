//! fusewire-keep: keeps a FUSE mount's file descriptors while its daemon is restarted or replaced. See docs/keep.md.
//!
//! It never makes a system call on the mount: whoever does that sleeps until a daemon answers, and none would come.
#![deny(unsafe_code)]

mod children;
mod daemon;
mod depot;
mod hold;
mod keeper;
mod options;
mod watch;

use options::Asked;
use std::io::Write;
use std::process::ExitCode;

/// The command line was wrong.
const USAGE: u8 = 2;

/// Lines on the standard error, with the program's name.
struct Lines;

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            // One write, so that lines of the daemon do not come between; where nobody reads, nothing can be done.
            let _ = std::io::stderr().write_all(format!("fusewire-keep: {}\n", record.args()).as_bytes());
        }
    }

    fn flush(&self) {}
}

fn main() -> ExitCode {
    if log::set_logger(&Lines).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    match options::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Say(text)) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Ok(Asked::Run(options)) => ExitCode::from(keeper::run(&options)),
        Err(error) => {
            log::error!("{error} (see fusewire-keep --help)");
            ExitCode::from(USAGE)
        }
    }
}
