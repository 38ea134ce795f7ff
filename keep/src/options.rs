//! The command line.

use lexopt::prelude::*;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::time::Duration;

const HELP: &str = "\
Usage: fusewire-keep [OPTIONS] -- DAEMON [ARGS...]

Keeps a FUSE mount alive while its daemon is restarted or replaced: holds the mount's file descriptors and its state, starts
the daemon, and starts it again when it dies. The daemon has to be recoverable (fuse_session_set_recoverable), and to stay in
the foreground or to go to the background by fuse_daemonize().

Options:
      --deadline SECONDS       kill and replace a daemon in which nothing moves for so long although requests wait [off]
      --grace SECONDS          what a daemon is given to end after a signal that asks for that, before it is killed [10]
      --upgrade-signal SIGNAL  asks a daemon to leave its mount to its successor [USR1]
      --attempts N             give the mount up after so many daemons in a row that never served [5]
      --well-after SECONDS     a daemon that served for so long is restarted without delay [1]
      --max-delay SECONDS      the longest delay before a restart [10]
  -h, --help                   print this
  -V, --version                print the version

Signals: HUP starts the daemon's program anew and has it take over; TERM, INT and QUIT are passed on and end the keeper with
the daemon; USR1 and USR2 are passed on.
";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub deadline: Option<Duration>,
    pub grace: Duration,
    pub upgrade_signal: Signal,
    pub attempts: u32,
    pub well_after: Duration,
    pub max_delay: Duration,
    /// The daemon's program and its arguments; never empty.
    pub command: Vec<OsString>,
}

/// What the command line comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Run(Options),
    /// A text for the standard output.
    Say(String),
}

/// Understands the arguments, without the program's name. An error names what is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let mut options = Options {
        deadline: None,
        grace: Duration::from_secs(10),
        upgrade_signal: Signal::SIGUSR1,
        attempts: 5,
        well_after: Duration::from_secs(1),
        max_delay: Duration::from_secs(10),
        command: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("deadline") => options.deadline = Some(seconds("--deadline", parser.value()?)?),
            Long("grace") => options.grace = seconds("--grace", parser.value()?)?,
            Long("well-after") => options.well_after = seconds("--well-after", parser.value()?)?,
            Long("max-delay") => options.max_delay = seconds("--max-delay", parser.value()?)?,
            Long("upgrade-signal") => options.upgrade_signal = signal(parser.value()?)?,
            Long("attempts") => options.attempts = attempts(parser.value()?)?,
            Short('h') | Long("help") => return Ok(Asked::Say(HELP.into())),
            Short('V') | Long("version") => {
                return Ok(Asked::Say(format!("fusewire-keep {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Value(program) => {
                options.command.push(program);
                options.command.extend(parser.raw_args()?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if options.command.is_empty() {
        return Err("no daemon to start: fusewire-keep [OPTIONS] -- DAEMON [ARGS...]".into());
    }
    Ok(Asked::Run(options))
}

/// More than nothing, and no more than a year.
fn seconds(option: &str, value: OsString) -> Result<Duration, lexopt::Error> {
    let number = value.to_str().and_then(|text| text.parse::<f64>().ok());
    let number = number.filter(|number| (0.001..=31_536_000.0).contains(number));
    let wrong = || format!("{option} {}: it has to be a number of seconds, above 0", value.display());
    Ok(number.map(Duration::from_secs_f64).ok_or_else(wrong)?)
}

/// By its name, with or without SIG.
fn signal(value: OsString) -> Result<Signal, lexopt::Error> {
    let name = value.to_string_lossy().to_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    let signal = name.parse().ok().filter(|signal| ![Signal::SIGKILL, Signal::SIGSTOP].contains(signal));
    Ok(signal.ok_or_else(|| format!("--upgrade-signal {}: no signal that a daemon can take", value.display()))?)
}

fn attempts(value: OsString) -> Result<u32, lexopt::Error> {
    let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    Ok(number.ok_or_else(|| format!("--attempts {}: it has to be a number above 0", value.display()))?)
}
