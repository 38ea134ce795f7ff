//! Connection options: what the user may say about `struct fuse_conn_info`.

use crate::abi::c::common::{cap::*, fuse_conn_info, fuse_conn_info_opts};
use crate::abi::c::opt::fuse_args;
use crate::capi::log;
use crate::capi::opt::args;
use crate::opt::{self, Event, Result, Spec, Value, Verdict, scan};
use std::ffi::CStr;

/// What is behind a `struct fuse_conn_info_opts` pointer. Programs free(3) it, so it owns nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    /// Capabilities to want, where the kernel has them.
    enable: u64,
    /// Capabilities not to want; they win.
    disable: u64,
    max_write: Option<u32>,
    max_readahead: Option<u32>,
    max_background: Option<u32>,
    congestion_threshold: Option<u32>,
    time_gran: Option<u32>,
}

#[derive(Clone, Copy)]
enum Opt {
    Enable(u64),
    Disable(u64),
    /// The last one counts: it takes back what an earlier one refused.
    Readdirplus {
        allow: u64,
        refuse: u64,
    },
    Number(fn(&mut Options) -> &mut Option<u32>),
    /// Taken without effect, as in libfuse: the session wants the capability without being asked.
    AtomicTruncation,
}

const fn spec(template: &'static CStr, tag: Opt) -> Spec<'static, Opt> {
    Spec::new(template, tag)
}

const SPECS: [Spec<'static, Opt>; 26] = [
    spec(c"max_write=%u", Opt::Number(|o| &mut o.max_write)),
    spec(c"max_readahead=%u", Opt::Number(|o| &mut o.max_readahead)),
    spec(c"max_background=%u", Opt::Number(|o| &mut o.max_background)),
    spec(c"congestion_threshold=%u", Opt::Number(|o| &mut o.congestion_threshold)),
    spec(c"time_gran=%u", Opt::Number(|o| &mut o.time_gran)),
    spec(c"async_read", Opt::Enable(FUSE_CAP_ASYNC_READ)),
    spec(c"sync_read", Opt::Disable(FUSE_CAP_ASYNC_READ)),
    spec(c"atomic_o_trunc", Opt::AtomicTruncation),
    spec(c"no_remote_lock", Opt::Disable(FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS)),
    spec(c"no_remote_flock", Opt::Disable(FUSE_CAP_FLOCK_LOCKS)),
    spec(c"no_remote_posix_lock", Opt::Disable(FUSE_CAP_POSIX_LOCKS)),
    spec(c"splice_write", Opt::Enable(FUSE_CAP_SPLICE_WRITE)),
    spec(c"no_splice_write", Opt::Disable(FUSE_CAP_SPLICE_WRITE)),
    spec(c"splice_move", Opt::Enable(FUSE_CAP_SPLICE_MOVE)),
    spec(c"no_splice_move", Opt::Disable(FUSE_CAP_SPLICE_MOVE)),
    spec(c"splice_read", Opt::Enable(FUSE_CAP_SPLICE_READ)),
    spec(c"no_splice_read", Opt::Disable(FUSE_CAP_SPLICE_READ)),
    spec(c"auto_inval_data", Opt::Enable(FUSE_CAP_AUTO_INVAL_DATA)),
    spec(c"no_auto_inval_data", Opt::Disable(FUSE_CAP_AUTO_INVAL_DATA)),
    spec(c"readdirplus=no", Opt::Readdirplus { allow: 0, refuse: FUSE_CAP_READDIRPLUS }),
    spec(c"readdirplus=yes", Opt::Readdirplus { allow: FUSE_CAP_READDIRPLUS, refuse: FUSE_CAP_READDIRPLUS_AUTO }),
    spec(c"readdirplus=auto", Opt::Readdirplus { allow: FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO, refuse: 0 }),
    spec(c"async_dio", Opt::Enable(FUSE_CAP_ASYNC_DIO)),
    spec(c"no_async_dio", Opt::Disable(FUSE_CAP_ASYNC_DIO)),
    spec(c"writeback_cache", Opt::Enable(FUSE_CAP_WRITEBACK_CACHE)),
    spec(c"no_writeback_cache", Opt::Disable(FUSE_CAP_WRITEBACK_CACHE)),
];

impl Options {
    fn take(&mut self, tag: Opt, arg: &CStr, value: Option<Value<'_>>) -> Result<()> {
        match tag {
            Opt::Enable(cap) => self.enable |= cap,
            Opt::Disable(cap) => self.disable |= cap,
            Opt::Readdirplus { allow, refuse } => self.disable = self.disable & !allow | refuse,
            Opt::Number(member) => *member(self) = Some(scan::param(arg, value)?),
            Opt::AtomicTruncation => {}
        }
        Ok(())
    }

    fn apply(&self, conn: &mut fuse_conn_info) {
        let set = |value: Option<u32>, member: &mut u32| *member = value.unwrap_or(*member);
        set(self.max_write, &mut conn.max_write);
        set(self.max_readahead, &mut conn.max_readahead);
        set(self.max_background, &mut conn.max_background);
        set(self.congestion_threshold, &mut conn.congestion_threshold);
        set(self.time_gran, &mut conn.time_gran);
        want(conn, self.enable, self.disable);
    }
}

/// Wants the capabilities in `enable`, and not those in `disable`.
///
/// so.3 wants what the user named even where the kernel lacks it, and the session then refuses to start, as in libfuse
/// 3.14. In so.4 what the kernel lacks is left out, and the 32-bit and the 64-bit member change alike, so that neither
/// seems to contradict the other.
fn want(conn: &mut fuse_conn_info, enable: u64, disable: u64) {
    #[cfg(soname = "3")]
    let possible = u64::MAX;
    #[cfg(not(soname = "3"))]
    let possible = u64::from(conn.capable) | conn.capable_ext;
    let change = |want: u64| (want | enable & possible) & !disable;
    #[cfg(not(soname = "3"))]
    {
        conn.want_ext = change(conn.want_ext);
    }
    conn.want = change(u64::from(conn.want)) as u32;
}

/// Takes the options about the connection out of an argument list, for fuse_apply_conn_info_opts() in the init
/// callback.
///
/// They are: `max_write=N`, `max_readahead=N` (bytes), `max_background=N`, `congestion_threshold=N` (requests),
/// `time_gran=N` (nanoseconds), `async_read`, `sync_read`, `atomic_o_trunc` (without effect), `no_remote_lock`,
/// `no_remote_flock`, `no_remote_posix_lock`, `readdirplus=yes|no|auto`, and each with or without `no_` in front
/// `splice_write`, `splice_move`, `splice_read`, `auto_inval_data`, `async_dio` and `writeback_cache`.
///
/// - `args`: the list, as in fuse_opt_parse().
///
/// Returns the options, which the caller frees with free(3), or NULL after a log line. Since libfuse 3.0.
///
/// # Safety
/// `args` points to a list that nothing else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_parse_conn_info_opts(args: *mut fuse_args) -> *mut fuse_conn_info_opts {
    log::install();
    // SAFETY: by contract.
    match unsafe { parse(args) } {
        Ok(options) => to_malloc(options),
        Err(_) => core::ptr::null_mut(),
    }
}
symver!(fuse_parse_conn_info_opts, "FUSE_3.0");

