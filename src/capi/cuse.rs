//! `cuse_lowlevel.h`.

use crate::abi::c::common::fuse_session;
#[cfg(not(soname = "3"))]
use crate::abi::c::common::libfuse_version;
use crate::abi::c::cuse::{cuse_info, cuse_lowlevel_ops};
use crate::abi::c::opt::fuse_args;
use crate::capi::common::{daemonize, signals};
use crate::capi::log;
#[cfg(not(soname = "3"))]
use crate::capi::lowlevel::session::is_compat;
use crate::capi::lowlevel::session::{Plan, create, destroy, into_c, make, or_null, with_session};
use crate::capi::opt::args;
use crate::dispatch::CuseTable;
use crate::opt::cmdline::{CmdlineOpts, parse_cmdline};
use crate::opt::loop_config::LoopConfig;
use crate::session::{CharDevice, Kind, Session};
use crate::transport::Channel;
use core::ffi::{c_char, c_int, c_void};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsRawFd, IntoRawFd};

/// Where the kernel's side is.
const DEVICE: &str = "/dev/cuse";

/// What a program says of its device.
#[derive(Clone, Copy)]
struct Program {
    info: *const cuse_info,
    ops: *const cuse_lowlevel_ops,
    /// Bytes of the operations as the program knows them.
    size: usize,
    /// It was built before 3.17.
    compat: bool,
    userdata: *mut c_void,
}

impl Program {
    /// A program that calls the functions of libfuse 3.0.
    fn of_3_0(info: *const cuse_info, ops: *const cuse_lowlevel_ops, userdata: *mut c_void) -> Self {
        // The table ended with poll then, and no member has come since.
        let size = core::mem::offset_of!(cuse_lowlevel_ops, poll) + size_of::<*const ()>();
        Self { info, ops, size, compat: true, userdata }
    }

    /// What its session is made of.
    ///
    /// # Safety
    /// As cuse_lowlevel_new().
    unsafe fn plan(&self) -> Result<Plan, Errno> {
        // SAFETY: the caller vouches for the description.
        let Some(info) = unsafe { self.info.as_ref() }.filter(|_| !self.ops.is_null()) else {
            ::log::error!("cuse: no description of the device or no operations are given");
            return Err(Errno::EINVAL);
        };
        let list = fuse_args {
            argc: c_int::try_from(info.dev_info_argc).unwrap_or(c_int::MAX),
            argv: info.dev_info_argv.cast(),
            allocated: 0,
        };
        // SAFETY: the caller vouches for the strings.
        let strings = unsafe { args::borrow(list) }?;
        let device = CharDevice::new(info.dev_major, info.dev_minor, info.flags, strings)?;
        // SAFETY: the caller vouches for the operations.
        let handler = Box::new(unsafe { CuseTable::new(self.ops, self.size, self.userdata) });
        Ok(Plan { kind: Kind::CharDevice(device), handler, userdata: self.userdata, compat: self.compat })
    }

    /// Makes a session of an argument list.
    ///
    /// # Safety
    /// As cuse_lowlevel_new().
    unsafe fn session(&self, arguments: *mut fuse_args) -> *mut fuse_session {
        log::install();
        // SAFETY: as the caller vouches.
        or_null(unsafe { self.plan().and_then(|plan| create(arguments, plan)) })
    }

    /// Makes a session of a command line, connects it and daemonizes.
    ///
    /// # Safety
    /// As cuse_lowlevel_setup().
    unsafe fn set_up(
        &self,
        argc: c_int,
        argv: *mut *mut c_char,
        multithreaded: *mut c_int,
    ) -> Result<*mut fuse_session, Errno> {
        log::install();
        // SAFETY: the caller vouches for the arguments.
        let mut list = unsafe { args::read(&fuse_args { argc, argv, allocated: 0 }) }?;
        let mut opts = CmdlineOpts::default();
        parse_cmdline(&mut list, &mut opts)?;
        // SAFETY: the caller vouches for the place.
        if let Some(multithreaded) = unsafe { multithreaded.as_mut() } {
            *multithreaded = (!opts.singlethread).into();
        }
        open_streams();
        // SAFETY: as the caller vouches.
        let session = make(&mut list, unsafe { self.plan() }?)?;
        session.connect(open_device()?)?;
        let se = into_c(session);
        // SAFETY: the session was just made; the rest by contract of cuse_lowlevel_setup().
        let ready = unsafe { signals::set(se).and_then(|()| daemonize::daemonize(opts.foreground)) };
        if let Err(errno) = ready {
            // SAFETY: the session was just made, and nobody else has it.
            unsafe { tear_down(se) };
            return Err(errno);
        }
        Ok(se)
    }

