//! The options that every daemon's command line has.

use super::{ArgList, Args, Event, Result, Spec, Value, Verdict, loop_config, parse, scan};
use nix::errno::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What a command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CmdlineOpts {
    /// `-s`: serve with one thread.
    pub singlethread: bool,
    /// `-f`, or implied by `-d`: stay in the foreground.
    pub foreground: bool,
    /// `-d`, `-o debug`: debug output.
    pub debug: bool,
    /// The file system's type or name was given, so that none is made of the program's name.
    pub nodefault_subtype: bool,
    /// The mountpoint as an absolute path, or as `/dev/fd/N`.
    pub mountpoint: Option<CString>,
    /// `-V`.
    pub show_version: bool,
    /// `-h`.
    pub show_help: bool,
    /// `-o clone_fd`: each worker gets a device fd of its own.
    pub clone_fd: bool,
    /// `-o max_idle_threads=`.
    pub max_idle_threads: u32,
    /// `-o max_threads=`.
    pub max_threads: u32,
}

impl Default for CmdlineOpts {
    fn default() -> Self {
        CmdlineOpts {
            singlethread: false,
            foreground: false,
            debug: false,
            nodefault_subtype: false,
            mountpoint: None,
            show_version: false,
            show_help: false,
            clone_fd: false,
            max_idle_threads: loop_config::UNLIMITED,
            max_threads: loop_config::DEFAULT_MAX_THREADS,
        }
    }
}

#[derive(Clone, Copy)]
enum Opt {
    Help,
    Version,
    Debug,
    Foreground,
    SingleThread,
    Named,
    CloneFd,
    MaxIdleThreads,
    MaxThreads,
}

const SPECS: [Spec<'static, Opt>; 13] = [
    Spec::new(c"-h", Opt::Help),
    Spec::new(c"--help", Opt::Help),
    Spec::new(c"-V", Opt::Version),
    Spec::new(c"--version", Opt::Version),
    Spec::new(c"-d", Opt::Debug),
    Spec::new(c"debug", Opt::Debug),
    Spec::new(c"-f", Opt::Foreground),
    Spec::new(c"-s", Opt::SingleThread),
    Spec::new(c"fsname=", Opt::Named),
    Spec::new(c"subtype=", Opt::Named),
    Spec::new(c"clone_fd", Opt::CloneFd),
    Spec::new(c"max_idle_threads=%u", Opt::MaxIdleThreads),
    Spec::new(c"max_threads=%u", Opt::MaxThreads),
];

/// Takes the options of [`CmdlineOpts`] out of a command line. Others stay for the session and the mount, among them
/// `-d`, `fsname=` and `subtype=`; when neither of the latter is there, `subtype=` with the program's name is added.
///
/// On an error the list is as it was, and `opts` holds what had been read until then.
pub fn parse_cmdline(args: &mut Args, opts: &mut CmdlineOpts) -> Result<()> {
    let Some(program) = args.program().map(CStr::to_owned) else {
        log::error!("the argument list is empty: it must begin with the program's name");
        return Err(Errno::EINVAL);
    };
    parse(args, &SPECS, &mut |event, _| match event {
        Event::Matched { tag, arg, value } => option(opts, tag, arg, value),
        Event::Unknown(_) => Ok(Verdict::Keep),
        Event::NonOption(arg) => mountpoint(opts, arg).map(|()| Verdict::Drop),
    })?;
    if !opts.nodefault_subtype {
        args.push(&default_subtype(&program)?)?;
    }
    Ok(())
}

fn option(opts: &mut CmdlineOpts, tag: Opt, arg: &CStr, value: Option<Value<'_>>) -> Result<Verdict> {
    match tag {
        Opt::Help => opts.show_help = true,
        Opt::Version => opts.show_version = true,
        Opt::Debug => {
            opts.debug = true;
            opts.foreground = true;
            return Ok(Verdict::Keep);
        }
        Opt::Foreground => opts.foreground = true,
        Opt::SingleThread => opts.singlethread = true,
        Opt::Named => {
            opts.nodefault_subtype = true;
            return Ok(Verdict::Keep);
        }
        Opt::CloneFd => opts.clone_fd = true,
        Opt::MaxIdleThreads => opts.max_idle_threads = scan::param(arg, value)?,
        Opt::MaxThreads => opts.max_threads = scan::param(arg, value)?,
    }
    Ok(Verdict::Drop)
}

