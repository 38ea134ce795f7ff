//! The options of fuse_session_new() and its like.

use crate::mount;
use crate::opt::io_uring::IoUring;
use crate::opt::{self, Args, Event, Spec, Verdict, scan};
use crate::transport::privilege;
use core::ffi::CStr;
use nix::errno::Errno;
use std::time::Duration;

/// What the arguments of a session say.
pub struct Options {
    /// Show every request and reply.
    pub debug: bool,
    /// Whether requests are to come over io_uring.
    pub io_uring: IoUring,
    /// For how long a loop looks for the next request before it goes to sleep.
    pub busy_poll: Duration,
    /// What the mount is to be like.
    pub mount: mount::Options,
}

/// The longest busy_poll, in microseconds: an exit may have to wait for it.
const BUSY_POLL: u32 = 10_000;

#[derive(Clone, Copy)]
enum Opt {
    Debug,
    IoUring,
    QueueDepth,
    BusyPoll,
}

const SPECS: [Spec<'static, Opt>; 6] = [
    Spec::new(c"debug", Opt::Debug),
    Spec::new(c"-d", Opt::Debug),
    Spec::new(c"--debug", Opt::Debug),
    Spec::new(c"io_uring", Opt::IoUring),
    Spec::new(c"io_uring_q_depth=%u", Opt::QueueDepth),
    Spec::new(c"busy_poll=%u", Opt::BusyPoll),
];

impl Options {
    /// Takes them out of the list. One that nobody knows is EINVAL, and a log line.
    pub fn take(args: &mut Args) -> Result<Self, Errno> {
        let io_uring = IoUring::from_environment(privilege::variable);
        let mut options = Self { debug: false, io_uring, busy_poll: Duration::ZERO, mount: mount::Options::new() };
        opt::parse(args, &SPECS, &mut |event, _| match event {
            Event::Matched { tag, arg, value } => {
                match tag {
                    Opt::Debug => options.debug = true,
                    Opt::IoUring => options.io_uring.set_on(),
                    Opt::QueueDepth => options.io_uring.set_depth(arg, value)?,
                    Opt::BusyPoll => {
                        let time = scan::number_in(arg, value, 0..=BUSY_POLL, "the time in microseconds")?;
                        options.busy_poll = Duration::from_micros(time.into());
                    }
                }
                Ok(Verdict::Drop)
            }
            Event::Unknown(item) if options.mount.accept(item)? => Ok(Verdict::Drop),
            Event::Unknown(_) | Event::NonOption(_) => Ok(Verdict::Keep),
        })?;
        let unknown: Vec<_> = args.iter().skip(1).map(CStr::to_string_lossy).collect();
        if unknown.is_empty() {
            return Ok(options);
        }
        log::error!("unknown option(s): `{}'", unknown.join(" "));
        Err(Errno::EINVAL)
    }
}