    /// Does everything: the exit status.
    ///
    /// # Safety
    /// As cuse_lowlevel_main().
    unsafe fn main(&self, argc: c_int, argv: *mut *mut c_char) -> c_int {
        let mut multithreaded = 0;
        // SAFETY: as the caller vouches.
        let Ok(se) = (unsafe { self.set_up(argc, argv, &mut multithreaded) }) else { return 1 };
        let serve = |se: &Session| if multithreaded != 0 { se.run_pool(LoopConfig::default()) } else { se.run() };
        // SAFETY: the session was just made, and lives until the next call.
        let ended = unsafe { with_session(se, serve) };
        // SAFETY: the loop has ended.
        unsafe { tear_down(se) };
        // A signal is how devices end, and no failure.
        if ended.is_some_and(|ended| ended.is_ok()) { 0 } else { 1 }
    }
}

/// # Safety
/// As cuse_lowlevel_teardown().
unsafe fn tear_down(se: *mut fuse_session) {
    signals::remove(se);
    // SAFETY: as the caller vouches.
    unsafe { destroy(se) };
}

/// Opens the standard streams that are closed: another file with such a number would be mistaken for one.
fn open_streams() {
    while let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
        if null.as_raw_fd() > libc::STDERR_FILENO {
            break;
        }
        // A standard stream stays open for good.
        let _ = null.into_raw_fd();
    }
}

fn open_device() -> Result<Channel, Errno> {
    let device = open(DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).inspect_err(|errno| {
        let missing = matches!(errno, Errno::ENOENT | Errno::ENODEV);
        let hint = if missing { "; the kernel's module may have to be loaded with 'modprobe cuse'" } else { "" };
        ::log::error!("cuse: {DEVICE}: {}{hint}", errno.desc());
    })?;
    Ok(Channel::device(device))
}

/// Makes a session for a character device, which is not connected yet: for programs built before 3.19.
///
/// `args`: the arguments that fuse_parse_cmdline() left; each must be known. The list is changed. `ci`: the device, and
/// `clop`: its callbacks; both are copied. `userdata`: passed to callbacks. Programs call it from one thread.
/// Returns the session, to be freed by fuse_session_destroy(), or NULL with errno after a log line that names what is
/// wrong. Since libfuse 3.0.
///
/// # Safety
/// `args` points to an argument list, `ci` and `clop` to their structs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuse_lowlevel_new(
    args: *mut fuse_args,
    ci: *const cuse_info,
    clop: *const cuse_lowlevel_ops,
    userdata: *mut c_void,
) -> *mut fuse_session {
    // SAFETY: as the caller vouches.
    unsafe { Program::of_3_0(ci, clop, userdata).session(args) }
}
symver!(cuse_lowlevel_new, "FUSE_3.0");

/// Makes a session for a character device, which is not connected yet. Programs call it as cuse_lowlevel_new(), which
/// adds the size of the operations and the version of the headers.
///
/// `args`: the arguments that fuse_parse_cmdline() left; each must be known. The list is changed. `ci`: the device,
/// copied. `clop`: the callbacks, `clop_size` bytes of them, copied; members behind that are absent. `version`: of the
/// headers; NULL stands for headers before 3.17. `userdata`: passed to callbacks. Programs call it from one thread.
/// Returns the session, to be freed by fuse_session_destroy(), or NULL with errno after a log line that names what is
/// wrong. Since libfuse 3.19.
///
/// # Safety
/// `args` points to an argument list, `ci` to its struct, `clop` to `clop_size` bytes; `version` is null or points to
/// a struct.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuse_lowlevel_new_319(
    args: *mut fuse_args,
    ci: *const cuse_info,
    clop: *const cuse_lowlevel_ops,
    clop_size: usize,
    version: *const libfuse_version,
    userdata: *mut c_void,
) -> *mut fuse_session {
    // SAFETY: the caller vouches for the version.
    let compat = unsafe { is_compat(version) };
    // SAFETY: as the caller vouches.
    unsafe { Program { info: ci, ops: clop, size: clop_size, compat, userdata }.session(args) }
}
#[cfg(not(soname = "3"))]
symver!(cuse_lowlevel_new_319, "FUSE_3.19");

/// Does what a program does before its loop, for programs built before 3.19: reads the command line, opens /dev/cuse,
/// makes the session, sets signal handlers and goes to the background unless `-f` or `-d` is given.
///
/// `argc`, `argv`: as main() got them. `ci`: the device, and `clop`: its callbacks; both are copied. `multithreaded`:
/// set to 0 when the command line says `-s`, else to 1. `userdata`: passed to callbacks. What holds of fuse_daemonize()
/// holds of it.
/// Returns the session, for a loop and then cuse_lowlevel_teardown(), or NULL with errno after a log line that names
/// what is wrong. Since libfuse 3.0.
///
/// # Safety
/// `argv` has `argc` strings; `ci` and `clop` point to their structs; `multithreaded` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuse_lowlevel_setup(
    argc: c_int,
    argv: *mut *mut c_char,
    ci: *const cuse_info,
    clop: *const cuse_lowlevel_ops,
    multithreaded: *mut c_int,
    userdata: *mut c_void,
) -> *mut fuse_session {
    // SAFETY: as the caller vouches.
    or_null(unsafe { Program::of_3_0(ci, clop, userdata).set_up(argc, argv, multithreaded) })
}
symver!(cuse_lowlevel_setup, "FUSE_3.0");