/// Takes the mountpoint. Whether it is a directory is for the mount to say: a file system may be mounted on a file.
fn mountpoint(opts: &mut CmdlineOpts, arg: &CStr) -> Result<()> {
    if let Some(first) = &opts.mountpoint {
        let (arg, first) = (arg.to_string_lossy(), first.to_string_lossy());
        log::error!("argument '{arg}' is one too many: the mountpoint is '{first}' already");
        return Err(Errno::EINVAL);
    }
    if inherited_fd(arg).is_some() {
        opts.mountpoint = Some(arg.to_owned());
        return Ok(());
    }
    // A daemon changes to the root directory before or after it mounts: the path must not depend on that.
    let path = std::fs::canonicalize(OsStr::from_bytes(arg.to_bytes())).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EINVAL));
        log::error!("mountpoint '{}' cannot be used: {}", arg.to_string_lossy(), errno.desc());
        errno
    })?;
    opts.mountpoint = Some(CString::new(path.into_os_string().into_vec()).map_err(|_| Errno::EINVAL)?);
    Ok(())
}

/// The number N of a mountpoint `/dev/fd/N`: an fd of a file system that somebody else has mounted.
pub fn inherited_fd(mountpoint: &CStr) -> Option<i32> {
    let number = mountpoint.to_bytes().strip_prefix(b"/dev/fd/")?;
    let (fd, length) = scan::unsigned(number)?;
    if length != number.len() {
        return None;
    }
    i32::try_from(fd).ok()
}

/// The option that makes a subtype of the program's name.
fn default_subtype(program: &CStr) -> Result<CString> {
    let path = program.to_bytes();
    let name = match memchr::memrchr(b'/', path) {
        // A name that ends in a slash is nobody's: only the slash is left, as in libfuse.
        Some(slash) if slash + 1 == path.len() => path.get(slash..),
        Some(slash) => path.get(slash + 1..),
        None => Some(path),
    };
    CString::new([b"-osubtype=", name.unwrap_or_default()].concat()).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&CStr]) -> (Result<()>, Args, CmdlineOpts) {
        let mut args: Args = args.iter().copied().collect();
        let mut opts = CmdlineOpts::default();
        let result = parse_cmdline(&mut args, &mut opts);
        (result, args, opts)
    }

    #[test]
    fn takes_its_options_and_names_the_subtype() {
        let (result, args, opts) = run(&[c"/usr/bin/demo", c"-f", c"-s", c"-oclone_fd,max_threads=3,ro", c"/tmp/.."]);
        let expected = CmdlineOpts {
            foreground: true,
            singlethread: true,
            clone_fd: true,
            max_threads: 3,
            mountpoint: Some(c"/".to_owned()),
            ..CmdlineOpts::default()
        };
        assert_eq!((result, opts), (Ok(()), expected));
        assert_eq!(args, Args::from_iter([c"/usr/bin/demo", c"-o", c"ro", c"-osubtype=demo"]));
    }

    #[test]
    fn debug_implies_foreground_and_stays() {
        let (result, args, opts) = run(&[c"p", c"-d", c"-ofsname=x"]);
        assert_eq!((result, opts.debug, opts.foreground), (Ok(()), true, true));
        assert_eq!(args, Args::from_iter([c"p", c"-o", c"fsname=x", c"-d"]));
    }

    #[test]
    fn bad_input_is_refused() {
        assert_eq!(run(&[]).0, Err(Errno::EINVAL));
        assert_eq!(run(&[c"p", c"/nonexistent/mnt"]).0, Err(Errno::ENOENT));
        assert_eq!(run(&[c"p", c"/", c"/tmp"]).0, Err(Errno::EINVAL));
        assert_eq!(run(&[c"p", c"-omax_threads=many"]).0, Err(Errno::EINVAL));
    }

    #[test]
    fn an_inherited_fd_is_a_mountpoint() {
        assert_eq!(inherited_fd(c"/dev/fd/7"), Some(7));
        assert_eq!(inherited_fd(c"/dev/fd/7x"), None);
        assert_eq!(inherited_fd(c"/dev/fd/"), None);
        assert_eq!(inherited_fd(c"/dev/fd/-1"), None);
        assert_eq!(run(&[c"p", c"/dev/fd/999"]).2.mountpoint.as_deref(), Some(c"/dev/fd/999"));
    }

    #[test]
    fn the_subtype_is_the_last_part_of_the_path() {
        for (program, option) in
            [(c"a/b", c"-osubtype=b"), (c"b", c"-osubtype=b"), (c"a/", c"-osubtype=/"), (c"", c"-osubtype=")]
        {
            assert_eq!(default_subtype(program).as_deref(), Ok(option));
        }
    }
}
