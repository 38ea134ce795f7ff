//! The command line of a low-level file system, of `fuse_lowlevel.h`.

pub mod help;

use crate::abi::c::lowlevel::{CMDLINE_OPTS_COMPAT_SIZE, fuse_cmdline_opts};
use crate::abi::c::opt::fuse_args;
use crate::capi::log;
use crate::capi::opt::args;
use crate::opt::cmdline::{CmdlineOpts, parse_cmdline};
use core::ffi::{c_char, c_int};
use core::mem::MaybeUninit;
use std::ffi::CStr;

/// Takes the options of `struct fuse_cmdline_opts` out of an argument list.
///
/// Other options stay for fuse_session_new(), among them `-d`, `-o fsname=` and `-o subtype=`; when neither of the
/// latter is given, `-osubtype=` with the last part of the program's name is added. Without a mountpoint, `mountpoint`
/// is NULL: that is not an error here.
///
/// - `args`: the list, allocated afterwards, freed with fuse_opt_free_args(). On an error it stays as it was.
/// - `opts`: set in any case, after an error to what had been read until then. The mountpoint is an absolute path, or
///   `/dev/fd/N` as it was given; it comes from malloc(3) and belongs to the caller.
///
/// Returns 0, or -1 after a log line that names the argument. Since libfuse 3.12 under the name
/// fuse_parse_cmdline().
///
/// # Safety
/// Pointers as above, to memory that nothing else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_parse_cmdline_312(args: *mut fuse_args, opts: *mut fuse_cmdline_opts) -> c_int {
    log::install();
    // SAFETY: by contract.
    let (result, parsed) = unsafe { parse(args) };
    // SAFETY: by contract.
    unsafe { store(&parsed, opts) };
    result
}
symver!(fuse_parse_cmdline_312, "FUSE_3.12");
symver!(fuse_parse_cmdline_312 as fuse_parse_cmdline @@ "FUSE_3.12");

/// fuse_parse_cmdline() for programs built before libfuse 3.12, whose `struct fuse_cmdline_opts` ends before
/// `max_threads`. Sets `opts` only when it returns 0; otherwise as fuse_parse_cmdline_312().
///
/// # Safety
/// `opts` has at least 40 bytes; otherwise as fuse_parse_cmdline_312().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_parse_cmdline_30(args: *mut fuse_args, opts: *mut fuse_cmdline_opts) -> c_int {
    log::install();
    // SAFETY: by contract.
    let (result, parsed) = unsafe { parse(args) };
    if result != 0 {
        // SAFETY: NULL or a string from malloc(3) that the caller does not get.
        unsafe { libc::free(parsed.mountpoint.cast()) };
        return result;
    }
    let mut whole = MaybeUninit::<fuse_cmdline_opts>::uninit();
    // SAFETY: the program's struct is a prefix of ours, which has no padding there.
    unsafe {
        store(&parsed, whole.as_mut_ptr());
        core::ptr::copy_nonoverlapping(whole.as_ptr().cast::<u8>(), opts.cast(), CMDLINE_OPTS_COMPAT_SIZE);
    }
    result
}
symver!(fuse_parse_cmdline_30, "FUSE_3.12");
symver!(fuse_parse_cmdline_30 as fuse_parse_cmdline @ "FUSE_3.0");

/// A parsed command line, and its mountpoint as C gets it.
struct Parsed {
    opts: CmdlineOpts,
    mountpoint: *mut c_char,
}

/// # Safety
/// `args` as in fuse_parse_cmdline_312().
unsafe fn parse(args: *mut fuse_args) -> (c_int, Parsed) {
    let mut opts = CmdlineOpts::default();
    // SAFETY: by contract.
    let mut result = unsafe { args::read(args) }.and_then(|mut list| {
        parse_cmdline(&mut list, &mut opts)?;
        // SAFETY: by contract, and the list was not empty, so that it is there.
        unsafe { args::write_back(args, &list) }
    });
    let mountpoint = opts.mountpoint.as_deref().map_or(Ok(core::ptr::null_mut()), duplicate);
    let mountpoint = mountpoint.unwrap_or_else(|errno| {
        result = Err(errno);
        core::ptr::null_mut()
    });
    (if result.is_ok() { 0 } else { -1 }, Parsed { opts, mountpoint })
}

fn duplicate(path: &CStr) -> crate::opt::Result<*mut c_char> {
    // SAFETY: a NUL-terminated string.
    let copy = unsafe { libc::strdup(path.as_ptr()) };
    if copy.is_null() { Err(args::out_of_memory()) } else { Ok(copy) }
}

/// Writes the struct that C sees. Its padding becomes 0: what was on our stack is nobody's business.
///
/// # Safety
/// `place` is the caller's to write.
unsafe fn store(parsed: &Parsed, place: *mut fuse_cmdline_opts) {
    // SAFETY: by contract; zeros are a value of each member.
    let place = unsafe {
        place.write_bytes(0, 1);
        &mut *place
    };
    let opts = &parsed.opts;
    place.singlethread = opts.singlethread.into();
    place.foreground = opts.foreground.into();
    place.debug = opts.debug.into();
    place.nodefault_subtype = opts.nodefault_subtype.into();
    place.mountpoint = parsed.mountpoint;
    place.show_version = opts.show_version.into();
    place.show_help = opts.show_help.into();
    place.clone_fd = opts.clone_fd.into();
    place.max_idle_threads = opts.max_idle_threads;
    place.max_threads = opts.max_threads;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(argv: &mut [*mut c_char]) -> fuse_args {
        fuse_args { argc: argv.len() as c_int, argv: argv.as_mut_ptr(), allocated: 0 }
    }

    #[test]
    fn the_old_struct_is_not_written_past_its_end() {
        let mut argv = [c"p".as_ptr().cast_mut(), c"-omax_threads=3,max_idle_threads=2".as_ptr().cast_mut()];
        let mut args = list(&mut argv);
        let mut bytes = [0xa5u8; size_of::<fuse_cmdline_opts>() + 8];
        let room = bytes.as_mut_ptr().wrapping_add(bytes.as_ptr().align_offset(8));
        // SAFETY: the room is aligned and large enough.
        unsafe {
            assert_eq!(fuse_parse_cmdline_30(&mut args, room.cast()), 0);
            assert_eq!(room.add(36).cast::<u32>().read(), 2);
            assert_eq!(room.add(40).cast::<u32>().read(), 0xa5a5_a5a5);
            args::free(&mut args);
        }
    }

    #[test]
    fn after_an_error_the_mountpoint_is_the_callers_to_free() {
        let mut argv = [c"p".as_ptr(), c"/".as_ptr(), c"/tmp".as_ptr()].map(<*const c_char>::cast_mut);
        let mut args = list(&mut argv);
        let mut opts = MaybeUninit::<fuse_cmdline_opts>::uninit();
        // SAFETY: the list has three strings; the function sets the options.
        unsafe {
            assert_eq!(fuse_parse_cmdline_312(&mut args, opts.as_mut_ptr()), -1);
            let opts = opts.assume_init();
            assert_eq!(CStr::from_ptr(opts.mountpoint), c"/");
            libc::free(opts.mountpoint.cast());
        }
        assert_eq!((args.argc, args.allocated), (3, 0));
    }
}