/// Does what a program does before its loop: reads the command line, opens /dev/cuse, makes the session, sets signal
/// handlers and goes to the background unless `-f` or `-d` is given. Programs call it as cuse_lowlevel_setup(), which
/// adds the size of the operations and the version of the headers.
///
/// `argc`, `argv`: as main() got them. `ci`: the device, copied. `clop`: the callbacks, `clop_size` bytes of them,
/// copied; members behind that are absent. `version`: of the headers; NULL stands for headers before 3.17.
/// `multithreaded`: set to 0 when the command line says `-s`, else to 1. `userdata`: passed to callbacks. What holds of
/// fuse_daemonize() holds of it.
/// Returns the session, for a loop and then cuse_lowlevel_teardown(), or NULL with errno after a log line that names
/// what is wrong. Since libfuse 3.19.
///
/// # Safety
/// `argv` has `argc` strings; `ci` points to its struct, `clop` to `clop_size` bytes; `version` is null or points to a
/// struct, `multithreaded` is null or can be written to.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuse_lowlevel_setup_319(
    argc: c_int,
    argv: *mut *mut c_char,
    ci: *const cuse_info,
    clop: *const cuse_lowlevel_ops,
    clop_size: usize,
    version: *const libfuse_version,
    multithreaded: *mut c_int,
    userdata: *mut c_void,
) -> *mut fuse_session {
    // SAFETY: the caller vouches for the version.
    let compat = unsafe { is_compat(version) };
    let program = Program { info: ci, ops: clop, size: clop_size, compat, userdata };
    // SAFETY: as the caller vouches.
    or_null(unsafe { program.set_up(argc, argv, multithreaded) })
}
#[cfg(not(soname = "3"))]
symver!(cuse_lowlevel_setup_319, "FUSE_3.19");

/// Undoes cuse_lowlevel_setup(): takes the signal handlers away and destroys the session, with which the device goes.
///
/// Call it after the loop has ended. Since libfuse 3.0.
///
/// # Safety
/// `se` is a session of cuse_lowlevel_setup() that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuse_lowlevel_teardown(se: *mut fuse_session) {
    // SAFETY: as the caller vouches.
    unsafe { tear_down(se) };
}
symver!(cuse_lowlevel_teardown, "FUSE_3.0");

/// Serves a character device from the command line to the end, for programs built before 3.19: cuse_lowlevel_setup(),
/// a loop with one thread or several, cuse_lowlevel_teardown().
///
/// `argc`, `argv`: as main() got them. `ci`: the device, and `clop`: its callbacks; both are copied. `userdata`: passed
/// to callbacks.
/// Returns the status to exit with: 0 after a signal or the end of the connection, 1 after a log line that names what
/// is wrong. Since libfuse 3.0.
///
/// # Safety
/// `argv` has `argc` strings; `ci` and `clop` point to their structs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuse_lowlevel_main(
    argc: c_int,
    argv: *mut *mut c_char,
    ci: *const cuse_info,
    clop: *const cuse_lowlevel_ops,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { Program::of_3_0(ci, clop, userdata).main(argc, argv) }
}
symver!(cuse_lowlevel_main, "FUSE_3.0");

/// Serves a character device from the command line to the end: cuse_lowlevel_setup(), a loop with one thread or
/// several, cuse_lowlevel_teardown(). Programs call it as cuse_lowlevel_main(), which adds the size of the operations
/// and the version of the headers.
///
/// `argc`, `argv`: as main() got them. `ci`: the device, copied. `clop`: the callbacks, `clop_size` bytes of them,
/// copied; members behind that are absent. `version`: of the headers; NULL stands for headers before 3.17. `userdata`:
/// passed to callbacks.
/// Returns the status to exit with: 0 after a signal or the end of the connection, 1 after a log line that names what
/// is wrong. Since libfuse 3.19.
///
/// # Safety
/// `argv` has `argc` strings; `ci` points to its struct, `clop` to `clop_size` bytes; `version` is null or points to a
/// struct.
#[cfg(not(soname = "3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuse_lowlevel_main_319(
    argc: c_int,
    argv: *mut *mut c_char,
    ci: *const cuse_info,
    clop: *const cuse_lowlevel_ops,
    clop_size: usize,
    version: *const libfuse_version,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: the caller vouches for the version.
    let compat = unsafe { is_compat(version) };
    // SAFETY: as the caller vouches.
    unsafe { Program { info: ci, ops: clop, size: clop_size, compat, userdata }.main(argc, argv) }
}
#[cfg(not(soname = "3"))]
symver!(cuse_lowlevel_main_319, "FUSE_3.19");