/// # Safety
/// As fuse_parse_conn_info_opts().
unsafe fn parse(args: *mut fuse_args) -> Result<Options> {
    let mut options = Options::default();
    // SAFETY: by contract.
    let mut list = unsafe { args::read(args) }?;
    if list.program().is_none() {
        return Ok(options);
    }
    opt::parse(&mut list, &SPECS, &mut |event, _| match event {
        Event::Matched { tag, arg, value } => options.take(tag, arg, value).map(|()| Verdict::Drop),
        Event::Unknown(_) | Event::NonOption(_) => Ok(Verdict::Keep),
    })?;
    // SAFETY: by contract, and the list was not empty, so that it is there.
    unsafe { args::write_back(args, &list) }?;
    Ok(options)
}

fn to_malloc(options: Options) -> *mut fuse_conn_info_opts {
    // SAFETY: a plain allocation.
    let place: *mut Options = unsafe { libc::malloc(size_of::<Options>()) }.cast();
    if place.is_null() {
        args::out_of_memory();
        return core::ptr::null_mut();
    }
    // SAFETY: just allocated, large enough and aligned for everything.
    unsafe { place.write(options) };
    place.cast()
}

/// Sets in `conn` what the options say. For the init callback.
///
/// - `opts`: from fuse_parse_conn_info_opts(), and still the caller's.
/// - `conn`: what init got. In so.4, what the kernel is not capable of is not wanted; in so.3 it is, and the session
///   fails.
///
/// Since libfuse 3.0.
///
/// # Safety
/// Pointers as above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_apply_conn_info_opts(opts: *const fuse_conn_info_opts, conn: *mut fuse_conn_info) {
    // SAFETY: by contract; the pointer is from to_malloc().
    let (options, conn) = unsafe { (&*opts.cast::<Options>(), &mut *conn) };
    options.apply(conn);
}
symver!(fuse_apply_conn_info_opts, "FUSE_3.0");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opt::Args;
    use nix::errno::Errno;

    fn options(group: &CStr) -> Result<Options> {
        let mut options = Options::default();
        let mut list = Args::from_iter([c"p", c"-o", group]);
        opt::parse(&mut list, &SPECS, &mut |event, _| match event {
            Event::Matched { tag, arg, value } => options.take(tag, arg, value).map(|()| Verdict::Drop),
            Event::Unknown(_) | Event::NonOption(_) => Ok(Verdict::Keep),
        })?;
        Ok(options)
    }

    fn applied(group: &CStr, capable: u64, want: u64) -> fuse_conn_info {
        let mut conn = fuse_conn_info {
            capable: capable as u32,
            capable_ext: capable,
            want: want as u32,
            want_ext: want,
            ..fuse_conn_info::default()
        };
        options(group).unwrap().apply(&mut conn);
        conn
    }

    #[test]
    fn numbers_are_set_only_when_given() {
        let conn = applied(c"max_write=4096,time_gran=1000", 0, 0);
        assert_eq!((conn.max_write, conn.time_gran, conn.max_background), (4096, 1000, 0));
        assert_eq!(options(c"max_write=lots"), Err(Errno::EINVAL));
    }

    #[test]
    fn disabling_wins_in_both_forms() {
        let both = FUSE_CAP_SPLICE_READ | FUSE_CAP_ASYNC_DIO;
        let conn = applied(c"no_splice_read,splice_read,async_dio", both, both);
        assert_eq!(u64::from(conn.want), FUSE_CAP_ASYNC_DIO);
        if cfg!(not(soname = "3")) {
            assert_eq!(conn.want_ext, FUSE_CAP_ASYNC_DIO);
        }
    }

    #[test]
    fn what_the_kernel_lacks_is_wanted_in_so_3_only() {
        let conn = applied(c"writeback_cache", 0, 0);
        assert_eq!(conn.want != 0, cfg!(soname = "3"));
    }

    #[test]
    fn the_last_readdirplus_counts() {
        let both = FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO;
        let want = |group| u64::from(applied(group, both, both).want);
        assert_eq!(want(c"readdirplus=no"), FUSE_CAP_READDIRPLUS_AUTO);
        assert_eq!(want(c"readdirplus=no,readdirplus=yes"), FUSE_CAP_READDIRPLUS);
        assert_eq!(want(c"readdirplus=yes,readdirplus=auto"), both);
    }
}
